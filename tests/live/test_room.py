"""The agent in a room of a real LiveKit server, judged by what a caller hears, reads and sees.

Each test is one call. The agent is a process of its own (`quickturn room join`) with the shipped engines and the
simulated LLM; nothing of LiveKit is a double.
"""

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest
from livekit import api, rtc

from agent.measure.recordings import Recording, shipped
from agent.room.controls import ATTRIBUTE_LLM, ATTRIBUTE_LLMS, SWITCH_METHOD, TURN_TOPIC
from pipelines.events import SAMPLE_RATE_HZ
from tests.live.caller import Caller, joined
from tests.live.livekit_server import LiveKitServer, livekit_server
from tests.live.room_agent import LLM, Agent, quickturn_room
from tests.live.room_sound import Said

pytestmark = [pytest.mark.live, pytest.mark.timeout(120)]

OTHER_LLM = "sim/gpu-cloud-8b"
TOPICS = ("lk.transcription", TURN_TOPIC)
SETTLE_S = 1.0


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveKitServer]:
    with livekit_server(tmp_path_factory.mktemp("livekit")) as running:
        yield running


def recording(name: str) -> Recording:
    return next(one for one in shipped() if one.name == name)


def say(caller: Caller, name: str) -> tuple[Said, int]:
    """Begin to say a recording; and where in it the speech ends."""
    spoken = recording(name)
    label = spoken.turns[0]
    pcm = spoken.pcm[label.clip_start_samples : label.clip_end_samples]
    return caller.say(pcm), label.end_samples - label.clip_start_samples


async def answered(caller: Caller, name: str) -> float:
    """Ask, and hear the whole answer; returns the turn latency as heard, in ms."""
    said, end = say(caller, name)
    await said.over.wait()
    speech_end_s = said.at_s(end)
    heard_s = await caller.until_heard(speech_end_s, 5)
    await caller.until(lambda: caller.states()[-1][1] == "listening", 20, "the end of the answer")
    return (heard_s - speech_end_s) * 1_000


def in_room(
    server: LiveKitServer,
    folder: Path,
    room: str,
    call: Callable[[Caller, Agent], Coroutine[Any, Any, None]],
    **how: Any,
) -> Agent:
    """An agent in `room`, and one caller, who does `call`; returns when both have left."""

    async def main(agent: Agent) -> None:
        async with joined(server, room, topics=TOPICS) as caller:
            await caller.until(lambda: caller.agent and caller.states(), 20, "an agent that listens")
            await call(caller, agent)

    with quickturn_room(server, folder, "join", "--room", room, **how) as agent:
        agent.until_line("in room")
        asyncio.run(main(agent))
    return agent


def heard_words(text: str) -> list[str]:
    return text.lower().replace("?", "").replace(",", "").replace(".", "").split()


def test_a_whole_turn_is_heard_read_and_timed(server: LiveKitServer, tmp_path: Path) -> None:
    latencies: list[float] = []
    told: list[dict[str, Any]] = []

    async def call(caller: Caller, agent: Agent) -> None:
        latencies.append(await answered(caller, "coffee_shop"))
        await caller.until(lambda: [t for t in caller.texts if t.topic == TURN_TOPIC and t.ended_s], 3, "its timings")
        told.extend(json.loads(t.text) for t in caller.texts if t.topic == TURN_TOPIC)
        mine, agents = caller.transcripts(caller.identity), caller.transcripts(caller.agent)
        assert len(mine) > 2, "partial transcripts come while the user speaks"
        assert [t.final for t in mine] == [False] * (len(mine) - 1) + [True]
        assert {t.segment for t in mine} == {mine[0].segment}
        assert mine[-1].text == "Where is the nearest coffee shop?"
        assert {t.track for t in mine} == {caller.microphone.track.sid}
        (answer,) = agents
        assert answer.final
        assert answer.track == caller.tracks[caller.agent].sid
        spread_s = answer.pieces[-1][0] - answer.pieces[0][0]
        assert spread_s > 2, "its words come as they are heard"
        assert [state for _, state in caller.states()] == ["listening", "thinking", "speaking", "listening"]
        assert caller.heard().dropouts() == 0

    agent = in_room(server, tmp_path, "turn", call)
    (turn,) = agent.turns()
    assert told == [{key: value for key, value in turn.items() if key in told[0]}]
    assert (turn["room"], turn["participant"], turn["outcome"]) == ("turn", "caller", "completed")
    network_ms = latencies[0] - turn["turn_latency_ms"]
    print(f"heard {latencies[0]:.0f} ms, traced {turn['turn_latency_ms']:.0f} ms, network {network_ms:.0f} ms")
    assert 20 < network_ms < 250


def test_a_barge_in_is_heard_as_silence_at_once(server: LiveKitServer, tmp_path: Path) -> None:
    silences: list[float] = []

    async def call(caller: Caller, agent: Agent) -> None:
        said, end = say(caller, "why_so_fast")
        await said.over.wait()
        heard_s = await caller.until_heard(said.at_s(end), 5)
        await asyncio.sleep(max(0.0, heard_s + 1.0 - asyncio.get_running_loop().time()))
        interruption = recording("barge_in_wait")
        label = interruption.turns[-1]
        onset = label.start_samples - label.clip_start_samples
        stop = caller.say(interruption.pcm[label.clip_start_samples : label.clip_end_samples])
        await stop.over.wait()
        await caller.until_quiet(0.5, 3)
        silent_ms = caller.heard().silent_after_ms(stop.at_s(onset))
        assert silent_ms is not None
        silences.append(silent_ms)
        await caller.until(lambda: len(agent.turns()) >= 1, 5, "the turn's end")

    agent = in_room(server, tmp_path, "barge-in", call)
    print(f"silent {silences[0]:.0f} ms after the onset")
    assert silences[0] < 600
    turn = agent.turns()[0]
    assert turn["outcome"] == "interrupted"
    assert len(turn["heard"]) < len(turn["reply"])


def test_a_track_may_be_muted_taken_back_and_published_anew(server: LiveKitServer, tmp_path: Path) -> None:
    async def call(caller: Caller, agent: Agent) -> None:
        await answered(caller, "coffee_shop")
        caller.microphone.track.mute()
        said, _ = say(caller, "train_station")
        await said.over.wait()
        await asyncio.sleep(SETTLE_S)
        caller.microphone.track.unmute()
        await answered(caller, "a_joke")
        await caller.microphone.unpublish(caller.room.local_participant)
        await asyncio.sleep(SETTLE_S)
        await caller.microphone.publish(caller.room.local_participant)
        await asyncio.sleep(SETTLE_S)
        await answered(caller, "capital_of_norway")

    agent = in_room(server, tmp_path, "mute", call)
    assert [turn["outcome"] for turn in agent.turns()] == ["completed"] * 3
    assert len({turn["participant"] for turn in agent.turns()}) == 1


def test_a_turn_whose_track_vanishes_in_mid_sentence_ends(server: LiveKitServer, tmp_path: Path) -> None:
    async def call(caller: Caller, agent: Agent) -> None:
        said, end = say(caller, "coffee_shop")
        await caller.until(lambda: len(said.spoken_s) * 160 > end - SAMPLE_RATE_HZ // 2, 5, "most of the sentence")
        await caller.microphone.unpublish(caller.room.local_participant)
        await caller.until(lambda: agent.turns(), 10, "the turn's end")

    agent = in_room(server, tmp_path, "vanish", call)
    assert agent.turns()[0]["transcript"]


def test_a_caller_who_comes_back_goes_on_and_another_must_wait(server: LiveKitServer, tmp_path: Path) -> None:
    async def main(agent: Agent) -> None:
        async with joined(server, "return", "ada", topics=TOPICS) as ada:
            await ada.until(lambda: ada.agent and ada.states(), 20, "an agent that listens")
            await answered(ada, "coffee_shop")
            async with joined(server, "return", "bob", topics=TOPICS) as bob:
                said, _ = say(bob, "train_station")
                await said.over.wait()
                await asyncio.sleep(SETTLE_S)
                assert bob.agent
                assert not bob.heard().sounds(), "whoever is not answered is not heard"
        await asyncio.sleep(SETTLE_S)
        async with joined(server, "return", "ada", topics=TOPICS) as ada:
            await ada.until(lambda: ada.agent and ada.states(), 20, "an agent that listens")
            await asyncio.sleep(SETTLE_S)
            await answered(ada, "a_joke")
        agent.until_line("ada has left", after=agent.lines.index("ada has come back"))
        async with joined(server, "return", "bob", topics=TOPICS) as bob:
            agent.until_line("answering bob", 10)
            await asyncio.sleep(SETTLE_S)
            await answered(bob, "capital_of_norway")

    with quickturn_room(server, tmp_path, "join", "--room", "return", config="[room]\nabsent_s = 4.0\n") as agent:
        agent.until_line("in room")
        asyncio.run(main(agent))
    assert [turn["participant"] for turn in agent.turns()] == ["ada", "ada", "bob"]


def test_the_llm_is_switched_from_the_room_and_a_wrong_wish_changes_nothing(
    server: LiveKitServer, tmp_path: Path
) -> None:
    async def call(caller: Caller, agent: Agent) -> None:
        async def refused(payload: str) -> str:
            with pytest.raises(rtc.RpcError) as refusal:
                await caller.call(caller.agent, SWITCH_METHOD, payload)
            return refusal.value.message

        def shown(name: str) -> str:
            return [a.value for a in caller.attributes if a.name == name][-1]

        await caller.until(lambda: [a for a in caller.attributes if a.name == ATTRIBUTE_LLMS], 5, "the choice")
        assert json.loads(shown(ATTRIBUTE_LLMS)) == [LLM, OTHER_LLM]
        await answered(caller, "coffee_shop")
        assert "is not offered here" in await refused('{"llm": "openai/gpt-4o"}')
        assert "mode 'slow' is not one of" in await refused('{"mode": "slow"}')
        assert "extra inputs" in await refused('{"model": "x"}')
        assert "invalid json" in await refused("nonsense")
        payload = json.dumps({"llm": OTHER_LLM, "mode": "streaming"})
        assert json.loads(await caller.call(caller.agent, SWITCH_METHOD, payload)) == json.loads(payload)
        await caller.until(lambda: shown(ATTRIBUTE_LLM) == OTHER_LLM, 3, "the new LLM to be shown")
        await answered(caller, "a_joke")

    agent = in_room(server, tmp_path, "switch", call, llms=(LLM, OTHER_LLM))
    used = [(turn["llm"], turn["mode"]) for turn in agent.turns()]
    assert used == [(LLM, "speculative"), (OTHER_LLM, "streaming")]


def test_a_greeting_is_heard_and_read_and_ends_when_the_caller_speaks(server: LiveKitServer, tmp_path: Path) -> None:
    async def call(caller: Caller, agent: Agent) -> None:
        await caller.until_heard(0.0, 5)
        await caller.until(lambda: caller.states()[-1][1] == "listening", 10, "the greeting's end")
        assert [t.text for t in caller.transcripts(caller.agent) if t.final] == ["Hello. What is your question?"]
        await answered(caller, "coffee_shop")

    agent = in_room(server, tmp_path, "greeting", call, config='[room]\ngreeting = "Hello. What is your question?"\n')
    assert [turn["outcome"] for turn in agent.turns()] == ["completed"]


def test_a_room_that_is_closed_ends_the_stay(server: LiveKitServer, tmp_path: Path) -> None:
    async def main(agent: Agent) -> None:
        async with (
            api.LiveKitAPI(server.url, server.api_key, server.api_secret) as control,
            joined(server, "closed", topics=TOPICS) as caller,
        ):
            await caller.until(lambda: caller.agent and caller.states(), 20, "an agent that listens")
            await control.room.delete_room(api.DeleteRoomRequest(room="closed"))
            await asyncio.to_thread(agent.until_line, "the room was closed", 10)

    with quickturn_room(server, tmp_path, "join", "--room", "closed") as agent:
        agent.until_line("in room")
        asyncio.run(main(agent))
        assert agent.process.wait(10) == 0


def test_a_server_that_restarts_gets_the_agent_back(server: LiveKitServer, tmp_path: Path) -> None:
    async def first() -> None:
        async with joined(server, "restart", topics=TOPICS) as caller:
            await caller.until(lambda: caller.agent and caller.states(), 20, "an agent that listens")
            await answered(caller, "coffee_shop")

    async def again() -> None:
        async with joined(server, "restart", topics=TOPICS) as caller:
            await caller.until(lambda: caller.agent and caller.states(), 40, "an agent that listens")
            await asyncio.sleep(SETTLE_S)
            await answered(caller, "a_joke")

    with quickturn_room(server, tmp_path, "join", "--room", "restart") as agent:
        agent.until_line("in room")
        asyncio.run(first())
        server.restart()
        asyncio.run(again())
    assert [turn["outcome"] for turn in agent.turns()] == ["completed", "completed"]


def test_what_keeps_the_agent_out_is_one_line(server: LiveKitServer, tmp_path: Path) -> None:
    def ends(*arguments: str, **changed: str) -> tuple[int, str]:
        command = [sys.executable, "-c", "from agent.cli import main; main()", "room", "join", "--room", "door"]
        done = subprocess.run(
            [*command, "--llm", LLM, *arguments],
            env=server.environment | changed,
            capture_output=True,
            text=True,
            timeout=60,
        )
        (line,) = [line for line in done.stderr.splitlines() if line.startswith("quickturn: ")]
        assert "Traceback" not in done.stderr
        return done.returncode, line

    code, line = ends(LIVEKIT_API_SECRET="not-the-secret-not-the-secret-not-the-secret")
    assert (code, "refuses the API key" in line) == (2, True), line
    code, line = ends(LIVEKIT_API_KEY="nobody")
    assert (code, "refuses the API key" in line) == (2, True), line
    code, line = ends(LIVEKIT_URL="ws://127.0.0.1:9")
    assert (code, "cannot be reached" in line) == (1, True), line
    code, line = ends(LIVEKIT_URL="127.0.0.1:7880")
    assert (code, "is not a LiveKit address" in line) == (2, True), line
    code, line = ends("--token", server.token("door", "agent", ttl_s=-3_600))
    assert (code, "has expired" in line) == (2, True), line
    code, line = ends(LIVEKIT_API_KEY="")
    assert (code, "LIVEKIT_API_KEY" in line) == (2, True), line
