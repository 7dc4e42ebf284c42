"""Real AgentSessions with our plugins, in no room: scripted engines in driven time, and the real models."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from livekit.agents import AgentSession, APIError
from livekit.agents.voice.turn import TurnHandlingOptions

from agent import plugins
from agent.measure.recordings import load
from agent.room.agent_session.held_session import BEST, SetUp, held_session
from agent.room.agent_session.watch import MODE, TurnWatch
from agent.room.agent_session.watched_agent import WatchedAgent
from agent.setup.config import load_config
from agent.setup.engines import open_engines
from pipelines.errors import InputError, StageError
from pipelines.events import SAMPLE_RATE_HZ
from pipelines.stopwatch.record import TurnHeader, TurnRecord
from tests.agent.room.livekit_io import Loudspeaker, Microphone, ScriptedModel
from tests.agent.scripted_engines import LLM, scripted_engines
from tests.scripted import ENDPOINTING, ScriptedSTT, ScriptedTTS, loudness, now, voice
from tests.virtual_time import run

RECORDINGS = Path(__file__).parents[4] / "recordings"
QUESTION = voice(800)


@dataclass
class Room:
    """Where a session is heard and spoken to."""

    session: AgentSession[Any]
    microphone: Microphone
    loudspeaker: Loudspeaker
    model: ScriptedModel
    documents: list[TurnRecord] = field(default_factory=list)

    async def turns(self, count: int) -> None:
        while len(self.documents) < count:  # noqa: ASYNC110 - time passes
            await asyncio.sleep(0.01)


@asynccontextmanager
async def conversation(
    stt: ScriptedSTT, tts: ScriptedTTS, model: ScriptedModel, turn_handling: TurnHandlingOptions
) -> AsyncGenerator[Room]:
    hearing = plugins.STT(stt, endpointing=ENDPOINTING, turn_detector=None, new_probability=lambda: loudness)
    speaking = plugins.TTS(tts)
    session: AgentSession[Any] = AgentSession(
        stt=hearing,
        tts=speaking,
        llm=model,
        vad=None,
        turn_handling=turn_handling,
        tts_text_transforms=None,
        aec_warmup_duration=None,
        user_away_timeout=None,
        session_close_transcript_timeout=0,
    )
    room = Room(session, Microphone(), Loudspeaker(), model)
    watch = TurnWatch(now, {}, TurnHeader(mode=MODE, llm="scripted"), room.documents.append)
    watch.watch(session, hearing)
    session.input.audio, session.output.audio = room.microphone, room.loudspeaker
    try:
        await session.start(WatchedAgent(watch, "Be brief.", speaking, []), record=False)
        watch.tap()
        await asyncio.sleep(0.1)
        yield room
    finally:
        await session.aclose()
        await hearing.aclose()


def tiles_ms(document: TurnRecord) -> float:
    return float(sum(tile.ms for tile in document.critical_path))


@pytest.mark.parametrize("preemptive", [True, False])
def test_a_turn_is_answered_and_its_tiles_sum_to_its_latency(preemptive: bool) -> None:
    async def main() -> None:
        handling: TurnHandlingOptions = {
            **BEST.turn_handling,
            "preemptive_generation": {"enabled": preemptive, "preemptive_tts": True},
        }
        model = ScriptedModel("It is ten past three.")
        async with conversation(ScriptedSTT(), ScriptedTTS(letter_ms=10), model, handling) as room:
            began_s = room.microphone.say(QUESTION)
            await room.turns(1)
            (document,) = room.documents
            by_ear_ms = (room.loudspeaker.answers[0] - began_s) * 1_000 - 800
        assert document.outcome == "completed"
        assert document.transcript == "What time is it?"
        assert document.reply.strip() == document.heard.strip() == "It is ten past three."
        assert tiles_ms(document) == pytest.approx(document.turn_latency_ms, abs=1)
        assert document.turn_latency_ms == pytest.approx(by_ear_ms + 10, abs=45)  # windows of 32 ms, 10 ms of lead
        assert document.speculation.hit is preemptive
        assert document.stages.llm_ttft_ms == pytest.approx(50, abs=40)
        shares = {tile.stage.value: tile.ms for tile in document.critical_path}
        assert shares["endpoint"] >= (0 if preemptive else 190)
        assert document.usage.completion_tokens == 5

    run(main(), everywhere=True)


def test_an_answer_is_interrupted_by_the_user_who_is_answered_next() -> None:
    async def main() -> None:
        model = ScriptedModel("It is a very long answer that nobody hears to its end.", "Yes.")
        stt = ScriptedSTT(turns=(("What time is it?",), ("Stop.",)))
        async with conversation(stt, ScriptedTTS(), model, BEST.turn_handling) as room:
            room.microphone.say(QUESTION)
            while not room.loudspeaker.answers:  # noqa: ASYNC110 - time passes
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.3)
            room.microphone.say(voice(600))
            await room.turns(2)
        first, second = room.documents
        assert (first.outcome, second.outcome) == ("interrupted", "completed")
        assert first.cut_ms > first.turn_latency_ms
        assert second.barge_in_ms == pytest.approx(300, abs=60)
        assert room.loudspeaker.cut == 1
        # The reply begun ahead does not know yet how much of the first one was heard, so it is asked for again.
        assert model.asked == ["What time is it?", "Stop.", "Stop."]
        assert second.speculation.discards == 1
        assert second.transcript == "Stop."

    run(main(), everywhere=True)


def test_what_the_agent_says_unasked_is_no_turn_and_the_question_after_it_is_answered() -> None:
    async def main() -> None:
        model = ScriptedModel("Good.")
        async with conversation(ScriptedSTT(), ScriptedTTS(letter_ms=10), model, BEST.turn_handling) as room:
            await room.session.say("Hello.")
            room.microphone.say(QUESTION)
            await room.turns(1)
        assert [document.reply.strip() for document in room.documents] == ["Good."]

    run(main(), everywhere=True)


def test_a_turn_that_the_end_of_the_session_cuts_off_is_told_too() -> None:
    async def main() -> None:
        model = ScriptedModel("It is a very long answer that nobody hears to its end.")
        async with conversation(ScriptedSTT(), ScriptedTTS(), model, BEST.turn_handling) as room:
            room.microphone.say(QUESTION)
            while not room.loudspeaker.answers:  # noqa: ASYNC110 - time passes
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.2)
        (document,) = room.documents
        assert document.outcome == "interrupted"
        assert document.turn_latency_ms > 0

    run(main(), everywhere=True)


def test_a_fault_of_the_recogniser_costs_its_turn_and_the_session_goes_on() -> None:
    async def main() -> None:
        stt = ScriptedSTT(turns=(("No.",), ("Yes.",)), errors=(StageError("out of memory"),))
        model = ScriptedModel("Good.")
        async with conversation(stt, ScriptedTTS(letter_ms=10), model, BEST.turn_handling) as room:
            room.microphone.say(QUESTION)
            await asyncio.sleep(1.5)
            room.microphone.say(QUESTION)
            await room.turns(1)
        assert model.asked == ["Yes."]
        assert room.documents[0].outcome == "completed"

    run(main(), everywhere=True)


def test_a_fault_of_the_model_is_a_failed_turn_and_the_next_one_is_answered() -> None:
    async def main() -> None:
        model = ScriptedModel("Good.", errors=[APIError("overloaded", retryable=False)])
        async with conversation(ScriptedSTT(), ScriptedTTS(letter_ms=10), model, BEST.turn_handling) as room:
            room.microphone.say(QUESTION)
            await room.turns(1)
            room.microphone.say(QUESTION)
            await room.turns(2)
        failed, answered = room.documents
        assert failed.outcome == "failed"
        assert "overloaded" in failed.error
        assert failed.turn_latency_ms is None
        assert answered.outcome == "completed"

    run(main(), everywhere=True)


def test_without_livekits_openai_plugin_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ImportError(name)

    async def main() -> None:
        async with held_session(scripted_engines(), LLM, []):
            pass

    monkeypatch.setattr("agent.room.agent_session.held_session.import_module", missing)
    with pytest.raises(InputError, match="pip install livekit-plugins-openai"):
        asyncio.run(main())


@dataclass
class Sink:
    documents: list[TurnRecord] = field(default_factory=list)

    def turn(self, index: int, turn: TurnRecord) -> None:
        assert index == len(self.documents)
        self.documents.append(turn)


async def ask(set_up: SetUp, *names: str) -> list[tuple[TurnRecord, float]]:
    """Each recording's document, and its turn latency in ms from the labelled end of speech to the first sample."""
    speech = {"tools": False}
    sink, told, llm = Sink(), [], "sim/100:1000"
    async with AsyncExitStack() as stack:
        engines = await stack.enter_async_context(open_engines(load_config(None, {"agent": speech}), [llm]))
        held = await stack.enter_async_context(held_session(engines, llm, [sink], set_up))
        microphone, loudspeaker = Microphone(), Loudspeaker(speed=4)
        held.session.input.audio, held.session.output.audio = microphone, loudspeaker
        await held.start()
        await asyncio.sleep(0.5)
        for number, recording in enumerate(load([RECORDINGS / f"{name}.flac" for name in names])):
            began_s = microphone.say(recording.pcm)
            while len(sink.documents) <= number:  # noqa: ASYNC110 - time passes
                await asyncio.sleep(0.05)
            end_s = began_s + recording.turns[-1].end_samples / SAMPLE_RATE_HZ
            told.append((sink.documents[-1], (loudspeaker.answers[-1] - end_s) * 1_000))
            await asyncio.sleep(0.5)
    return told


@pytest.mark.slow
@pytest.mark.long
def test_the_real_models_answer_recordings_in_an_agent_session() -> None:
    pytest.importorskip("livekit.plugins.openai", reason="pip install livekit-plugins-openai")
    told = asyncio.run(ask(BEST, "coffee_shop"))
    assert [document.transcript for document, _ in told] == ["Where is the nearest coffee shop?"]
    for document, true_ms in told:
        assert document.outcome == "completed"
        assert document.simulated
        assert document.mode == "agent-session"
        assert tiles_ms(document) == pytest.approx(document.turn_latency_ms, abs=1)
        assert abs(document.turn_latency_ms - true_ms) < 150
        assert document.livekit.e2e_latency_ms > 0
