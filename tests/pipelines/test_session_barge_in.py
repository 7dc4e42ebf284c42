"""Barge-ins, and sessions that are cancelled anywhere."""

import asyncio
import gc
import warnings
from collections.abc import AsyncGenerator

import numpy as np
import pytest

from agent.measure.replay import VirtualOutput
from pipelines.errors import StageError
from pipelines.modes import Mode, Outcome
from pipelines.session_events import SessionEvent, TurnFinished
from tests.pipelines.session_scenes import (
    CLIP,
    FIRST,
    SECOND,
    barging_in,
    outcomes,
    prompt,
    two_turns,
)
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
