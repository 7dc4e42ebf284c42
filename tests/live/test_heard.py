"""What the live tests judge an agent's sound by, on sound and arrivals that are known."""

import numpy as np
import pytest

from pipelines.events import Pcm
from tests.live.heard import Frame, Heard

QUIET: Pcm = np.zeros(160, np.int16)
LOUD: Pcm = np.full(160, 8_000, np.int16)


def arriving(*pcm: Pcm, at_s: float = 100.0) -> list[Frame]:
    """Frames of 10 ms on time, the first at `at_s`."""
    return [Frame(at_s + 0.01 * i, frame) for i, frame in enumerate(pcm)]


def test_a_sound_begins_within_its_frame_and_ends_with_its_last_sample() -> None:
    late_in_frame = np.concatenate([np.zeros(80, np.int16), LOUD[:80]])
    heard = Heard(arriving(*[QUIET] * 50, late_in_frame, *[LOUD] * 9, *[QUIET] * 50))
    (sound,) = heard.sounds()
    assert sound.start_s == pytest.approx(100.505, abs=0.001)
    assert sound.end_s == pytest.approx(100.6, abs=0.001)
    assert heard.latency_ms(100.2) == pytest.approx(305, abs=1)
    assert heard.latency_ms(100.55) is None
    assert heard.silent_after_ms(100.55) == pytest.approx(50, abs=1)
    assert heard.silent_after_ms(100.3) is None


def test_pauses_inside_speech_do_not_make_it_two_sounds() -> None:
    heard = Heard(arriving(*[LOUD] * 10, *[QUIET] * 29, *[LOUD] * 10, *[QUIET] * 40, *[LOUD] * 10))
    assert len(heard.sounds()) == 2
    assert len(heard.sounds(pause_ms=200)) == 3


def test_a_track_that_was_away_was_silent_so_long() -> None:
    heard = Heard([*arriving(*[LOUD] * 10), *arriving(*[LOUD] * 10, at_s=105.0)])
    assert [sound.start_s for sound in heard.sounds()] == [pytest.approx(100.0), pytest.approx(105.0)]
    assert len(heard.pcm) == pytest.approx(5.1 * 16_000, abs=160)
    assert len(heard.between(104.0, 106.0)) == 1_600


def test_late_frames_and_holes_are_counted_and_silence_between_sentences_is_not() -> None:
    hole = np.concatenate([np.zeros(120, np.int16), LOUD[:40]])
    whole = Heard(arriving(*[LOUD] * 10, *[QUIET] * 60, *[LOUD] * 10))
    broken = Heard(arriving(*[LOUD] * 10, hole, *[LOUD] * 10))
    late = Heard([*arriving(*[LOUD] * 10), *arriving(*[LOUD] * 10, at_s=100.15)])
    assert (whole.gaps_ms(), whole.dropouts()) == ([], 0)
    assert (broken.gaps_ms(), broken.dropouts()) == ([], 1)
    assert late.gaps_ms() == [pytest.approx(50)]


def test_nothing_heard_is_nothing() -> None:
    heard = Heard([])
    assert (heard.sounds(), heard.onset_after(0.0), heard.gaps_ms(), heard.dropouts()) == ([], None, [], 0)
