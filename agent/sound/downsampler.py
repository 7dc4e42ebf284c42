"""Sound at a device's or a network's rate -> the 16 kHz of speech, block by block. Independent of speech.

A linear-phase low-pass (Kaiser window): flat to 7 kHz, over 60 dB down from 9 kHz on. It holds back 1 ms of a stream.
livekit's resampler holds back 20 to 31 ms in its low quality, which takes 3 dB from 6.5 kHz and 13 dB from 7 kHz,
enough for the recogniser to doubt the ends of sentences, and more in its better ones (measured); its quickest, which
only interpolates, does the rest here where the rate is no multiple of 16 kHz.
"""

import math

import numpy as np
from livekit import rtc
from numpy.typing import NDArray

from pipelines.events import SAMPLE_RATE_HZ, Pcm

_TAPS_S = 93 / 48_000
_BETA = 5.65  # for 60 dB


class Downsampler:
    """One stream of mono PCM at `rate_hz`, in blocks of any length."""

    def __init__(self, rate_hz: int) -> None:
        self.rate_hz = rate_hz
        self._low_pass = _low_pass(rate_hz) if rate_hz > SAMPLE_RATE_HZ else np.ones(1)
        is_multiple = rate_hz % SAMPLE_RATE_HZ == 0
        self._step = rate_hz // SAMPLE_RATE_HZ if is_multiple else 1
        quick = rtc.AudioResamplerQuality.QUICK
        self._resampler = None if is_multiple else rtc.AudioResampler(rate_hz, SAMPLE_RATE_HZ, quality=quick)
        self._before: Pcm = np.zeros(len(self._low_pass) - 1, np.int16)  # what the next sample still needs

    def push(self, pcm: Pcm) -> Pcm:
        """The next samples at 16 kHz."""
        samples = np.concatenate([self._before, pcm])
        if len(samples) < len(self._low_pass):
            self._before = samples
            return samples[:0]
        exact = np.convolve(samples, self._low_pass, "valid")[:: self._step]
        self._before = samples[len(exact) * self._step :]
        filtered = np.rint(exact).clip(-32_768, 32_767).astype(np.int16)
        if self._resampler is None:
            return filtered
        frames = self._resampler.push(bytearray(filtered.tobytes()))
        return np.concatenate([filtered[:0], *(np.frombuffer(frame.data, np.int16) for frame in frames)])


def _low_pass(rate_hz: int) -> NDArray[np.float64]:
    taps = 2 * math.floor(rate_hz * _TAPS_S / 2) + 1
    at = np.arange(taps) - taps // 2
    low_pass = np.sinc(at * SAMPLE_RATE_HZ / rate_hz) * np.kaiser(taps, _BETA)
    return np.asarray(low_pass / low_pass.sum())
