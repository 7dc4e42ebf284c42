import asyncio
import gc
import warnings
from collections.abc import AsyncGenerator

import numpy as np
import pytest

from agent.measure.replay import Replayed, VirtualOutput
from pipelines.errors import LLMError, LLMFault, QuickturnError, StageError
from pipelines.events import ChatEvent, ChatMessage, Pcm, ToolCall, ToolSpec
from pipelines.modes import Mode, Outcome
from pipelines.playout import AudioOutput
from pipelines.session import Session
from pipelines.session_events import Observer, SessionEvent, TurnBegan, TurnCommitted, TurnFinished
from pipelines.tools import Tool
from tests.scripted import (
    REPLY,
    ScriptedLLM,
    ScriptedSTT,
    ScriptedTTS,
    Stages,
    converse,
    dialogue,
    microphone,
    ms,
    now,
    question,
    recording,
    silence,
    voice,
)
from tests.virtual_time import cancel_after, run

FIRST, SECOND = "What time is it?", "And in Tokyo?"
CLIP = question().pcm
TWO = dialogue((FIRST, CLIP, None), (SECOND, CLIP, None))
REFUSED = LLMError("too many requests", LLMFault.RATE_LIMITED)


def two_turns(**parts: object) -> Stages:
    return Stages(stt=ScriptedSTT(turns=((FIRST,), (SECOND,))), **parts)  # type: ignore[arg-type]


def barging_in(stages: Stages, after_ms: int) -> Replayed:
    """The second question comes `after_ms` after the answer to the first began to sound."""
    return converse(stages, dialogue((FIRST, CLIP, None), (SECOND, CLIP, after_ms)))


def outcomes(replayed: Replayed) -> list[Outcome]:
    return [turn.finished.outcome for turn in replayed.turns]


def errors(replayed: Replayed) -> list[QuickturnError | None]:
    return [turn.finished.error for turn in replayed.turns]


def prompt(messages: list[ChatMessage]) -> list[tuple[str, str]]:
    return [(message.role, message.text) for message in messages]


# ---------------------------------------------------------------- the conversation


@pytest.mark.parametrize("mode", list(Mode))
def test_each_turn_is_sent_with_what_was_said_before_it(mode: Mode) -> None:
    stages = two_turns(mode=mode, llm=ScriptedLLM(replies=("Noon.", "Nine.")))
    converse(stages, TWO)
    assert prompt(stages.llm.requests[1]) == [
        ("system", "Be brief."),
        ("user", FIRST),
        ("assistant", "Noon."),
        ("user", SECOND),
    ]
    assert stages.history == [("user", FIRST), ("assistant", "Noon."), ("user", SECOND), ("assistant", "Nine.")]


def test_a_discarded_guess_leaves_nothing_in_the_history() -> None:
    stages = Stages(stt=ScriptedSTT(partials=((600, "What was it?", True),)), llm=ScriptedLLM(reply="Noon."))
    converse(stages)
    assert stages.history == [("user", FIRST), ("assistant", "Noon.")]


def test_a_turn_without_words_leaves_nothing_in_the_history() -> None:
    stages = Stages(stt=ScriptedSTT(("",)))
    converse(stages)
    assert stages.history == []


def test_old_turns_are_dropped_at_the_context_window_and_the_system_prompt_is_kept() -> None:
    texts = ("one " * 100, "two " * 100, "Three?")
    stages = Stages(
        stt=ScriptedSTT(turns=tuple((text,) for text in texts)),
        llm=ScriptedLLM(reply="Yes."),
        context_window_tokens=400 + 3 + 4 + 140,  # the reply, the system prompt, one long turn with its answer
    )
    converse(stages, dialogue(*((text, CLIP, None) for text in texts)))
    assert [message.text for message in stages.llm.requests[2]] == ["Be brief.", "two " * 100, "Yes.", "Three?"]


def test_the_observer_hears_of_a_turn_in_order() -> None:
    events: list[SessionEvent] = []

    class Noting(Stages):
        def build(self, output: AudioOutput, observer: Observer) -> Session:
            def note(event: SessionEvent) -> None:
                events.append(event)
                observer(event)

            return super().build(output, note)

    converse(Noting())
    assert [type(event) for event in events] == [TurnBegan, TurnCommitted, TurnFinished]
    assert len({id(event.turn) for event in events}) == 1


# ---------------------------------------------------------------- faults: the next turn works


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


# ---------------------------------------------------------------- barge-in


def test_a_barge_in_cuts_the_answer_and_is_answered_itself() -> None:
    replayed = barging_in(two_turns(), 700)
    assert outcomes(replayed) == [Outcome.INTERRUPTED, Outcome.COMPLETED]
    assert replayed.turns[1].finished.heard == REPLY


def test_the_output_falls_silent_as_soon_as_the_barge_in_is_sure() -> None:
    replayed = barging_in(two_turns(), 700)
    _, second = (turn.finished.turn for turn in replayed.turns)
    cut_s = replayed.turns[0].finished.cut_s
    assert cut_s is not None
    assert cut_s - 1_000 == pytest.approx(second.utterance.started_samples / 16_000 + 0.04, abs=0.03)
    assert second.answer is not None
    answered = round((second.answer.reply.playout.audible_s or 0) * 16_000) - 16_000_000
    cut = round((cut_s - 1_000) * 16_000)
    assert replayed.agent[cut - 160 : cut].any()
    assert not replayed.agent[cut:answered].any()


def test_the_history_holds_only_what_was_heard_cut_at_a_word() -> None:
    stages = two_turns()
    replayed = barging_in(stages, 430)
    finished = replayed.turns[0].finished
    assert finished.turn.answer is not None
    assert finished.cut_s is not None
    (playing,) = [u for u in finished.turn.answer.reply.playout.played if u.start_s < finished.cut_s]
    letters = len(playing.text) * (finished.cut_s - playing.start_s) / (playing.end_s - playing.start_s)
    assert finished.heard == "It is ten"
    assert len("It is ten") <= letters < len("It is ten past")
    assert stages.history[:3] == [("user", FIRST), ("assistant", "It is ten"), ("user", SECOND)]


@pytest.mark.parametrize("mode", list(Mode))
def test_speech_that_goes_on_while_the_agent_thinks_is_one_turn(mode: Mode) -> None:
    both = f"{FIRST} {SECOND}"
    stages = Stages(mode, stt=ScriptedSTT((FIRST, both)), llm=ScriptedLLM(ttft_ms=3_000))
    pause = silence(1_024)  # long enough to end the turn in each mode, too short for any answer
    replayed = converse(stages, question(voice(640), pause, voice(640)))
    assert outcomes(replayed) == [Outcome.COMPLETED]
    assert prompt(stages.llm.requests[-1]) == [("system", "Be brief."), ("user", both)]
    assert stages.history == [("user", both), ("assistant", REPLY)]
    assert stages.llm.cancelled == 1
    turn = replayed.turns[0].finished.turn
    assert len(turn.resumed_s) == 1
    assert turn.ended is not None
    assert turn.ended.transcript.text == both


@pytest.mark.parametrize("mode", list(Mode))
def test_digits_with_long_pauses_between_them_are_one_turn(mode: Mode) -> None:
    said = ("The code is four.", "The code is four. Eight.", "The code is four. Eight. Two.")
    stages = Stages(mode, stt=ScriptedSTT(said), llm=ScriptedLLM(ttft_ms=2_000))
    pause = silence(768)
    converse(stages, question(voice(640), pause, voice(320), pause, voice(320)))
    assert stages.history == [("user", said[-1]), ("assistant", REPLY)]


@pytest.mark.parametrize("mode", list(Mode))
def test_a_cough_before_the_answer_is_heard_delays_it_and_asks_nothing_anew(mode: Mode) -> None:
    stages = Stages(mode, stt=ScriptedSTT((FIRST, FIRST)), llm=ScriptedLLM(ttft_ms=1_000))
    replayed = converse(stages, question(voice(640), silence(768), voice(128)))
    assert outcomes(replayed) == [Outcome.COMPLETED]
    assert stages.history == [("user", FIRST), ("assistant", REPLY)]
    assert len(stages.llm.requests) == 1


def test_nothing_is_heard_of_an_answer_while_the_user_goes_on() -> None:
    """The answer is ready 100 ms after the user has begun to speak again, and fits the words by chance."""
    stages = Stages(stt=ScriptedSTT((FIRST, FIRST)), llm=ScriptedLLM(ttft_ms=500, tokens_per_s=1_000))
    replayed = converse(stages, question(voice(640), silence(448), voice(1_024)))
    audible_s = replayed.turns[0].finished.turn.answer.reply.playout.audible_s  # type: ignore[union-attr]
    assert audible_s is not None
    assert audible_s - replayed.epoch_s >= (320 + 640 + 448 + 1_024 + 200) / 1_000


def test_a_barge_in_cancels_the_request() -> None:
    stages = two_turns(llm=ScriptedLLM(reply="One. " * 200, tokens_per_s=20))
    barging_in(stages, 500)
    assert stages.llm.cancelled == 1


def test_a_barge_in_cancels_the_synthesis() -> None:
    stages = two_turns(llm=ScriptedLLM(replies=("One. Two.", "Noon.")), tts=ScriptedTTS(hanging=("Two.",)))
    barging_in(stages, 0)
    assert stages.tts.cancelled == 1


def test_a_barge_in_on_a_long_sentence_is_answered_at_once() -> None:
    """More speech is ready than the output queues: the turn waits for room when it is cut."""
    stages = two_turns(llm=ScriptedLLM(reply=" ".join(["This is a long sentence that never seems to end."] * 5)))
    finished = barging_in(stages, 1_130).turns[0].finished
    assert finished.heard == "This is a long sentence"


@pytest.mark.parametrize("sound", ["Uh-huh.", "", "Okay, right."])
def test_after_a_sound_that_is_no_interruption_the_agent_goes_on_where_it_was(sound: str) -> None:
    long = "One two three four five six seven eight nine ten. " * 2
    stages = Stages(stt=ScriptedSTT(turns=((FIRST,), (sound,))), llm=ScriptedLLM(reply=long.strip()))
    alone = converse(Stages(llm=ScriptedLLM(reply=long.strip())))
    sounding = np.concatenate([voice(288), silence(4_000)])
    replayed = converse(stages, dialogue((FIRST, CLIP, None), (sound, sounding, 700)))
    assert outcomes(replayed) == [Outcome.COMPLETED]
    assert stages.history == [("user", FIRST), ("assistant", long.strip())]
    (start,) = replayed.turns[0].finished.turn.false_starts
    paused, resumed = (round((at_s - 1_000) * 16_000) for at_s in (start.paused_s, start.resumed_s))
    assert not replayed.agent[paused:resumed].any()
    assert resumed - paused < ms(500)  # the rest of the sound, the silence that ends it, and its transcript
    spoken = np.concatenate([replayed.agent[:paused], replayed.agent[resumed:]])
    assert np.count_nonzero(spoken) == np.count_nonzero(alone.agent)
    assert spoken[: len(alone.agent)].any()


def test_a_sound_in_which_no_word_is_understood_holds_the_agent_for_a_bounded_time() -> None:
    stages = Stages(stt=ScriptedSTT(turns=((FIRST,), ("",))), llm=ScriptedLLM(reply="One two three four. " * 20))
    music = np.concatenate([voice(6_000), silence(3_000)])
    replayed = converse(stages, dialogue((FIRST, CLIP, None), ("", music, 700)))
    first, *_ = replayed.turns[0].finished.turn.false_starts
    assert first.resumed_s - first.paused_s == pytest.approx(2.0, abs=0.05)
    assert outcomes(replayed) == [Outcome.COMPLETED]


def test_words_after_a_backchannel_still_interrupt() -> None:
    said = ((FIRST,), ("Uh-huh.", "Uh-huh. But what about Tokyo?"))
    stages = Stages(stt=ScriptedSTT(turns=said), llm=ScriptedLLM(replies=("One two three four. " * 20, "Nine.")))
    sound = np.concatenate([voice(320), silence(160), voice(640), silence(320)])
    replayed = converse(stages, dialogue((FIRST, CLIP, None), (said[1][1], sound, 700)))
    assert outcomes(replayed) == [Outcome.INTERRUPTED, Outcome.COMPLETED]
    assert stages.history[2] == ("user", said[1][1])


def test_a_gap_inside_the_words_that_interrupt_does_not_let_the_agent_go_on() -> None:
    """Nothing was understood of the sound before the gap, and the transcript that says so comes at once."""
    said = ((FIRST,), ("", "What about Tokyo?"))
    stages = Stages(stt=ScriptedSTT(turns=said), llm=ScriptedLLM(replies=("One two three four. " * 20, "Nine.")))
    sound = np.concatenate([voice(128), silence(96), voice(640), silence(320)])
    replayed = converse(stages, dialogue((FIRST, CLIP, None), (said[1][1], sound, 700)))
    assert outcomes(replayed) == [Outcome.INTERRUPTED, Outcome.COMPLETED]
    assert replayed.turns[0].finished.turn.false_starts == []


def test_what_is_said_as_the_answer_ends_is_an_answer_to_it() -> None:
    stages = Stages(stt=ScriptedSTT(turns=((FIRST,), ("Yes.",))), llm=ScriptedLLM(reply="Do you want more?"))
    length_ms = 50 * len("Do you want more?")
    replayed = converse(stages, dialogue((FIRST, CLIP, None), ("Yes.", CLIP, length_ms - 450)))
    assert len(replayed.turns) == 2
    assert ("user", "Yes.") in stages.history


@pytest.mark.parametrize("closing_ms", [0, 3_000])
def test_a_connection_that_is_slow_to_close_delays_neither_the_silence_nor_the_next_answer(closing_ms: float) -> None:
    """The cut answer is over at once, its turn only after the next answer has begun: of that nothing may be lost."""
    long = "One two three. " * 20
    stages = two_turns(llm=ScriptedLLM(replies=(long, "Four."), tokens_per_s=10, closing_ms=closing_ms))
    stages.tts.letter_ms = 500
    replayed = barging_in(stages, 700)
    first, second = (turn.finished for turn in replayed.turns)
    assert (first.outcome, second.outcome) == (Outcome.INTERRUPTED, Outcome.COMPLETED)
    assert first.cut_s is not None
    assert first.cut_s - 1_000 == pytest.approx(second.turn.utterance.started_samples / 16_000 + 0.04, abs=0.03)
    cut = round((first.cut_s - 1_000) * 16_000)
    assert second.turn.answer is not None
    (four,) = second.turn.answer.reply.playout.played
    start, end = (round((at_s - 1_000) * 16_000) for at_s in (four.start_s, four.end_s))
    assert not replayed.agent[cut:start].any()
    assert np.count_nonzero(replayed.agent[start:end]) == ms(500 * len("Four."))
    assert len(replayed.agent) == end


@pytest.mark.parametrize("after_ms", [0, 100])
def test_an_apology_can_be_barged_in_on(after_ms: int) -> None:
    stages = Stages(stt=ScriptedSTT(errors=(StageError("deaf"),)))
    stages.tts.letter_ms = 500
    replayed = converse(stages, recording(CLIP, silence(500 + after_ms), CLIP))
    assert outcomes(replayed) == [Outcome.INTERRUPTED, Outcome.COMPLETED]
    first, second = (turn.finished for turn in replayed.turns)
    assert first.cut_s is not None
    assert second.turn.answer is not None
    cut, answered = (
        round((at_s - 1_000) * 16_000) for at_s in (first.cut_s, second.turn.answer.reply.playout.played[0].start_s)
    )
    assert replayed.agent[:cut].any()
    assert not replayed.agent[cut:answered].any()


# ---------------------------------------------------------------- cancelled anywhere


class Conversation:
    """One question asked through a microphone and answered aloud, on the running loop."""

    def __init__(self, mode: Mode) -> None:
        partials = ((100, "What time was it?", True), (150, "What time is it", False))
        self.stages = Stages(mode, ScriptedSTT(partials=partials), ScriptedLLM(reply="Yes. No?"))
        self.finished: list[TurnFinished] = []

    def observe(self, event: SessionEvent) -> None:
        if isinstance(event, TurnFinished):
            self.finished.append(event)

    async def run(self) -> None:
        frames: AsyncGenerator[object] = microphone(silence(96), voice(192), silence(1_200))
        session = self.stages.build(VirtualOutput(now, now(), lambda: False), self.observe)
        await session.run(frames)  # type: ignore[arg-type]


async def steps_of(mode: Mode) -> int:
    """How many steps of the loop the conversation takes."""
    loop = asyncio.get_running_loop()
    before: int = loop.steps  # type: ignore[attr-defined]
    await asyncio.create_task(Conversation(mode).run())
    after: int = loop.steps  # type: ignore[attr-defined]
    return after - before


async def cancelled(conversation: Conversation, steps: int) -> bool:
    """Cancel a conversation after so many steps: whether that ended it, and with nothing but CancelledError."""
    task = asyncio.create_task(conversation.run())
    cancel_after(steps, task)
    await asyncio.wait([task])
    return task.cancelled()


@pytest.mark.parametrize("mode", list(Mode))
def test_a_session_can_be_cancelled_at_every_await(mode: Mode) -> None:
    """No task is left (`run` looks), nothing raised but CancelledError, no stream open, no request left running."""
    steps = run(steps_of(mode))
    assert steps > 300
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a first run may find garbage of other tests
        gc.collect()
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        for step in range(1, steps):
            conversation = Conversation(mode)
            assert run(cancelled(conversation, step)), step
            llm = conversation.stages.llm
            assert len(llm.requests) == llm.completed + llm.cancelled, step
        gc.collect()
    assert [str(warning.message) for warning in warned] == []


def test_a_cancelled_turn_is_marked_interrupted() -> None:
    async def main() -> list[TurnFinished]:
        conversation = Conversation(Mode.STREAMING)
        task = asyncio.create_task(conversation.run())
        await asyncio.sleep(0.7)
        task.cancel()
        await asyncio.wait([task])
        return conversation.finished

    (finished,) = run(main())
    assert finished.outcome is Outcome.INTERRUPTED
    assert finished.cut_s is not None


def test_an_input_that_breaks_ends_the_session_with_its_fault() -> None:
    async def broken() -> AsyncGenerator[object]:
        async for frame in microphone(silence(96), voice(192)):
            yield frame
        raise OSError("unplugged")

    async def main() -> None:
        session = Stages().build(VirtualOutput(now, now(), lambda: False), lambda event: None)
        await session.run(broken())  # type: ignore[arg-type]

    with pytest.raises(ExceptionGroup) as caught:
        run(main())
    assert caught.group_contains(OSError, match="unplugged")
