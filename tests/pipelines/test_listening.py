"""Listening: the end of a turn."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

import pytest

from pipelines.errors import StageError
from pipelines.events import (
    Heard,
    SpeechResumed,
    Transcript,
    TurnEnded,
)
from tests.pipelines.listening_scenes import END_MS, LEAD, SPEECH, listen
from tests.scripted import (
    ScriptedSTT,
    silence,
    voice,
)


def test_an_utterance_opens_at_the_onset_of_speech_as_soon_as_that_is_sure() -> None:
    ear = listen(ScriptedSTT(), LEAD, SPEECH, silence(500))
    assert [told.started_ms for told in ear.told] == [320]
    assert ear.opened_ms == [420]  # three windows of 32 ms, seen at the end of a frame of 10


def test_an_utterance_gets_exactly_one_turn_ended_and_it_comes_last() -> None:
    (told,) = listen(ScriptedSTT(), LEAD, SPEECH, silence(3_000)).told
    assert [type(update) for _, update in told.updates] == [Transcript, TurnEnded]


def test_silence_opens_no_utterance() -> None:
    assert listen(ScriptedSTT(), silence(1_000)).told == []


@pytest.mark.parametrize(
    ("text", "needed_ms"), [("What time is it?", 200), ("what time is it in tokyo", 600), ("Tell me about the", 1_400)]
)
def test_the_words_decide_how_much_silence_ends_the_turn(text: str, needed_ms: float) -> None:
    (told,) = listen(ScriptedSTT((text,)), LEAD, SPEECH, silence(2_000)).told
    assert told.last_ms == END_MS + needed_ms


@pytest.mark.parametrize(("text", "pause_ms"), [("Yes.", 160), ("boston", 544), ("yes and", 1_344)])
def test_a_shorter_pause_than_needed_does_not_end_the_turn(text: str, pause_ms: float) -> None:
    stt = ScriptedSTT((text, "All of it."))
    (told,) = listen(stt, LEAD, voice(320), silence(pause_ms), voice(320), silence(500)).told
    assert told.texts == [text, "All of it."]
    assert told.last_ms == pytest.approx(320 + 320 + pause_ms + 320 + 200, abs=10)  # the next frame


def test_voice_that_may_be_starting_is_no_silence() -> None:
    """The pause is over after 160 ms, which the voice activity is sure of only after the 200 that end a turn."""
    stt = ScriptedSTT(("Yes.", "Yes. Go on."))
    (told,) = listen(stt, LEAD, voice(320), silence(160), voice(320), silence(500)).told
    assert told.texts == ["Yes.", "Yes. Go on."]


def test_one_odd_window_does_not_keep_a_turn_open() -> None:
    (told,) = listen(ScriptedSTT(), LEAD, SPEECH, silence(160), voice(32), silence(500)).told
    assert told.last_ms == END_MS + 230  # the window after the odd one, at the end of a frame


@pytest.mark.parametrize(("text", "pause_ms"), [("Yes.", 320), ("boston", 704), ("yes and", 1_504)])
def test_a_longer_pause_than_needed_makes_two_turns(text: str, pause_ms: float) -> None:
    ear = listen(ScriptedSTT((text,)), LEAD, voice(320), silence(pause_ms), voice(320), silence(1_600))
    assert [told.texts for told in ear.told] == [[text], [text]]


def test_what_is_said_before_the_answer_is_heard_joins_the_utterance() -> None:
    stt = ScriptedSTT(("four", "four eight", "four eight two"))
    parts = (voice(320), silence(1_024), voice(320), silence(1_024), voice(320), silence(1_000))
    (told,) = listen(stt, LEAD, *parts, heard_after_ms=None).told
    once = [Transcript, TurnEnded]
    assert [type(update) for _, update in told.updates] == [*once, SpeechResumed, *once, SpeechResumed, *once]
    assert told.texts == ["four", "four eight", "four eight two"]


def test_once_the_answer_is_heard_further_speech_is_another_utterance() -> None:
    stt = ScriptedSTT(turns=(("Yes.",), ("Stop.",)))
    ear = listen(stt, LEAD, voice(320), silence(640), voice(320), silence(500), heard_after_ms=100)
    assert [told.texts for told in ear.told] == [["Yes."], ["Stop."]]


def test_a_recogniser_that_breaks_after_the_end_of_the_turn_takes_nothing_back() -> None:
    class Breaking(ScriptedSTT):
        async def transcribe(self, heard: AsyncIterator[Heard]) -> AsyncGenerator[Transcript]:
            async with aclosing(super().transcribe(heard)) as transcripts:
                async for transcript in transcripts:
                    yield transcript
                    await asyncio.sleep(1.0)
                    raise StageError("gone")

    ear = listen(Breaking(), LEAD, SPEECH, silence(2_000), voice(320), silence(2_000), heard_after_ms=None)
    assert [type(told.last) for told in ear.told] == [TurnEnded, TurnEnded]


def test_the_marks_of_the_end_are_process_times() -> None:
    ear = listen(ScriptedSTT(), LEAD, SPEECH, silence(500))
    ended = ear.told[0].last
    assert isinstance(ended, TurnEnded)
    assert ear.ms(ended.speech_end_s) == END_MS
    assert ear.ms(ended.paused_s) == 1_960  # a window of 32 ms later, at the end of a frame
    assert ear.ms(ended.endpoint_s) == 2_120
    assert ear.ms(ended.transcript.ready_s) == 2_000


def test_a_transcript_later_than_the_silence_needed_makes_the_recogniser_the_wait() -> None:
    ear = listen(ScriptedSTT(final_ms=500), LEAD, SPEECH, silence(1_000))
    ended = ear.told[0].last
    assert isinstance(ended, TurnEnded)
    assert ear.ms(ended.endpoint_s) == 2_120
    assert ear.ms(ended.transcript.ready_s) == ear.told[0].last_ms == 2_460


def test_a_transcript_of_the_speech_before_a_pause_does_not_end_the_turn_after_it() -> None:
    """The decode asked for by the first pause comes in the second one: it covers only half the words."""
    stt = ScriptedSTT(("Yes.", "Yes. And Berlin?"), final_ms=500)
    (told,) = listen(stt, LEAD, voice(320), silence(96), voice(320), silence(2_000)).told
    assert isinstance(told.last, TurnEnded)
    assert told.last.transcript.text == "Yes. And Berlin?"
