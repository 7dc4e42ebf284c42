import numpy as np
import pytest

from pipelines.errors import StageError
from pipelines.events import AudioFrame, SpeechStarted, SpeechStopped, Word
from pipelines.stt.segments import DecodeJob, SpokenTurn, StreamingSettings

MS = 16
SETTINGS = StreamingSettings(interval_ms=100, first_ms=200, margin_ms=30, pause_ms=60, longest_s=2.0, min_voiced_ms=96)


def turn_that_heard(*events: SpeechStarted | SpeechStopped | int, base: int = 0) -> SpokenTurn:
    """A turn that heard events, and audio of as many ms as a number says; each sample holds its own media time."""
    turn = SpokenTurn(SETTINGS)
    at = base
    for event in events:
        if isinstance(event, int):
            pcm = np.arange(at, at + event * MS).astype(np.int16)
            turn.hear(AudioFrame(pcm, at))
            at += event * MS
        else:
            turn.hear(event)
    return turn


def understood(turn: SpokenTurn, text: str) -> DecodeJob:
    """Answers the next job with `text`, its words spread evenly."""
    job = turn.next_job()
    assert job is not None
    texts = text.split()
    step = len(job.pcm) // max(1, len(texts))
    turn.apply(job, tuple(Word(w, i * step, (i + 1) * step) for i, w in enumerate(texts)), None)
    return job


def reading(turn: SpokenTurn) -> str:
    return " ".join(word.text for word in turn.words())


def test_the_first_partial_waits_for_enough_speech() -> None:
    assert turn_that_heard(SpeechStarted(100 * MS), 299).next_job() is None
    assert turn_that_heard(SpeechStarted(100 * MS), 300).next_job() is not None


def test_audio_from_before_the_onset_is_decoded_too() -> None:
    job = turn_that_heard(SpeechStarted(5_000 + 200 * MS), 500, base=5_000).next_job()
    assert job is not None
    assert (len(job.pcm), job.pcm[0], job.end_samples) == (500 * MS, 5_000, 5_000 + 500 * MS)


def test_a_partial_needs_new_audio() -> None:
    turn = turn_that_heard(SpeechStarted(0), 300)
    understood(turn, "what")
    assert turn.next_job() is None
    turn.hear(AudioFrame(np.zeros(100 * MS, np.int16), 300 * MS))
    assert turn.next_job() is not None


def test_a_partial_begins_where_the_voice_fades() -> None:
    turn = turn_that_heard(SpeechStarted(0), 300)
    understood(turn, "what time")
    turn.hear(AudioFrame(np.full(40 * MS, 8_000, np.int16), 300 * MS))
    assert turn.next_job() is None
    turn.hear(AudioFrame(np.zeros(20 * MS, np.int16), 340 * MS))
    assert understood(turn, "what time is it").end_samples == 360 * MS
    turn.hear(AudioFrame(np.zeros(20 * MS, np.int16), 360 * MS))
    assert turn.next_job() is None


def test_words_are_stable_once_two_partials_agree() -> None:
    turn = turn_that_heard(SpeechStarted(0), 300)
    understood(turn, "what dime")
    assert turn.stable_count() == 0
    turn.hear(AudioFrame(np.zeros(100 * MS, np.int16), 300 * MS))
    understood(turn, "what time is")
    assert (reading(turn), turn.stable_count(), turn.is_final()) == ("what time is", 1, False)


def test_a_stop_asks_for_a_final_decode_that_ends_a_margin_behind_it() -> None:
    turn = turn_that_heard(SpeechStarted(0), 600, SpeechStopped(500 * MS))
    job = understood(turn, "What time is it?")
    assert (job.stop_samples, job.end_samples) == (500 * MS, 530 * MS)
    assert turn.is_final()
    assert turn.stable_count() == 4
    assert turn.next_job() is None


def test_the_last_word_ends_where_the_speech_stopped() -> None:
    turn = turn_that_heard(SpeechStarted(40 * MS), 600, SpeechStopped(500 * MS))
    understood(turn, "Yes.")
    assert turn.words() == (Word("Yes.", 40 * MS, 500 * MS),)


def test_a_partial_under_way_that_reaches_into_the_last_voiced_window_stands_for_the_final_decode() -> None:
    turn = turn_that_heard(SpeechStarted(0), 500)
    job = turn.next_job()
    assert job is not None
    assert turn.heard_samples(job) == job.end_samples
    turn.hear(SpeechStopped(532 * MS))
    assert not turn.is_stale(job)
    turn.apply(job, (Word("Yes.", 0, 480 * MS),), None)
    assert turn.is_final()
    assert turn.heard_samples(job) == 532 * MS


def test_a_partial_under_way_that_ends_before_the_last_voiced_window_is_stale() -> None:
    turn = turn_that_heard(SpeechStarted(0), 500)
    job = turn.next_job()
    assert job is not None
    turn.hear(SpeechStopped(533 * MS))
    assert turn.is_stale(job)


def test_a_pause_is_shortened_and_the_speech_decoded_in_one_piece() -> None:
    turn = turn_that_heard(SpeechStarted(0), 600, SpeechStopped(500 * MS))
    understood(turn, "Book a table.")
    turn.hear(AudioFrame(np.zeros(900 * MS, np.int16), 600 * MS))
    turn.hear(SpeechStarted(1_000 * MS))
    assert not turn.is_final()
    assert reading(turn) == "Book a table."
    turn.hear(SpeechStopped(1_400 * MS))
    job = turn.next_job()
    assert job is not None
    assert len(job.pcm) == (530 + (1_430 - 970)) * MS
    # Words behind the pause lie at their own media time.
    turn.apply(job, (Word("Book", 0, 530 * MS), Word("seven.", 560 * MS, 990 * MS)), None)
    assert turn.words()[1] == Word("seven.", 1_000 * MS, 1_400 * MS)
    assert turn.is_final()


def test_a_final_decode_that_comes_after_speech_resumed_is_one_more_partial() -> None:
    turn = turn_that_heard(SpeechStarted(0), 600, SpeechStopped(500 * MS))
    job = turn.next_job()
    assert job is not None
    turn.hear(SpeechStarted(590 * MS))
    turn.apply(job, (Word("Book", 0, 100),), None)
    assert (reading(turn), turn.is_final()) == ("Book", False)


def test_a_final_decode_for_an_earlier_stop_does_not_answer_a_later_one() -> None:
    turn = turn_that_heard(SpeechStarted(0), 600, SpeechStopped(500 * MS))
    job = turn.next_job()
    assert job is not None
    turn.hear(SpeechStarted(580 * MS))
    turn.hear(AudioFrame(np.zeros(900 * MS, np.int16), 600 * MS))
    turn.hear(SpeechStopped(1_400 * MS))
    assert turn.is_stale(job)
    again = turn.next_job()
    assert again is not None
    assert again.stop_samples == 1_400 * MS


def test_hardly_voiced_sound_is_given_to_no_model() -> None:
    turn = turn_that_heard(SpeechStarted(0), 300, SpeechStopped(90 * MS))
    job = understood(turn, "")
    assert len(job.pcm) == 0
    assert turn.is_final()
    assert turn.words() == ()


def test_long_speech_is_cut_behind_stable_words() -> None:
    turn = turn_that_heard(SpeechStarted(0), 2_100)
    understood(turn, "one two three four five six seven")
    turn.hear(AudioFrame(np.zeros(140 * MS, np.int16), 2_100 * MS))
    understood(turn, "one two three four five six seven")
    turn.hear(AudioFrame(np.zeros(140 * MS, np.int16), 2_240 * MS))
    job = turn.next_job()
    assert job is not None
    assert job.stretch.start_samples == 1_920 * MS  # where "seven" began
    assert reading(turn) == "one two three four five six seven"


def test_long_speech_without_stable_words_is_cut_where_it_is_quiet() -> None:
    turn = SpokenTurn(SETTINGS)
    pcm = np.full(5_000 * MS, 3_000, np.int16)
    pcm[1_500 * MS : 1_540 * MS] = 0
    turn.hear(SpeechStarted(0))
    turn.hear(AudioFrame(pcm, 0))
    turn.hear(SpeechStopped(5_000 * MS))
    heard = []
    while (job := turn.next_job()) is not None:
        heard.append((job.stretch.start_samples // MS, job.end_samples // MS))
        turn.apply(job, (Word("word", 0, 10),), None)
    assert heard[0] == (0, 1_530)
    assert heard[1][0] == 1_500
    assert heard[-1][1] == 5_000
    assert all(end - start <= 3_000 for start, end in heard)
    assert turn.is_final()


def test_speech_after_a_pause_that_follows_long_speech_is_decoded_apart_and_joined() -> None:
    turn = turn_that_heard(SpeechStarted(0), 1_700, SpeechStopped(1_500 * MS))
    understood(turn, "Book a table for two.")
    turn.hear(SpeechStarted(1_690 * MS))
    turn.hear(AudioFrame(np.zeros(400 * MS, np.int16), 1_700 * MS))
    turn.hear(SpeechStopped(2_050 * MS))
    job = understood(turn, "At seven.")
    assert job.stretch.start_samples == 1_660 * MS
    assert reading(turn) == "Book a table for two at seven."


def test_speech_that_never_stopped_stops_with_the_audio() -> None:
    turn = turn_that_heard(SpeechStarted(0), 400)
    turn.end()
    job = understood(turn, "Yes.")
    assert job.end_samples == 400 * MS
    assert turn.is_final()


def test_audio_with_a_gap_is_refused() -> None:
    turn = turn_that_heard(SpeechStarted(0), 100)
    with pytest.raises(StageError, match="starts at sample 1700, expected 1600"):
        turn.hear(AudioFrame(np.zeros(10, np.int16), 1_700))
