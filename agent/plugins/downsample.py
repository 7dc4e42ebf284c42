"""Speech at any rate -> 16 kHz as it comes, late by less than a millisecond. It knows no speech.

The resamplers at hand hold back 20 to 59 ms of a stream, but for libsoxr's quickest, which interpolates and filters
nothing. So a short filter goes first: what lies above 9 kHz, and would be heard mirrored at 8 kHz, is taken down by
over 55 dB.
"""

import numpy as np
from livekit import rtc

from pipelines.events import SAMPLE_RATE_HZ, Pcm

_TAPS = 63
_CUT_HZ = 7_000


class Downsampler:
    """One stream of mono PCM at `rate_hz`."""

    def __init__(self, rate_hz: int) -> None:
        self.rate_hz = rate_hz
        self._resampler = rtc.AudioResampler(rate_hz, SAMPLE_RATE_HZ, quality=rtc.AudioResamplerQuality.QUICK)
        self._filter = _lowpass(rate_hz) if rate_hz > SAMPLE_RATE_HZ else np.ones(1)
        self._before = np.zeros(len(self._filter) - 1)  # the end of what came before

    def push(self, pcm: Pcm) -> Pcm:
        """The next samples at 16 kHz."""
        joined = np.concatenate([self._before, pcm])
        self._before = joined[len(pcm) :]
        filtered = np.convolve(joined, self._filter, "valid").round().clip(-32_768, 32_767).astype(np.int16)
        frames = self._resampler.push(bytearray(filtered.tobytes()))
        return np.concatenate([np.zeros(0, np.int16), *(np.frombuffer(frame.data, np.int16) for frame in frames)])


def _lowpass(rate_hz: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """A windowed sinc that leaves what is slow as loud as it is."""
    middle = np.arange(_TAPS) - (_TAPS - 1) / 2
    taps = np.sinc(2 * _CUT_HZ / rate_hz * middle) * np.hamming(_TAPS)
    return np.asarray(taps / taps.sum())
