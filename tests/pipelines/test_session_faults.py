"""A fault of any stage: the next turn works."""

import asyncio

import pytest

from pipelines.errors import StageError
from pipelines.events import ChatEvent, Pcm, ToolCall, ToolSpec
from pipelines.modes import Mode, Outcome
from pipelines.playout import AudioOutput
from pipelines.session import Session
from pipelines.session_events import Observer
from pipelines.tools import Tool
from tests.pipelines.session_scenes import (
    FIRST,
    REFUSED,
    SECOND,
    TWO,
    barging_in,
    errors,
    outcomes,
    two_turns,
)
from tests.scripted import (
    REPLY,
    ScriptedLLM,
    ScriptedSTT,
    ScriptedTTS,
    Stages,
    converse,
)


@pytest.mark.parametrize("mode", list(Mode))
@pytest.mark.parametrize("words_before_error", [0, 6])
def test_a_fault_of_the_llm_is_apologised_for_and_the_next_turn_completes(mode: Mode, words_before_error: int) -> None:
    llm = ScriptedLLM(ttft_ms=200, errors=(REFUSED,), words_before_error=words_before_error)  # after the commit
    stages = two_turns(mode=mode, llm=llm)
    replayed = converse(stages, TWO)
    assert outcomes(replayed) == [Outcome.FAILED, Outcome.COMPLETED]
    assert errors(replayed) == [REFUSED, None]
    assert "Sorry." in stages.tts.said
    assert replayed.turns[1].finished.heard == REPLY


def test_the_apology_is_part_of_what_was_heard() -> None:
    stages = two_turns(llm=ScriptedLLM(ttft_ms=200, errors=(REFUSED,)))
    converse(stages, TWO)
    assert stages.history[:2] == [("user", FIRST), ("assistant", "Sorry.")]


@pytest.mark.parametrize("mode", list(Mode))
def test_a_fault_of_the_synthesizer_fails_the_turn_and_the_next_completes(mode: Mode) -> None:
    stages = two_turns(mode=mode, tts=ScriptedTTS(ttfb_ms=100, errors=(StageError("hoarse"),)))
    replayed = converse(stages, TWO)
    assert outcomes(replayed) == [Outcome.FAILED, Outcome.COMPLETED]
    assert str(errors(replayed)[0]) == "hoarse"


@pytest.mark.parametrize("mode", list(Mode))
def test_a_fault_of_the_recogniser_is_apologised_for_and_the_next_turn_completes(mode: Mode) -> None:
    stages = Stages(mode, stt=ScriptedSTT(errors=(StageError("deaf"),)))
    replayed = converse(stages, TWO)
    assert outcomes(replayed) == [Outcome.FAILED, Outcome.COMPLETED]
    assert str(errors(replayed)[0]) == "deaf"
    assert stages.tts.said[0] == "Sorry."
    assert stages.history == [("user", FIRST), ("assistant", REPLY)]


def test_an_apology_that_cannot_be_spoken_does_not_hide_the_fault() -> None:
    stages = Stages(
        stt=ScriptedSTT(errors=(StageError("deaf"),)), tts=ScriptedTTS(errors=(RuntimeError("hoarse too"),))
    )
    replayed = converse(stages, TWO)
    assert outcomes(replayed) == [Outcome.FAILED, Outcome.COMPLETED]
    assert str(errors(replayed)[0]) == "deaf"


@pytest.mark.parametrize("mode", list(Mode))
def test_a_recogniser_that_hangs_is_apologised_for_and_the_next_turn_completes(mode: Mode) -> None:
    stages = Stages(mode, stt=ScriptedSTT(hanging=(0,)))
    replayed = converse(stages, TWO)
    assert outcomes(replayed) == [Outcome.FAILED, Outcome.COMPLETED]
    assert str(errors(replayed)[0]) == "speech to text 'scripted' gave no final transcript within 10 s"
    assert stages.tts.said[0] == "Sorry."
    assert stages.history == [("user", FIRST), ("assistant", REPLY)]


@pytest.mark.parametrize("mode", list(Mode))
def test_a_synthesizer_that_hangs_fails_the_turn_and_the_next_completes(mode: Mode) -> None:
    llm = ScriptedLLM(replies=("Noon.", "Nine."))
    stages = two_turns(mode=mode, llm=llm, tts=ScriptedTTS(hanging=("Noon.",)))
    replayed = converse(stages, TWO)
    assert outcomes(replayed) == [Outcome.FAILED, Outcome.COMPLETED]
    assert str(errors(replayed)[0]) == "no speech within 10 s (reply.tts_timeout_s)"
    assert stages.history == [("user", f"{FIRST} {SECOND}"), ("assistant", "Nine.")]


def test_an_apology_that_hangs_does_not_hold_up_the_conversation() -> None:
    stages = Stages(stt=ScriptedSTT(errors=(StageError("deaf"),)), tts=ScriptedTTS(hanging=("Sorry.",)))
    replayed = converse(stages, TWO)
    assert outcomes(replayed) == [Outcome.FAILED, Outcome.COMPLETED]
    assert str(errors(replayed)[0]) == "deaf"


class LooseCable:
    """An output whose first sound is lost to a fault of the device."""

    def __init__(self, output: AudioOutput) -> None:
        self._output = output
        self._broken = True
        self.sample_rate_hz = output.sample_rate_hz

    async def play(self, pcm: Pcm) -> float:
        if self._broken:
            self._broken = False
            raise OSError("no such device")
        return await self._output.play(pcm)

    def pause(self) -> None:
        self._output.pause()

    def resume(self) -> None:
        self._output.resume()

    async def drain(self) -> None:
        await self._output.drain()

    def clear(self) -> None:
        self._output.clear()


@pytest.mark.parametrize("mode", list(Mode))
def test_a_fault_of_the_output_fails_the_turn_and_the_next_completes(mode: Mode) -> None:
    class Cabled(Stages):
        def build(self, output: AudioOutput, observer: Observer) -> Session:
            return super().build(LooseCable(output), observer)

    replayed = converse(Cabled(mode), TWO)
    assert outcomes(replayed) == [Outcome.FAILED, Outcome.COMPLETED]
    assert str(errors(replayed)[0]) == "audio output failed: OSError('no such device')"


class LostWhilePaused(LooseCable):
    """An output that is lost in the first pause, and comes back for the next answer."""

    def __init__(self, output: AudioOutput) -> None:
        super().__init__(output)
        self._broken = False
        self._lost = asyncio.Event()

    async def drain(self) -> None:
        draining = asyncio.create_task(super().drain())
        lost = asyncio.create_task(self._lost.wait())
        await asyncio.wait({draining, lost}, return_when=asyncio.FIRST_COMPLETED)
        for task in (draining, lost):
            task.cancel()
        if self._lost.is_set():
            self._lost.clear()
            raise OSError("no such device")

    def pause(self) -> None:
        super().pause()
        self._lost.set()


def test_an_answer_whose_output_fails_in_a_pause_leaves_the_output_free_for_the_next() -> None:
    class Cabled(Stages):
        def build(self, output: AudioOutput, observer: Observer) -> Session:
            return super().build(LostWhilePaused(output), observer)

    stages = Cabled(stt=ScriptedSTT(turns=((FIRST,), (SECOND,))), llm=ScriptedLLM(replies=("One " * 20, "Nine.")))
    replayed = barging_in(stages, 300)
    assert outcomes(replayed) == [Outcome.FAILED, Outcome.COMPLETED]
    second = replayed.turns[1].finished
    assert second.heard == "Nine."
    playout = second.turn.answer.reply.playout if second.turn.answer else None
    assert playout is not None
    assert playout.audible_s is not None
    assert replayed.agent[round((playout.audible_s - 1_000) * 16_000) :].any()


def test_a_tool_turn_is_marked() -> None:
    async def ring() -> str:
        return "rung"

    call: list[ChatEvent] = [ToolCall("1", "ring", "{}")]
    tool = Tool(ToolSpec("ring", "Ring.", {"type": "object"}), ring)
    assert outcomes(converse(Stages(llm=ScriptedLLM(events=(call,)), tools=[tool]))) == [Outcome.TOOL]
