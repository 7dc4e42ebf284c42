"""The server behind the page, over a real socket and scripted stages: turns, barge-in, limits, access, downloads."""

import asyncio
from typing import Any

import aiohttp
import pytest

from pipelines.stopwatch.record import TurnRecord
from tests.agent.scripted_engines import LLM, scripted_engines
from tests.agent.web.web_page import Page, opened, serving
from tests.agent.web.web_scenes import QUESTION, ask, emptied, in_a_conversation, quick_engines
from tests.scripted import REPLY, ScriptedLLM, ScriptedSTT, now, silence, voice
from tests.virtual_time import run_on_loopback


def test_a_turn_goes_all_the_way_over_the_socket() -> None:
    seen: list[Page] = []

    async def keep(page: Page) -> None:
        seen.append(page)

    async def main() -> dict[str, Any]:
        async with serving(quick_engines()) as (_, address):
            return await ask(address, keep)

    turn = run_on_loopback(main())
    (page,) = seen
    assert (turn["transcript"], turn["heard"], turn["outcome"]) == ("What time is it?", REPLY, "completed")
    assert turn["simulated"]
    assert "simulated" in turn["label"]
    assert turn["turn_latency_ms"] == pytest.approx(sum(s["ms"] for s in turn["critical_path"]), abs=1)
    assert turn["waterfall"]["sum_ms"] == pytest.approx(turn["turn_latency_ms"], abs=1)
    assert turn["figures"][0]["n"] == 1
    positions = [position for position, _ in page.sound]
    assert positions == [sum(len(pcm) for _, pcm in page.sound[:i]) for i in range(len(page.sound))]
    states = [text["state"] for text in page.texts if text["type"] == "now"]
    assert [state for state in ("hearing", "thinking", "speaking") if state in states] == states_in_order(states)
    assert states_in_order(states)[-1] == "speaking"


def states_in_order(states: list[str]) -> list[str]:
    """Without `listening`, each once."""
    return list(dict.fromkeys(state for state in states if state != "listening"))


@pytest.mark.parametrize("start_delay_s", [0.02, 0.4])
def test_times_follow_what_the_page_has_really_played(start_delay_s: float) -> None:
    async def main() -> None:
        async with serving(quick_engines()) as (server, address):

            async def compare(page: Page) -> None:
                (session,) = server.sessions.values()
                (document,) = session.conversation.turns
                ended_s = session.conversation.media.process_time_s(document.speech_samples[1])
                audible_s = ended_s + document.turn_latency_ms / 1_000
                assert audible_s == pytest.approx(page.started_s[0] + 0.01, abs=0.015)  # 10 ms of silence are kept

            await ask(address, compare, start_delay_s=start_delay_s)

    run_on_loopback(main())


def test_a_user_who_barges_in_is_heard_and_the_page_falls_silent() -> None:
    async def interrupt(page: Page) -> None:
        await page.speak(*QUESTION)
        while not page.started_s:
            await page.speak(silence(32))
        await page.speak(silence(512))
        said_before = len(page.sound)
        began_s = now()
        await page.speak(voice(160))
        await page.told("pause")
        assert now() - began_s < 0.3
        await page.speak(voice(500))
        turn = await page.told("turn")
        assert await page.told("clear")
        assert turn["outcome"] == "interrupted"
        assert REPLY.startswith(turn["heard"])
        assert 0 < len(turn["heard"]) < len(REPLY)
        assert (await page.told("turn", 2))["transcript"] == "No, what day is it?"
        assert len(page.sound) > said_before

    stt = ScriptedSTT(turns=(("What time is it?",), ("No, what day is it?",)))
    in_a_conversation(interrupt, scripted_engines(stt))


def test_two_converse_at_once_and_a_third_is_refused_until_one_leaves() -> None:
    async def main() -> None:
        async with serving(quick_engines()) as (server, address):

            async def refused(page: Page) -> None:
                async with opened(address) as third:
                    assert await third.closed() == 1013

            first, second = await asyncio.gather(ask(address, refused), ask(address, refused))
            assert first["heard"] == second["heard"] == REPLY
            await emptied(server)
            async with opened(address) as again:
                await again.told("welcome")

    run_on_loopback(main())


def test_a_page_that_leaves_in_mid_answer_leaves_nothing_behind(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async with serving(quick_engines()) as (server, address):
            async with opened(address) as page:
                await page.speak(*QUESTION)
                while not page.sound:
                    await page.speak(silence(32))
            await emptied(server)
            left = {task.get_name() for task in asyncio.all_tasks()}
            assert not left & {"outbox", "playout", "picture", "clock", "conversation", "ear"}

    run_on_loopback(main())
    assert not caplog.records


def test_the_model_and_the_mode_can_be_changed_in_the_middle() -> None:
    engines = quick_engines()
    engines.models["sim/100:200"] = engines.models[LLM]

    async def change(page: Page) -> None:
        await page.send(type="switch", llm="sim/100:200", mode="streaming")
        told = await page.told("switched")
        assert (told["llm"], told["mode"], told["problem"]) == ("sim/100:200", "streaming", None)
        await page.speak(*QUESTION)
        turn = await page.told("turn")
        assert (turn["llm"], turn["mode"]) == ("sim/100:200", "streaming")

    in_a_conversation(change, engines)


@pytest.mark.parametrize(
    ("wanted", "says"),
    [({"llm": "openai/gpt-5.4"}, "is not offered here"), ({"mode": "fast"}, "'fast' is not one of: sequential")],
)
def test_what_is_not_offered_cannot_be_chosen_and_changes_nothing(wanted: dict[str, str], says: str) -> None:
    async def change(page: Page) -> None:
        await page.send(type="switch", **wanted)
        told = await page.told("switched")
        assert says in told["problem"]
        assert (told["llm"], told["mode"]) == (LLM, "speculative")

    in_a_conversation(change)


def test_a_turn_that_fails_is_shown_and_the_next_one_works() -> None:
    async def fail(page: Page) -> None:
        await page.send(type="switch", mode="streaming")  # a guess that fails would be asked again
        await page.told("switched")
        await page.speak(*QUESTION)
        turn = await page.told("turn")
        assert turn["outcome"] == "failed"
        assert "broken" in turn["error"]
        await page.speak(*QUESTION)
        assert (await page.told("turn", 2))["outcome"] == "completed"

    in_a_conversation(fail, quick_engines(llm=ScriptedLLM(errors=(RuntimeError("broken"),))))


def test_turns_of_all_sessions_reach_the_sinks_numbered_as_they_finish() -> None:
    class Sink:
        def __init__(self) -> None:
            self.numbers: list[int] = []

        def turn(self, index: int, turn: TurnRecord) -> None:
            assert turn.outcome == "completed"
            self.numbers.append(index)

    async def main() -> list[int]:
        sink = Sink()
        async with serving(quick_engines(), sinks=[sink]) as (_, address):
            await asyncio.gather(ask(address), ask(address))
        return sink.numbers

    assert run_on_loopback(main()) == [0, 1]


def test_the_server_tells_its_pages_that_it_stops() -> None:
    async def goodbye(socket: aiohttp.ClientWebSocketResponse) -> tuple[int, str]:
        while (message := await socket.receive()).type is not aiohttp.WSMsgType.CLOSE:
            assert message.type is aiohttp.WSMsgType.TEXT
        return message.data, message.extra

    async def main() -> tuple[int, str]:
        async with aiohttp.ClientSession() as client:
            async with serving(quick_engines()) as (_, address):
                socket = await client.ws_connect(f"{address}/ws", headers={"Origin": address})
                await socket.receive_json()
                ended = asyncio.create_task(goodbye(socket))
            return await ended

    assert run_on_loopback(main()) == (1001, "the server was stopped")
