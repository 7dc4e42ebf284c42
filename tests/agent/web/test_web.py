"""The server behind the page, over a real socket and scripted stages: turns, barge-in, limits, access, downloads."""

import asyncio
import io
import json
import logging
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import aiohttp
import numpy as np
import pytest
import soundfile
from aiohttp import web

from agent.measure.recordings import load
from agent.setup.engines import Engines
from agent.sound.wav import read_wav
from agent.web.access_policy import AccessPolicy
from agent.web.messages import SessionOverError, parse
from agent.web.output import BrowserOutput
from agent.web.page_clock import PageClock
from agent.web.serve import slider_speeds
from agent.web.server import Server, listening
from pipelines.errors import InputError
from pipelines.events import Pcm
from pipelines.stopwatch.record import TurnRecord
from tests.agent.scripted_engines import LLM, scripted_engines
from tests.agent.web.web_page import Page, opened, serving
from tests.scripted import REPLY, ScriptedLLM, ScriptedSTT, ScriptedTTS, now, silence, voice
from tests.virtual_time import run, run_on_loopback

QUESTION = silence(96), voice(704)


def quick_engines(**stages: Any) -> Engines:
    """One that speaks fast."""
    engines = scripted_engines(**stages)
    cast(ScriptedTTS, engines.tts).letter_ms = 15
    return engines


async def ask(address: str, rest: Callable[[Page], Awaitable[Any]] | None = None, **options: Any) -> dict[str, Any]:
    """One whole turn; `rest` goes on with the same page."""
    async with opened(address, **options) as page:
        await page.speak(*QUESTION)
        turn = await page.told("turn")
        if rest is not None:
            await rest(page)
        return turn


async def emptied(server: Server) -> None:
    """Until the last session is over."""
    while server.sessions:  # noqa: ASYNC110 - nobody tells
        await asyncio.sleep(0.01)


def in_a_conversation(do: Callable[[Page], Awaitable[Any]], engines: Engines | None = None) -> None:
    """Do something with one page."""

    async def main() -> None:
        async with serving(engines or quick_engines()) as (_, address), opened(address) as page:
            await page.told("welcome")
            await do(page)

    run_on_loopback(main())


# ---------------------------------------------------------------- conversing


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


# ---------------------------------------------------------------- what a page must not do


async def flood_of_audio(page: Page) -> None:
    for _ in range(200):
        await page.socket.send_bytes(bytes(3_200))


async def flood_of_text(page: Page) -> None:
    for number in range(400):
        await page.send(type="pong", number=number, at_ms=1.0)


def text(message: str) -> Callable[[Page], Awaitable[None]]:
    return lambda page: page.socket.send_str(message)


def audio(size: int) -> Callable[[Page], Awaitable[None]]:
    return lambda page: page.socket.send_bytes(bytes(size))


@pytest.mark.parametrize(
    ("misbehave", "code"),
    [
        (text("{"), 1007),
        (text('{"type": "played", "first": NaN, "end": 1, "at_ms": 1}'), 1008),
        (text("[]"), 1008),
        (text('{"type": "reboot"}'), 1008),
        (text('{"type": "switch", "llm": 7}'), 1008),
        (text('{"type": "switch", "speed": "fast"}'), 1008),
        (text('{"type": "played", "first": -1, "end": 5, "at_ms": 1}'), 1008),
        (text('{"type": "pong", "number": 1, "at_ms": 1e400}'), 1008),
        (audio(0), 1003),
        (audio(1_023), 1003),
        (audio(3_202), 1003),
        (audio(20_000), 1009),
        (text(" " * 20_000), 1009),
        (flood_of_audio, 1008),
        (flood_of_text, 1008),
    ],
)
def test_what_a_page_must_not_send_ends_its_session_and_no_other(
    misbehave: Callable[[Page], Awaitable[None]], code: int
) -> None:
    async def main() -> None:
        async with serving(quick_engines()) as (server, address), opened(address) as good, opened(address) as bad:
            await bad.told("welcome")
            with suppress(aiohttp.ClientConnectionError):  # closed in the middle of it
                await misbehave(bad)
            assert await bad.closed() == code
            await good.send(type="switch", mode="streaming")
            assert (await good.told("switched"))["mode"] == "streaming"
            assert len(server.sessions) == 1

    run_on_loopback(main())


@pytest.mark.parametrize(
    "report",
    [
        {"first": 0, "end": 10**9, "at_ms": 0.0},
        {"first": 10**9, "end": 10**9 + 1, "at_ms": 1.0},
        {"first": 5, "end": 2, "at_ms": 1.0},
        {"first": 0, "end": 2**52, "at_ms": 9e11},
    ],
)
def test_a_page_that_lies_about_its_playout_harms_nobody(report: dict[str, Any]) -> None:
    async def lie(page: Page) -> None:
        await page.send(type="played", **report)
        await page.speak(*QUESTION)
        while not page.sound:
            await page.speak(silence(32))
        await page.send(type="played", **report)
        assert (await page.told("turn"))["outcome"] == "completed"

    in_a_conversation(lie)


@pytest.mark.parametrize(
    ("headers", "query", "status"),
    [
        ({"Origin": "http://evil.example"}, "", 403),
        ({"Origin": "null"}, "", 403),
        ({}, "", 403),
        ({"Origin": "http://rebound.example", "Host": "rebound.example"}, "", 403),
    ],
)
def test_only_the_servers_own_page_may_converse(headers: dict[str, str], query: str, status: int) -> None:
    async def main() -> None:
        async with serving(quick_engines()) as (server, address), aiohttp.ClientSession() as client:
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await client.ws_connect(f"{address}/ws{query}", headers=headers)
            assert refused.value.status == status
            assert not server.sessions

    run_on_loopback(main())


def test_a_rebound_name_is_given_no_page() -> None:
    async def main() -> list[int]:
        async with serving(quick_engines()) as (_, address), aiohttp.ClientSession() as client:
            hosts = ["rebound.example", "localhost:9", "[::1]:9"]
            return [(await client.get(f"{address}/setup", headers={"Host": host})).status for host in hosts]

    assert run_on_loopback(main()) == [403, 200, 200]


def test_the_token_is_asked_for_everywhere_and_never_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)

    async def main() -> None:
        async with serving(quick_engines(), token="open-sesame") as (_, address), aiohttp.ClientSession() as client:
            for path in ("/", "/setup", "/ws", "/sessions/x/trace.jsonl", "/sessions/x/conversation.wav"):
                for query in ("", "?token=", "?token=open-sesam", "?token=%C3%A9"):
                    assert (await client.get(f"{address}{path}{query}")).status == 401, (path, query)
            assert (await client.get(f"{address}/?token=open-sesame")).status == 200
            assert (await client.get(f"{address}/page/app.js")).status == 200
            assert (await ask(address, query="?token=open-sesame"))["outcome"] == "completed"

    run_on_loopback(main())
    assert "sesam" not in caplog.text


@pytest.mark.parametrize(
    ("host", "token", "says"),
    [("0.0.0.0", None, "give --token"), ("192.168.1.5", "", "give --token"), ("127.0.0.1", " ", "--token is empty")],
)
def test_other_machines_need_a_token(host: str, token: str | None, says: str) -> None:
    with pytest.raises(InputError, match=says):
        AccessPolicy(host, token).check_setting()


def test_the_command_refuses_other_machines_without_a_token_at_once() -> None:
    command = [sys.executable, "-c", "from agent.cli import main; main()", "web", "--host", "0.0.0.0"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=15, env=os.environ, check=False)
    assert ended.returncode == 2
    assert ended.stderr.startswith("quickturn: --host 0.0.0.0 lets other machines in: give --token")


def test_a_port_in_use_is_an_input_error() -> None:
    async def main() -> None:
        async with listening(web.Application(), "127.0.0.1", 0) as port:
            with pytest.raises(InputError, match=rf"port {port}: it is in use; choose another"):
                async with listening(web.Application(), "127.0.0.1", port):
                    pass

    run_on_loopback(main())


# ---------------------------------------------------------------- what a page gets


def test_trace_and_wav_can_be_downloaded_while_the_conversation_lasts() -> None:
    async def main() -> None:
        async with serving(quick_engines()) as (_, address), aiohttp.ClientSession() as client:

            async def download(page: Page) -> None:
                await page.speak(silence(320))  # what is played is ahead of what is captured
                at = f"{address}/sessions/{page.texts[0]['session']}"
                trace = await client.get(f"{at}/trace.jsonl")
                assert "attachment" in trace.headers["Content-Disposition"]
                session, turn = (json.loads(line) for line in (await trace.text()).splitlines())
                assert session["type"] == "session"
                assert (turn["type"], turn["index"], turn["outcome"]) == ("turn", 0, "completed")
                wav = await (await client.get(f"{at}/conversation.wav")).read()
                tracks, rate_hz = soundfile.read(io.BytesIO(wav), dtype="int16")
                assert (rate_hz, tracks.shape[1]) == (16_000, 2)
                loud = [np.flatnonzero(np.abs(tracks[:, side]) > 1_000) for side in (0, 1)]
                assert loud[0][0] == 96 * 16
                answer_ms = (loud[1][0] - turn["speech_samples"][1]) / 16
                assert answer_ms == pytest.approx(turn["turn_latency_ms"], abs=15)
                assert len(loud[1]) == pytest.approx(sum(int((pcm != 0).sum()) for _, pcm in page.sound), rel=0.01)

            name = await ask(address, download)
            assert name["outcome"] == "completed"
            assert (await client.get(f"{address}/sessions/nobody/trace.jsonl")).status == 404

    run_on_loopback(main())


def test_each_conversation_is_kept_in_a_folder_of_its_own(tmp_path: Path) -> None:
    async def main() -> None:
        async with serving(quick_engines(), record=tmp_path) as (server, address):
            for _ in range(2):
                await ask(address)
                await emptied(server)

    run_on_loopback(main())
    folders = sorted(tmp_path.iterdir())
    assert len(folders) == 2
    for folder in folders:
        (recording,) = load([folder / "user.wav"])
        assert [label.text for label in recording.turns] == ["What time is it?"]
        assert len((folder / "trace.jsonl").read_text().splitlines()) == 2
        tracks = read_wav(folder / "conversation.wav")
        assert np.flatnonzero(tracks[:, 0])[0] == 96 * 16
        assert np.abs(tracks[:, 1]).max() > 1_000


def test_a_recording_that_cannot_be_written_ends_that_session_with_a_reason(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> int | None:
        async with serving(quick_engines(), record=tmp_path / "file") as (server, address), opened(address) as page:
            code = await page.closed()
            assert not server.sessions
            return code

    (tmp_path / "file").touch()
    assert run_on_loopback(main()) == 1011
    assert "a conversation is not recorded: --record" in caplog.text


def test_the_setup_offers_models_that_say_when_they_are_simulated() -> None:
    async def main() -> dict[str, Any]:
        async with serving(quick_engines()) as (_, address), aiohttp.ClientSession() as client:
            page = await client.get(f"{address}/")
            assert "default-src 'self'" in page.headers["Content-Security-Policy"]
            answer: dict[str, Any] = await (await client.get(f"{address}/setup")).json()
            return answer

    setup = run_on_loopback(main())
    assert setup["llms"][0] == {"name": LLM, "label": f"{LLM} (simulated)"}
    assert list(setup["modes"]) == ["sequential", "streaming", "speculative"]
    assert setup["stages"]["endpoint"]["colour"] == "#e69f00"


def test_the_slider_goes_from_20_to_2000_tokens_a_second_in_equal_ratios() -> None:
    rates = [float(name.rpartition(":")[2]) for name in slider_speeds()]
    assert (rates[0], rates[-1]) == (20, 2_000)
    steps = [after / before for before, after in pairwise(rates)]
    assert max(steps) < 1.2
    assert min(steps) > 1.05
    assert all(name.startswith("sim/120:") for name in slider_speeds())


def test_messages_are_read_to_the_letter() -> None:
    assert parse('{"type": "switch", "llm": "a/b"}') == parse('{"llm": "a/b", "mode": null, "type": "switch"}')
    with pytest.raises(SessionOverError, match="at_ms"):
        parse('{"type": "pong", "number": 1, "at_ms": "1"}')


# ---------------------------------------------------------------- parts


class Wire:
    """A `BrowserOutput` in driven time, with what it sent and told."""

    def __init__(self) -> None:
        self.sent: list[bytes | dict[str, object]] = []
        self.shifts: list[tuple[float, float]] = []
        self.heard: list[tuple[float, int, bool]] = []
        self.output = BrowserOutput(now, self.sent.append, self._shift, self._hear)

    def _shift(self, from_s: float, by_s: float) -> None:
        self.shifts.append((from_s, by_s))

    def _hear(self, at_s: float, pcm: Pcm, follows: bool) -> None:
        self.heard.append((at_s, len(pcm), follows))

    @property
    def samples(self) -> int:
        """How many were sent."""
        return sum((len(one) - 8) // 2 for one in self.sent if isinstance(one, bytes))


def with_output(do: Callable[[Wire], Awaitable[Any]]) -> None:
    async def main() -> None:
        wire = Wire()
        pump = asyncio.create_task(wire.output.run())
        try:
            async with asyncio.timeout(60):
                await do(wire)
        finally:
            pump.cancel()
            await asyncio.wait([pump])

    run(main())


def test_at_most_a_second_is_sent_ahead_and_a_full_queue_makes_play_wait() -> None:
    async def do(wire: Wire) -> None:
        began_s = now()
        await wire.output.play(voice(5_000))
        await asyncio.sleep(0.05)
        assert 16_000 <= wire.samples <= 19_200
        await wire.output.play(voice(100))
        assert now() - began_s == pytest.approx(3.1, abs=0.05)  # until two of the five seconds are left
        assert wire.samples == pytest.approx(4 * 16_000, abs=3_200)

    with_output(do)


def test_speech_sounds_behind_what_is_queued_and_a_report_corrects_the_guess() -> None:
    async def do(wire: Wire) -> None:
        first_s = await wire.output.play(voice(1_000))
        assert await wire.output.play(voice(500)) == pytest.approx(first_s + 1)
        await asyncio.sleep(0.3)
        wire.output.played(0, 800, first_s + 0.15)
        assert wire.shifts == [(pytest.approx(first_s - 0.002), pytest.approx(0.15))]
        assert await wire.output.play(voice(500)) == pytest.approx(first_s + 1.65)
        await asyncio.sleep(4)
        late_s = await wire.output.play(voice(100))
        assert late_s - now() == pytest.approx(0.25)  # it has learnt how long the page takes to begin

    with_output(do)


def test_a_pause_delays_what_has_not_sounded_and_clearing_ends_it() -> None:
    async def do(wire: Wire) -> None:
        first_s = await wire.output.play(voice(1_000))
        await asyncio.sleep(0.5)
        wire.output.pause()
        wire.output.pause()
        await asyncio.sleep(2)
        wire.output.resume()
        assert await wire.output.play(voice(100)) == pytest.approx(first_s + 3)
        wire.output.pause()
        wire.output.clear()
        await wire.output.drain()
        assert await wire.output.play(voice(100)) == pytest.approx(now() + 0.1)
        controls = [one["type"] for one in wire.sent if isinstance(one, dict)]
        assert controls == ["pause", "resume", "pause", "clear"]

    with_output(do)


def test_draining_waits_for_the_report_but_not_for_ever() -> None:
    async def do(wire: Wire) -> None:
        first_s = await wire.output.play(voice(1_000))
        draining = asyncio.create_task(wire.output.drain())
        await asyncio.sleep(1.5)
        assert not draining.done()
        wire.output.played(0, 16_000, first_s + 0.4)
        await draining
        assert now() == pytest.approx(first_s + 1.4, abs=0.12)
        last_s = await wire.output.play(voice(1_000))
        await wire.output.drain()
        assert now() == pytest.approx(last_s + 2, abs=0.05)

    with_output(do)


def test_what_was_cleared_is_never_sent_and_what_was_played_is_kept() -> None:
    async def do(wire: Wire) -> None:
        first_s = await wire.output.play(voice(1_900))
        await asyncio.sleep(0.3)
        wire.output.clear()
        sent = wire.samples
        await asyncio.sleep(2)
        assert wire.samples == sent
        wire.output.played(0, 3_200, first_s)
        wire.output.played(0, 3_200, first_s)  # told twice
        assert wire.heard == [(first_s, 3_200, False)]
        again_s = await wire.output.play(voice(100))
        await asyncio.sleep(0.2)
        wire.output.played(30_400, 32_000, again_s)
        assert wire.heard[1:] == [(again_s, 1_600, False)]

    with_output(do)


def test_the_fastest_ping_tells_the_pages_clock() -> None:
    async def main() -> None:
        clock = PageClock(now)
        for one_way_s, back_s in ((0.05, 0.15), (0.01, 0.01), (0.2, 0.0)):
            number = clock.ping()
            await asyncio.sleep(one_way_s)
            at_ms = (now() + 77) * 1_000
            await asyncio.sleep(back_s)
            clock.pong(number, at_ms)
            clock.pong(99, 0.0)
        assert clock.process_time_s((now() + 77) * 1_000) == pytest.approx(now(), abs=1e-6)

    run(main())
