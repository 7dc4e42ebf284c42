"""Arithmetic on PCM: level, the first audible sample, resampling, media time. Without files, devices or stages."""

import numpy as np
from numpy.typing import NDArray

from pipelines.events import SAMPLE_RATE_HZ, Clock, Pcm

FULL_SCALE = 32_768.0
AUDIBLE_DBFS = -50.0
"""Below this level nobody hears speech begin in an ordinary room; Piper's leading silence lies under -70."""
_LEVEL_WINDOW_MS = 5


def to_float(pcm: Pcm) -> NDArray[np.float32]:
    """Shape kept, values in [-1, 1): what the models take."""
    return pcm.astype(np.float32) / np.float32(FULL_SCALE)


def level_dbfs(pcm: Pcm) -> float:
    """RMS level in dB relative to a full-scale square wave; -inf for digital silence or no samples."""
    if not len(pcm):
        return float("-inf")
    mean_square = float(np.mean(np.square(to_float(pcm), dtype=np.float64)))
    return 10 * float(np.log10(mean_square)) if mean_square else float("-inf")


def first_audible_sample(pcm: Pcm, sample_rate_hz: int) -> int | None:
    """The first millisecond louder than `AUDIBLE_DBFS` among the first 5 ms that are, taken together; else None."""
    step = sample_rate_hz // 1_000
    energy = np.square(to_float(pcm[: len(pcm) // step * step])).reshape(-1, step).sum(axis=1)
    if len(energy) < _LEVEL_WINDOW_MS:
        return None
    audible = step * 10 ** (AUDIBLE_DBFS / 10)
    windows = np.convolve(energy, np.ones(_LEVEL_WINDOW_MS), "valid") / _LEVEL_WINDOW_MS
    loud = np.flatnonzero(windows > audible)
    if not len(loud):
        return None
    # The window that is first to be loud reaches up to 4 ms back into the silence.
    return int(loud[0] + np.flatnonzero(energy[loud[0] :] > audible)[0]) * step


def resample(pcm: Pcm, from_hz: int, to_hz: int) -> Pcm:
    """The whole of a signal at another rate (soxr, high quality); its length scales with the rates."""
    if from_hz == to_hz:
        return pcm
    import soxr

    resampled: Pcm = soxr.resample(pcm, from_hz, to_hz)
    return resampled


class Resampler:
    """A signal that comes in pieces, at another rate (soxr, high quality): no seam is heard, as it would be between
    pieces that were resampled one by one. It holds some 25 ms back until it knows what follows them.
    """

    def __init__(self, from_hz: int, to_hz: int) -> None:
        import soxr

        self._stream = None if from_hz == to_hz else soxr.ResampleStream(from_hz, to_hz, 1, dtype="int16")

    def push(self, pcm: Pcm) -> Pcm:
        """What can be said so far."""
        return pcm if self._stream is None else self._stream.resample_chunk(pcm)

    def flush(self) -> Pcm:
        """The rest, behind the last piece."""
        nothing = np.zeros(0, np.int16)
        return nothing if self._stream is None else self._stream.resample_chunk(nothing, last=True)


class MediaClock:
    """Maps media time (samples of the input) to process time (seconds of the clock).

    A frame cannot arrive before its last sample was captured, so the earliest arrival relative to media time is the
    best estimate of the stream's origin; late deliveries do not move it. A sound card's clock drifts against the
    process's (by up to some 100 ppm, 0.2 s in half an hour), so only the frames of the last `memory_s` to twice that
    are asked; where audio may be missing from the stream, they are also what finds the time again behind the hole.
    """

    def __init__(self, clock: Clock, memory_s: float = 10.0) -> None:
        self._clock = clock
        self._period_samples = round(memory_s * SAMPLE_RATE_HZ)
        self._origins_s: tuple[float, float] | None = None  # the earliest of the period before, and of this one
        self._period_ends = self._period_samples

    def frame_arrived(self, end_samples: int) -> None:
        """Note that all samples before `end_samples` are here now."""
        origin_s = self._clock() - end_samples / SAMPLE_RATE_HZ
        if self._origins_s is None:
            self._origins_s = origin_s, origin_s
        before_s, now_s = self._origins_s
        if end_samples >= self._period_ends:
            self._period_ends = end_samples + self._period_samples
            before_s, now_s = now_s, origin_s
        self._origins_s = before_s, min(now_s, origin_s)

    def process_time_s(self, samples: int) -> float:
        """When the sample at this media time was captured."""
        if self._origins_s is None:
            raise ValueError("no frame has arrived yet, so media time has no origin")
        return min(self._origins_s) + samples / SAMPLE_RATE_HZ

    def samples(self, process_time_s: float) -> int:
        """The media time of that moment."""
        return round((process_time_s - self.process_time_s(0)) * SAMPLE_RATE_HZ)
