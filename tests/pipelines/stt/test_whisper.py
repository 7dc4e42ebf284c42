"""tiny.en on the shipped recordings, and against stock faster-whisper."""

import asyncio
from functools import cache
from typing import Any

import numpy as np
import pytest

from agent.measure.recordings import Recording, shipped
from agent.models.fetch import whisper_path
from pipelines.errors import StageError
from pipelines.events import AudioFrame, Heard, Pcm, SpeechStarted, SpeechStopped, Transcript
from pipelines.stt.guards import Guards
from pipelines.stt.streaming import StreamingWhisper
from pipelines.stt.wer import word_error_rate
from pipelines.stt.whisper import WhisperModel
from pipelines.text import normalise
from tests.pipelines.stt.paced import WatchedPool, paced

pytestmark = [pytest.mark.slow, pytest.mark.timeout(60)]


@cache
def model(window_s: float = 12.0, *, tells_end: bool = False) -> WhisperModel:
    return WhisperModel(whisper_path("tiny.en"), window_s=window_s, tells_end=tells_end)


@cache
def questions() -> list[Recording]:
    return shipped("question_short", "question_long")


def text(pcm: Pcm, window_s: float = 12.0) -> str:
    words, _ = model(window_s).decode(pcm)
    return " ".join(word.text for word in words)


def speech(recording: Recording) -> Pcm:
    return recording.pcm[: recording.turns[0].end_samples + 480]


@cache
def answer(number: int, window_s: float) -> str:
    """The words of a question, decoded once for all the tests that look at them."""
    return text(speech(questions()[number]), window_s)


@cache
def stock_model() -> Any:
    from faster_whisper import WhisperModel as Stock

    return Stock(str(whisper_path("tiny.en")), device="cpu", compute_type="int8", cpu_threads=1)


def stock(pcm: Pcm) -> str:
    segments, _ = stock_model().transcribe(
        pcm.astype(np.float32) / 32768,
        beam_size=1,
        language="en",
        without_timestamps=True,
        condition_on_previous_text=False,
        temperature=0.0,
    )
    return "".join(segment.text for segment in segments).strip()


@pytest.mark.long
def test_a_window_of_30_s_gives_the_words_of_stock_transcribe() -> None:
    theirs = [stock(speech(recording)) for recording in questions()[:6]]
    # Stock Whisper hears 10 ms of silence more, which may tip a word that was in doubt.
    assert word_error_rate(theirs, [answer(number, 30.0) for number in range(6)]) < 0.05


def errors(window_s: float) -> float:
    said = [recording.turns[0].text or "" for recording in questions()]
    return word_error_rate(said, [answer(number, window_s) for number in range(len(said))])


@pytest.mark.long
def test_a_window_of_12_s_understands_as_well_as_the_stock_one() -> None:
    assert errors(12.0) <= min(0.06, errors(30.0) + 0.01)


@pytest.mark.long
def test_a_runaway_decode_is_repeated_in_the_widest_window() -> None:
    cautious = WhisperModel(whisper_path("tiny.en"), guards=Guards(max_words_per_s=-1.0))
    assert cautious.decode(speech(questions()[0]))[0] == ()
    assert (cautious.decodes, cautious.runaways) == (1, 1)
    before = model().runaways
    text(speech(questions()[0]))
    assert model().runaways == before


@pytest.mark.long
def test_finished_questions_end_with_a_mark() -> None:
    marked = sum(answer(number, 12.0)[-1] in ".?!" for number in range(len(questions())))
    assert marked >= 0.9 * len(questions())


def told(pcm: Pcm, *, tells_end: bool) -> list[float | None]:
    """The probability of an end behind each word."""
    return [word.end_probability for word in model(tells_end=tells_end).decode(pcm)[0]]


@pytest.mark.long
def test_the_end_is_told_for_the_last_word_and_only_where_it_is_asked_for() -> None:
    pcm = speech(questions()[0])
    *inside, last = told(pcm, tells_end=True)
    assert last is not None
    assert 0 <= last <= 1
    assert set(inside) == {None} == set(told(pcm, tells_end=False))


def test_word_times_grow_and_cover_the_speech() -> None:
    for aligned in (True, False):
        recording = questions()[0]
        words, _ = model().decode(speech(recording), aligned=aligned)
        starts = [word.start_samples for word in words]
        assert starts == sorted(starts)
        # The middle of the first and the last word lie in the first and the last quarter of the speech.
        label = recording.turns[0]
        quarter = (label.end_samples - label.start_samples) / 4
        assert words[0].end_samples < label.start_samples + 2 * quarter
        assert words[-1].start_samples > label.end_samples - 2 * quarter


@pytest.mark.long
def test_known_frames_do_not_change_the_text() -> None:
    for number in range(4):
        pcm = speech(questions()[number])
        _, frames = model().decode(pcm[: len(pcm) // 2])
        words, _ = model().decode(pcm, frames)
        assert " ".join(word.text for word in words) == answer(number, 12.0)


def noise(seconds: float, level: float, brown: bool = False) -> Pcm:
    samples = np.random.default_rng(7).normal(0, level, round(seconds * 16_000))
    if brown:
        samples = np.cumsum(samples)
        samples *= level / np.abs(samples).max() * 3
    return (np.clip(samples, -1, 1) * 32767).astype(np.int16)


def tone(*hertz: float) -> Pcm:
    t = np.arange(48_000) / 16_000
    pcm: Pcm = (np.array([np.sin(2 * np.pi * f * t) for f in hertz]).mean(axis=0) * 9_000).astype(np.int16)
    return pcm


SPEECHLESS = {
    "silence": np.zeros(48_000, np.int16),
    "hiss": noise(3, 0.001),
    "noise": noise(3, 0.05),
    "brown noise": noise(3, 0.3, brown=True),
    "a tone": tone(440),
    "a lower tone": tone(330),
    "a hum": tone(150),
    "a chord": tone(220, 277, 330),
    "nothing": np.zeros(0, np.int16),
    "6 ms": np.zeros(100, np.int16),
}


@pytest.mark.parametrize("pcm", SPEECHLESS.values(), ids=SPEECHLESS.keys())
def test_no_speech_gives_no_words(pcm: Pcm) -> None:
    assert text(pcm) == ""


@pytest.mark.parametrize("tail_ms", [0, 30, 100])
def test_one_word_answers_are_not_taken_for_noise(tail_ms: int) -> None:
    for recording in shipped("one_word"):
        label = recording.turns[0]
        pcm = recording.pcm[max(0, label.start_samples - 4_800) : label.end_samples + 16 * tail_ms]
        assert normalise(text(pcm)) == normalise(label.text or "")


def test_a_directory_without_a_model_is_refused(tmp_path: Any) -> None:
    with pytest.raises(StageError, match=r"no faster-whisper \(CTranslate2\) model could be loaded from"):
        WhisperModel(tmp_path)


def test_a_window_over_30_s_is_refused() -> None:
    with pytest.raises(ValueError, match="31 s is not between 0"):
        WhisperModel(whisper_path("tiny.en"), window_s=31)


def transcribe(events: list[Heard], at_once: int) -> list[Transcript]:
    stt = StreamingWhisper("whisper:tiny.en", model())
    stt._pool = WatchedPool()

    async def collect() -> list[Transcript]:
        return [transcript async for transcript in stt.transcribe(paced(events, stt, at_once=at_once))]

    return asyncio.run(collect())


def frames(pcm: Pcm) -> list[Heard]:
    return [AudioFrame(pcm[i : i + 320], i) for i in range(0, len(pcm), 320)]


@pytest.mark.long
@pytest.mark.parametrize("at_once", [10_000, 500], ids=["all at once", "growing"])
def test_forty_seconds_of_speech_without_a_pause_are_understood(at_once: int) -> None:
    parts: list[Pcm] = []
    said: list[str] = []
    while sum(map(len, parts)) < 40 * 16_000:
        for recording in questions():
            label = recording.turns[0]
            parts.append(recording.pcm[label.start_samples - 800 : label.end_samples + 1_600])
            said.append(label.text or "")
    pcm = np.concatenate(parts)
    heard = transcribe([SpeechStarted(0), *frames(pcm), SpeechStopped(len(pcm) - 800)], at_once)
    last = heard[-1]
    assert last.is_final
    assert word_error_rate(" ".join(said), last.text) < 0.1
    assert abs(len(normalise(last.text).split()) - len(normalise(" ".join(said)).split())) < 0.15 * len(said) * 8
    starts = [word.start_samples for word in last.words]
    assert starts == sorted(starts)
    assert len(pcm) - starts[-1] < 2 * 16_000


@pytest.mark.long
def test_stable_words_are_nearly_all_kept() -> None:
    stable = kept = 0
    for recording in questions()[:10]:
        label = recording.turns[0]
        pcm = recording.pcm[: label.end_samples + 480]
        heard = transcribe([SpeechStarted(label.start_samples), *frames(pcm), SpeechStopped(label.end_samples)], 15)
        final = normalise(heard[-1].text)
        for transcript in heard[:-1]:
            if transcript.stable_text:
                stable += 1
                kept += final.startswith(normalise(transcript.stable_text))
    assert stable >= 20
    assert kept >= 0.85 * stable
