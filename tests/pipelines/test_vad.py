from collections.abc import Iterable

import numpy as np
import pytest

from agent.measure.recordings import shipped
from pipelines.events import AudioFrame, Pcm, SpeechStarted, SpeechStopped
from pipelines.vad import WINDOW_SAMPLES, VadSettings, VoiceActivity

Edge = tuple[str, int]


def edges(events: Iterable[SpeechStarted | SpeechStopped], unit: int = WINDOW_SAMPLES) -> list[Edge]:
    """What happened and at which window."""
    return [("start" if isinstance(e, SpeechStarted) else "stop", e.at_samples // unit) for e in events]


def scripted(probabilities: list[float]) -> list[Edge]:
    """The events of one window a probability."""
    following = iter(probabilities)
    vad = VoiceActivity(VadSettings(), lambda _: next(following))
    return edges(vad.hear(AudioFrame(np.zeros(len(probabilities) * WINDOW_SAMPLES, np.int16), 0)))


@pytest.mark.parametrize(
    ("probabilities", "events"),
    [
        ([0.0] * 6, []),
        ([0.9, 0.9], []),
        ([0.9, 0.9, 0.9], [("start", 0)]),
        ([0.0, 0.9, 0.9, 0.0, 0.9, 0.9, 0.9], [("start", 4)]),
        ([0.49] * 9, []),
        ([0.5] * 3, [("start", 0)]),
        ([0.9] * 3 + [0.0], [("start", 0), ("stop", 3)]),
        ([0.9] * 3 + [0.0, 0.0], [("start", 0), ("stop", 3)]),
        ([0.9] * 3 + [0.0, 0.9, 0.0, 0.9], [("start", 0), ("stop", 3), ("start", 4), ("stop", 5), ("start", 6)]),
        ([0.9] * 3 + [0.35] * 9, [("start", 0)]),
        ([0.9] * 3 + [0.34, 0.34], [("start", 0), ("stop", 3)]),
        ([0.9] * 3 + [0.0, 0.4, 0.0, 0.0], [("start", 0), ("stop", 3), ("start", 4), ("stop", 5)]),
        ([0.9] * 3 + [0.0, 0.0, 0.9, 0.9, 0.0], [("start", 0), ("stop", 3)]),
        ([0.9] * 3 + [0.0] * 2 + [0.9] * 3 + [0.0] * 2, [("start", 0), ("stop", 3), ("start", 5), ("stop", 8)]),
    ],
)
def test_speech_starts_at_the_third_voiced_window_stops_at_the_first_quiet_one_and_goes_on_at_once(
    probabilities: list[float], events: list[Edge]
) -> None:
    assert scripted(probabilities) == events


LOUD, QUIET, SILENT = 8_000, 500, 0  # -12, -36 and -inf dBFS


def over_the_agent(windows: list[tuple[float, int]], before: list[tuple[float, int]] | None = None) -> list[Edge]:
    """The events of windows, each a probability and an amplitude, while the agent has the floor; `before` it had it."""
    following = iter([probability for probability, _ in (before or []) + windows])
    vad = VoiceActivity(VadSettings(), lambda _: next(following))

    def heard(told: list[tuple[float, int]], start: int) -> list[SpeechStarted | SpeechStopped]:
        pcm = np.concatenate([np.full(WINDOW_SAMPLES, amplitude, np.int16) for _, amplitude in told])
        return vad.hear(AudioFrame(pcm, start))

    if before is not None:
        heard(before, -len(before) * WINDOW_SAMPLES)
    vad.agent_has_floor = True
    return edges(heard(windows, 0))


def user(background: int = SILENT) -> list[tuple[float, int]]:
    """Somebody speaks loudly between two silences in which there is nothing but the background."""
    silence = [(0.0, background)] * 100
    return silence + [(0.9, LOUD)] * 20 + silence


@pytest.mark.parametrize(
    ("windows", "events"),
    [
        ([(0.66, LOUD)], [("start", 0)]),
        ([(0.6, LOUD), (0.6, LOUD)], [("start", 0)]),
        ([(0.1, LOUD), (0.6, LOUD), (0.4, LOUD), (0.6, LOUD)], []),
        ([(0.45, LOUD)] * 9, []),
        ([(0.41, LOUD), (0.42, LOUD), (0.33, QUIET)], []),
    ],
)
def test_over_the_agent_what_exceeds_the_expected_probability_adds_up(
    windows: list[tuple[float, int]], events: list[Edge]
) -> None:
    assert over_the_agent(windows) == events


@pytest.mark.parametrize(
    ("windows", "events"),
    [
        ([(0.46, LOUD)], [("start", 0)]),
        ([(0.41, LOUD), (0.42, LOUD), (0.36, QUIET)], [("start", 0)]),  # "What" over a cancelled echo
        ([(0.41, QUIET), (0.42, LOUD), (0.37, LOUD)], [("start", 1)]),
        ([(0.29, LOUD)] * 9, []),
        ([(0.38, QUIET), (0.40, QUIET), (0.40, QUIET), (0.39, QUIET)], []),  # what a canceller left of an echo
        ([(0.67, QUIET), (0.73, QUIET), (0.70, QUIET), (0.52, QUIET)], []),  # and on another day
        ([(0.78, QUIET), (0.78, QUIET)], [("start", 0)]),
    ],
)
def test_over_the_agent_a_sound_as_loud_as_the_user_needs_less_and_a_quieter_one_more(
    windows: list[tuple[float, int]], events: list[Edge]
) -> None:
    assert over_the_agent(windows, before=user()) == events


def test_over_the_agent_a_sound_as_loud_as_the_background_is_not_taken_for_the_user() -> None:
    swell = [(0.46, LOUD // 2)]
    assert over_the_agent(swell, before=user()) == [("start", 0)]
    assert over_the_agent(swell, before=user(background=LOUD // 3)) == []
    assert over_the_agent([(0.66, LOUD // 2)], before=user(background=LOUD // 3)) == [("start", 0)]


def test_what_was_heard_over_the_agent_does_not_count_when_it_has_fallen_silent() -> None:
    following = iter([0.6, 0.6, 0.6, 0.6])
    vad = VoiceActivity(VadSettings(), lambda _: next(following))
    vad.agent_has_floor = True
    window = np.zeros(WINDOW_SAMPLES, np.int16)
    assert vad.hear(AudioFrame(window, 0)) == []
    vad.agent_has_floor = False
    assert vad.hear(AudioFrame(window, 512)) == []
    assert vad.hear(AudioFrame(window, 1_024)) == [SpeechStarted(0)]  # the third in a row, as ever


def test_one_window_is_enough_where_the_settings_say_so() -> None:
    following = iter([0.9, 0.0, 0.9])
    vad = VoiceActivity(VadSettings(start_windows=1, stop_windows=1), lambda _: next(following))
    assert edges(vad.hear(AudioFrame(np.zeros(3 * WINDOW_SAMPLES, np.int16), 0))) == [
        ("start", 0),
        ("stop", 1),
        ("start", 2),
    ]


def test_edges_count_from_where_the_stream_begins() -> None:
    vad = VoiceActivity(VadSettings(), lambda _: 0.9)
    (event,) = vad.hear(AudioFrame(np.zeros(3 * WINDOW_SAMPLES, np.int16), 48_000))
    assert event == SpeechStarted(48_000)


@pytest.mark.parametrize("frame_samples", [1, 160, 320, 511, 512, 513, 4_000])
def test_any_frame_length_gives_the_same_events(frame_samples: int) -> None:
    pcm = np.zeros(30 * WINDOW_SAMPLES, np.int16)
    pcm[5_000:9_000] = 5_000

    def heard(length: int) -> list[SpeechStarted | SpeechStopped]:
        vad = VoiceActivity(VadSettings(), lambda window: float(np.abs(window).mean() > 2_000))
        starts = range(0, len(pcm), length)
        return [event for start in starts for event in vad.hear(AudioFrame(pcm[start : start + length], start))]

    assert len(heard(512)) == 2
    assert heard(frame_samples) == heard(512)


# ---------------------------------------------------------------- the real Silero


def detect(pcm: Pcm) -> list[SpeechStarted | SpeechStopped]:
    second = np.zeros(16_000, np.int16)
    return VoiceActivity().hear(AudioFrame(np.concatenate([pcm, second]), 0))


@pytest.mark.slow
def test_silero_finds_the_end_of_speech_within_120_ms_of_its_label() -> None:
    """It is farthest off where a word ends in a long "s"."""
    for recording in shipped("question_short", "question_long", "one_word"):
        assert abs(detect(recording.pcm)[-1].at_samples - recording.turns[0].end_samples) <= 1_920, recording.name


@pytest.mark.slow
def test_silero_finds_a_clear_onset_within_100_ms_and_a_soft_one_within_the_pre_roll() -> None:
    late = [detect(r.pcm)[0].at_samples - r.turns[0].start_samples for r in shipped("question_short", "question_long")]
    assert min(late) >= -320
    assert np.median(late) <= 1_600
    assert max(late) <= 4_800


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["silence", "noise_only", "tones"])
def test_silero_finds_no_speech_where_nobody_speaks(kind: str) -> None:
    for recording in shipped(kind):
        assert detect(recording.pcm) == [], recording.name
