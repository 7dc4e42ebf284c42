import numpy as np
import pytest

from pipelines.audio import MediaClock, Resampler, first_audible_sample, level_dbfs, resample, to_float
from pipelines.events import SAMPLE_RATE_HZ, Pcm


def square(amplitude: int, samples: int) -> Pcm:
    return np.resize(np.array([amplitude, -amplitude], np.int16), samples)


def test_floats_span_minus_one_to_one() -> None:
    assert to_float(np.array([-32_768, 0, 16_384], np.int16)).tolist() == [-1.0, 0.0, 0.5]


@pytest.mark.parametrize(
    ("pcm", "level"),
    [
        (square(32_767, 100), 0.0),
        (square(16_384, 100), -6.02),
        (square(328, 100), -40.0),
        (np.zeros(100, np.int16), float("-inf")),
        (np.zeros(0, np.int16), float("-inf")),
    ],
)
def test_level_is_relative_to_a_full_scale_square_wave(pcm: Pcm, level: float) -> None:
    assert level_dbfs(pcm) == pytest.approx(level, abs=0.02)


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 48_000])
@pytest.mark.parametrize("onset_ms", [0, 1, 4, 5, 47, 50])
def test_the_first_audible_sample_is_known_to_the_millisecond(rate_hz: int, onset_ms: int) -> None:
    step = rate_hz // 1_000
    pcm = np.concatenate([np.zeros(onset_ms * step, np.int16), square(3_000, 20 * step)])
    assert first_audible_sample(pcm, rate_hz) == onset_ms * step
    late = np.concatenate([np.zeros(1, np.int16), pcm])
    assert first_audible_sample(late, rate_hz) == onset_ms * step


def test_a_sound_that_swells_is_audible_from_the_millisecond_that_is_loud_enough() -> None:
    loudness = np.linspace(0, 1_000, 1_600)  # in 100 ms; -50 dBFS is 104
    pcm = (square(1, 1_600) * loudness).astype(np.int16)
    assert first_audible_sample(pcm, SAMPLE_RATE_HZ) == 10 * 16


@pytest.mark.parametrize(("dbfs", "audible"), [(-49.0, True), (-51.0, False)])
def test_audible_is_what_exceeds_minus_50_dbfs(dbfs: float, audible: bool) -> None:
    pcm = square(round(32_768 * 10 ** (dbfs / 20)), 800)
    assert (first_audible_sample(pcm, SAMPLE_RATE_HZ) == 0) is audible


@pytest.mark.parametrize("samples", [0, 79])
def test_audio_shorter_than_a_window_is_not_audible(samples: int) -> None:
    assert first_audible_sample(square(3_000, samples), SAMPLE_RATE_HZ) is None


def test_a_single_click_is_not_audible() -> None:
    pcm = np.zeros(800, np.int16)
    pcm[100] = 900
    assert first_audible_sample(pcm, SAMPLE_RATE_HZ) is None


def test_resampling_keeps_duration_and_pitch() -> None:
    tone = (8_000 * np.sin(2 * np.pi * 440 * np.arange(22_050) / 22_050)).astype(np.int16)
    resampled = resample(tone, 22_050, SAMPLE_RATE_HZ)
    assert resampled.dtype == np.int16
    assert len(resampled) == SAMPLE_RATE_HZ
    assert int(np.argmax(np.abs(np.fft.rfft(resampled)))) == 440


def test_resampling_to_the_same_rate_changes_nothing() -> None:
    pcm = square(100, 10)
    assert resample(pcm, 16_000, 16_000) is pcm


@pytest.mark.parametrize("to_hz", [16_000, 24_000, 48_000, 22_050])
def test_a_signal_resampled_in_pieces_is_the_one_resampled_whole(to_hz: int) -> None:
    tone = (8_000 * np.sin(2 * np.pi * 440 * np.arange(22_050) / 22_050)).astype(np.int16)
    resampler = Resampler(22_050, to_hz)
    first, *pieces = [resampler.push(piece) for piece in np.split(tone, [8_704, 8_705, 17_000])]
    assert len(first) > 0.9 * 8_704 * to_hz / 22_050
    joined = np.concatenate([first, *pieces, resampler.flush()]).astype(int)
    whole = resample(tone, 22_050, to_hz)
    assert len(joined) == len(whole)
    assert np.abs(joined - whole).max() <= 4


class DrivenClock:
    def __init__(self) -> None:
        self.now_s = 50.0

    def __call__(self) -> float:
        return self.now_s


def test_media_time_maps_to_when_it_was_captured() -> None:
    clock = DrivenClock()
    media = MediaClock(clock)
    media.frame_arrived(160)
    assert media.process_time_s(160) == 50.0
    assert media.process_time_s(160 + SAMPLE_RATE_HZ) == 51.0


def test_late_frames_do_not_move_the_media_clock() -> None:
    clock = DrivenClock()
    media = MediaClock(clock)
    media.frame_arrived(160)
    clock.now_s = 50.310
    media.frame_arrived(320)
    assert media.process_time_s(160) == 50.0


def test_a_frame_that_is_earlier_than_the_first_moves_the_media_clock() -> None:
    clock = DrivenClock()
    media = MediaClock(clock)
    media.frame_arrived(160)
    clock.now_s = 50.004
    media.frame_arrived(320)
    assert media.process_time_s(320) == pytest.approx(50.004)


def test_the_media_clock_follows_a_sound_card_that_runs_fast_or_slow() -> None:
    for drift in (1e-3, -1e-3):  # ten times that of a bad one
        clock = DrivenClock()
        media = MediaClock(clock)
        began_s = clock.now_s
        for second in range(1, 1_801):
            clock.now_s = began_s + second * (1 + drift)
            media.frame_arrived(second * SAMPLE_RATE_HZ)
        assert media.process_time_s(1_800 * SAMPLE_RATE_HZ) == pytest.approx(clock.now_s, abs=0.025)


def test_a_media_clock_without_frames_has_no_origin() -> None:
    with pytest.raises(ValueError, match="no frame has arrived"):
        MediaClock(DrivenClock()).process_time_s(0)
