"""The scripted caller, its ears and the server itself, tried without an agent: can one rely on what it tells?"""

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import numpy as np
import pytest
from livekit import rtc
from livekit.agents.types import TOPIC_TRANSCRIPTION

from agent.measure.recordings import shipped
from tests.live.caller import Caller, joined
from tests.live.echo import echoing
from tests.live.livekit_server import LiveKitServer, livekit_server
from tests.live.room_sound import Said

pytestmark = [pytest.mark.live, pytest.mark.timeout(60)]
ROOMS = (f"caller-{number}" for number in count())
COFFEE = next(recording for recording in shipped("question_short") if recording.name == "coffee_shop")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveKitServer]:
    with livekit_server(tmp_path_factory.mktemp("livekit")) as running:
        yield running


@dataclass(frozen=True, slots=True)
class Echo:
    """What of an echo other programs can only make worse."""

    late_ms: float
    there_and_back_ms: float
    dropouts: int
    concealed_samples: int
    jitter_buffer_ms: float


def test_a_question_comes_back_from_an_echo_whole_and_soon(server: LiveKitServer) -> None:
    echoes = [asyncio.run(question_and_echo(server)) for _ in range(3)]
    assert all(echo.there_and_back_ms > 20 for echo in echoes)
    assert min(echo.there_and_back_ms for echo in echoes) < 200
    assert min(echo.late_ms for echo in echoes) < 50
    assert min(echo.jitter_buffer_ms for echo in echoes) < 60
    assert min(echo.dropouts for echo in echoes) == 0
    assert min(echo.concealed_samples for echo in echoes) == 0


async def question_and_echo(server: LiveKitServer) -> Echo:
    room, label = next(ROOMS), COFFEE.turns[0]
    async with echoing(server, room), joined(server, room) as caller:
        await caller.until(lambda: "echo" in caller.tracks, 10, "the echo's track")
        await heard_back(caller)  # both jitter buffers start large, and settle with the first speech
        before = await caller.reception("echo")
        said = await heard_back(caller)
        heard, came = caller.heard("echo"), (await caller.reception("echo")).since(before)
    _, sound = heard.sounds()
    spoken_s = (label.end_samples - label.start_samples) / 16_000
    assert sound.end_s - sound.start_s == pytest.approx(spoken_s, abs=0.15)
    assert came.lost_packets == 0
    there_and_back_ms = (sound.start_s - said.at_s(label.start_samples)) * 1_000
    return Echo(said.late_ms, there_and_back_ms, heard.dropouts(), came.concealed_samples, came.jitter_buffer_ms)


async def heard_back(caller: Caller) -> Said:
    said = caller.say(COFFEE.pcm)
    await said.over.wait()
    await caller.until_quiet(0.5, 5, "echo")
    return said


def test_what_is_said_while_another_still_speaks_is_timed_from_its_onset(server: LiveKitServer) -> None:
    async def scenario() -> tuple[float | None, float | None]:
        room = next(ROOMS)
        async with joined(server, room, "agent") as agent, joined(server, room) as caller:
            await caller.until(lambda: "agent" in caller.tracks, 10, "its track")
            agent.say(tone(seconds=10))
            onset_s = await caller.until_heard(0, 5, "agent")
            await asyncio.sleep(3)  # the jitter buffer settles
            agent.microphone.hush()
            hushed_s = time.monotonic()
            await caller.until_quiet(0.5, 5, "agent")
            heard = caller.heard("agent")
            return heard.silent_after_ms(hushed_s), heard.silent_after_ms(onset_s - 0.2)

    silent_ms, before_ms = asyncio.run(scenario())
    assert silent_ms is not None
    assert 10 < silent_ms < 200
    assert before_ms is None


def tone(seconds: float) -> "np.typing.NDArray[np.int16]":
    at = np.arange(round(seconds * 16_000))
    return (8_000 * np.sin(2 * np.pi * 440 * at / 16_000)).astype(np.int16)


def test_transcripts_attributes_data_and_calls_are_kept_with_their_times(server: LiveKitServer) -> None:
    async def scenario() -> Caller:
        room = next(ROOMS)
        async with joined(server, room, topics=(TOPIC_TRANSCRIPTION, "timing")) as caller:
            agent = server.token(room, "other", agent=True)
            async with joined(server, room, "other", speaking=False, token=agent) as other:
                await tells(other)
                await caller.until(lambda: caller.data and caller.states(), 5, "data and a state")
                await caller.until(lambda: len(caller.texts) == 2 and caller.texts[-1].ended_s, 5, "two texts")
                assert await caller.call("other", "greet", "Ann") == "hello Ann"
            await caller.until(lambda: ("other", "left") in happened(caller), 5, "the other's leaving")
            return caller

    caller = asyncio.run(scenario())
    assert caller.agent == "other"
    (words,) = caller.transcripts("caller")
    assert (words.text, words.segment, words.track, words.final) == ("Where is the station?", "SG_1", "TR_1", True)
    assert len(words.pieces) == 2
    assert 0.15 < words.pieces[1][0] - words.pieces[0][0] < 1
    assert [(text.identity, text.text) for text in caller.texts if text.topic == "timing"] == [("other", "{}")]
    assert [state for _, state in caller.states()] == ["thinking"]
    assert [(d.identity, d.topic, d.payload) for d in caller.data] == [("other", "ping", b"1")]
    assert [what for who, what in happened(caller) if who == "other"] == ["joined", "left"]


async def tells(other: Caller) -> None:
    """Send what an agent sends."""
    local = other.room.local_participant
    local.register_rpc_method("greet", greet)
    first = {"lk.segment_id": "SG_1", "lk.transcribed_track_id": "TR_1", "lk.transcription_final": "false"}
    writer = await local.stream_text(topic=TOPIC_TRANSCRIPTION, sender_identity="caller", attributes=first)
    await writer.write("Where is ")
    await asyncio.sleep(0.2)
    await writer.write("the station?")
    await writer.aclose(attributes={"lk.transcription_final": "true"})
    await local.send_text("{}", topic="timing")
    await local.set_attributes({"lk.agent.state": "thinking"})
    await local.publish_data(b"1", topic="ping")


async def greet(call: rtc.RpcInvocationData) -> str:
    return f"hello {call.payload}"


def happened(caller: Caller) -> list[tuple[str, str]]:
    return [(happening.identity, happening.what) for happening in caller.happenings]


def test_a_microphone_that_is_taken_back_and_published_again_is_heard_again(server: LiveKitServer) -> None:
    async def scenario() -> Caller:
        room = next(ROOMS)
        async with joined(server, room, "other") as other, joined(server, room) as caller:
            await caller.until(lambda: "other" in caller.tracks, 10, "its track")
            other.say(tone(0.5))
            await caller.until_heard(0, 5, "other")
            await caller.until_quiet(0.3, 5, "other")
            await other.microphone.unpublish(other.room.local_participant)
            await caller.until(lambda: ("other", "unpublished") in happened(caller), 5, "that it is gone")
            await other.microphone.publish(other.room.local_participant)
            await caller.until(lambda: happened(caller).count(("other", "published")) == 2, 5, "that it is back")
            await asyncio.sleep(0.5)
            other.say(tone(0.5))
            await caller.until_heard(time.monotonic(), 5, "other")
            await caller.until_quiet(0.5, 5, "other")
            return caller

    assert len(asyncio.run(scenario()).heard("other").sounds()) == 2


def test_the_caller_is_back_after_the_server_was_restarted(tmp_path: Path) -> None:
    async def scenario(server: LiveKitServer) -> list[str]:
        room = next(ROOMS)
        async with joined(server, room) as caller, joined(server, room, "other") as other:
            await caller.until(lambda: "other" in caller.tracks, 10, "its track")
            before = server.pid
            await asyncio.to_thread(server.restart)
            assert server.pid != before
            await caller.until(lambda: ("caller", "reconnected") in happened(caller), 20, "its return")
            restarted_s = time.monotonic()
            await caller.until(lambda: caller.room.remote_participants.get("other"), 20, "the other's return")
            other.say(tone(2))
            await caller.until_heard(restarted_s, 10, "other")
            return [what for who, what in happened(caller) if who == "caller"]

    with livekit_server(tmp_path) as server:
        assert asyncio.run(scenario(server)) == ["reconnecting", "reconnected"]


def test_without_a_server_it_is_said_where_to_get_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LIVEKIT_URL", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(pytest.skip.Exception, match=r"go build \./cmd/server") as skipped, livekit_server(tmp_path):
        pass
    assert "\n" not in str(skipped.value)
