"""Tones and clicks through the downsampler: what speech holds stays, what 16 kHz cannot hold is not folded into it."""

import numpy as np
import pytest

from agent.sound.downsampler import Downsampler
from pipelines.audio import level_dbfs
from pipelines.events import SAMPLE_RATE_HZ, Pcm


def downsampled(hz: float, rate_hz: int, block: int) -> Pcm:
    """A second of a tone at -13 dB RMS, in blocks of so many samples."""
    tone = (np.sin(np.arange(rate_hz) * 2 * np.pi * hz / rate_hz) * 10_362).astype(np.int16)
    downsampler = Downsampler(rate_hz)
    return np.concatenate([downsampler.push(tone[at : at + block]) for at in range(0, rate_hz, block)])


@pytest.mark.parametrize("rate_hz", [32_000, 48_000, 96_000])
@pytest.mark.parametrize("hz", [100, 1_000, 6_000, 7_000])
def test_what_speech_holds_passes_unchanged(rate_hz: int, hz: float) -> None:
    assert level_dbfs(downsampled(hz, rate_hz, rate_hz // 100)[200:]) == pytest.approx(-13, abs=0.1)


@pytest.mark.parametrize("rate_hz", [22_050, 24_000, 44_100])
@pytest.mark.parametrize(("hz", "lost_db"), [(300, 0.1), (5_000, 1.0)])
def test_at_odd_rates_it_passes_nearly_unchanged(rate_hz: int, hz: float, lost_db: float) -> None:
    level = level_dbfs(downsampled(hz, rate_hz, rate_hz // 100)[1_600:])
    assert -13 - lost_db <= level <= -13 + 0.1


@pytest.mark.parametrize("rate_hz", [22_050, 24_000, 32_000, 44_100, 48_000])
@pytest.mark.parametrize("hz", [9_200, 10_000])
def test_what_16_khz_cannot_hold_is_not_folded_into_it(rate_hz: int, hz: float) -> None:
    assert level_dbfs(downsampled(hz, rate_hz, rate_hz // 100)[1_600:]) < -13 - 55


@pytest.mark.parametrize("block", [1, 37, 160, 480, 1_000, 48_000])
def test_the_blocks_make_no_difference(block: int) -> None:
    out = downsampled(1_000, 48_000, block)
    whole = downsampled(1_000, 48_000, 480)
    shorter = min(len(out), len(whole))
    assert np.array_equal(out[:shorter], whole[:shorter])
    assert shorter >= SAMPLE_RATE_HZ - 1


@pytest.mark.parametrize("rate_hz", [22_050, 24_000, 32_000, 44_100, 48_000])
def test_under_a_millisecond_is_held_back(rate_hz: int) -> None:
    assert 0 <= SAMPLE_RATE_HZ - len(downsampled(300, rate_hz, rate_hz // 100)) < 16


def test_a_click_comes_out_a_millisecond_later() -> None:
    click = np.zeros(960, np.int16)
    click[300] = 30_000
    out = Downsampler(48_000).push(click)
    assert int(np.abs(out).argmax()) / 16 - 300 / 48 == pytest.approx(1, abs=0.1)


def test_16_khz_passes_as_it_is() -> None:
    pcm = np.arange(-500, 500, dtype=np.int16)
    assert np.array_equal(Downsampler(SAMPLE_RATE_HZ).push(pcm), pcm)
