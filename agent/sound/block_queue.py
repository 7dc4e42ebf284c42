"""Speech that is waiting to be played, taken block by block by a sound card's thread.

The one who queues is another thread: pausing and clearing set plain values that the next block finds. A voice that
stops within a sample clicks, so it dies away and comes back over a few milliseconds. Independent of devices and clocks.
"""

from collections import deque
from typing import Any

import numpy as np

from pipelines.events import Pcm

_RAMP_MS = 5


class BlockQueue:
    """16-bit mono at `rate_hz`, handed out in blocks of `block_samples`."""

    def __init__(self, rate_hz: int, block_samples: int) -> None:
        self.paused = False
        self.silent = True  # whether the block before ended in silence that we made
        self.taken = 0  # the next sample to be taken, counted from the first that was ever queued
        self._pieces: deque[tuple[int, Pcm]] = deque()  # absolute number of the first sample, samples
        self._written = 0
        self._dropped_before = 0
        ramp = np.linspace(0.0, 1.0, rate_hz * _RAMP_MS // 1_000, dtype=np.float32)
        self._rise, self._fall = ramp, ramp[::-1].copy()
        self._block = np.zeros(block_samples, np.int16)

    def add(self, pcm: Pcm) -> int:
        """Queue it behind what is there; returns the number of its first sample."""
        start, self._written = self._written, self._written + len(pcm)
        self._pieces.append((start, pcm))
        return start

    def clear(self) -> None:
        """Drop what has not been taken, and end a pause."""
        self._dropped_before = self._written
        self.paused = False

    @property
    def left(self) -> int:
        """Samples that have not been taken and will be."""
        return self._written - max(self.taken, self._dropped_before)

    def before(self, sample: int, taken: int) -> int:
        """How many samples will be taken before that one, counted from `taken` on."""
        return max(0, sample - max(taken, self._dropped_before))

    def block(self) -> Pcm:
        """The next block, silence if nothing is to be played; it is the same array each time."""
        block = self._block
        block[:] = 0
        if self.paused:
            if not self.silent:
                self._take(block[: len(self._fall)])
                _shape(block[: len(self._fall)], self._fall)
            self.silent = True
            return block
        cut = self._dropped_before > self.taken and not self.silent
        if cut:
            self._drop_faded(block)
        filled = self._take(block) if not cut else 0
        if filled and self.silent:
            _shape(block[: len(self._rise)], self._rise)
        self.silent = not filled
        return block

    def _take(self, into: Pcm) -> int:
        """Move samples from the queue; returns how many."""
        filled = 0
        while filled < len(into) and self._pieces:
            start, pcm = self._pieces[0]
            at = max(self.taken, start, min(self._dropped_before, start + len(pcm))) - start
            piece = pcm[at : at + len(into) - filled]
            into[filled : filled + len(piece)] = piece
            filled += len(piece)
            self.taken = start + at + len(piece)
            if self.taken >= start + len(pcm):
                self._pieces.popleft()
        return filled

    def _drop_faded(self, block: Pcm) -> None:
        """A few more milliseconds of what is to be dropped, dying away."""
        keep, self._dropped_before = self._dropped_before, 0
        fading = block[: min(len(self._fall), keep - self.taken)]
        self._take(fading)
        _shape(fading, self._fall[-len(fading) :])
        self._dropped_before = max(keep, self._dropped_before)


def _shape(pcm: Pcm, gain: Any) -> None:
    pcm[:] = (pcm * gain).astype(np.int16)
