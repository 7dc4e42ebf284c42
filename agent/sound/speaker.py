"""A sound card's output as an `AudioOutput`.

PortAudio's thread takes block after block from the queue and never waits for anybody; the event loop queues, pauses
and clears by setting plain values that the next block finds. It tells when each sample will sound by the time that
PortAudio states for the block.
"""

import asyncio
import math
from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np

from agent.sound.devices import Device, portaudio
from pipelines.events import Clock, Pcm

_BLOCK_MS = 20
_AHEAD_S = 2.0
_RAMP_MS = 5  # a voice that stops within a sample clicks
_LONGEST_LEAD_S = 1.0  # what PortAudio says beyond this is no time; some drivers state none

OnPlayed = Callable[[Pcm], object]


class Speaker:
    """Plays on `device` at `rate_hz`, 16-bit mono; `on_played` is given each block in PortAudio's thread.

    `underruns` counts the blocks that came too late for the card. Raises PortAudioError if it cannot be opened.
    """

    def __init__(self, device: Device, rate_hz: int, clock: Clock, on_played: OnPlayed) -> None:
        self.sample_rate_hz = rate_hz
        self.underruns = 0
        self.lead_s = 0.0  # from a block's making to its sounding
        self.last_block_s = clock()
        self._clock = clock
        self._on_played = on_played
        self._queue: deque[tuple[int, Pcm]] = deque()  # absolute sample number of the start, samples
        self._written = 0
        self._taken = 0
        self._dropped_before = 0
        self._paused = False
        self._silent = True  # whether the block before ended in silence that we made
        self._taken_sounds_s = (0, self.last_block_s)  # the next sample to be taken, and when it will sound
        ramp = np.linspace(0.0, 1.0, rate_hz * _RAMP_MS // 1_000, dtype=np.float32)
        self._rise, self._fall = ramp, ramp[::-1].copy()
        block = rate_hz * _BLOCK_MS // 1_000
        self._block = np.zeros(block, np.int16)
        sd: Any = portaudio()
        self._stream = sd.RawOutputStream(
            samplerate=rate_hz,
            blocksize=block,
            device=device.number,
            channels=1,
            dtype="int16",
            latency="low",
            callback=self._fill,
        )
        self._latency_s: float = self._stream.latency
        self._stream.start()

    # ------------------------------------------------------------ the event loop's side

    async def play(self, pcm: Pcm) -> float:
        """See AudioOutput."""
        while self._paused or self._left > _AHEAD_S * self.sample_rate_hz:  # noqa: ASYNC110 - PortAudio tells nobody
            await asyncio.sleep(_BLOCK_MS / 2_000)
        start, self._written = self._written, self._written + len(pcm)
        self._queue.append((start, pcm))
        return self._sounds_s(start)

    def pause(self) -> None:
        """See AudioOutput."""
        self._paused = True

    def resume(self) -> None:
        """See AudioOutput."""
        self._paused = False

    async def drain(self) -> None:
        """See AudioOutput."""
        while self._left or self._clock() < self._taken_sounds_s[1] - _BLOCK_MS / 1_000:
            if not self._left and self._silent:
                break  # the last block was silence already
            await asyncio.sleep(_BLOCK_MS / 2_000)

    def clear(self) -> None:
        """See AudioOutput."""
        self._dropped_before = self._written
        self._paused = False

    def close(self) -> None:
        """Let go of the device; what is queued is lost."""
        self._dropped_before = self._written
        self._stream.close(ignore_errors=True)

    @property
    def _left(self) -> int:
        """Samples that have not been taken and will be."""
        return self._written - max(self._taken, self._dropped_before)

    def _sounds_s(self, sample: int) -> float:
        taken, at_s = self._taken_sounds_s
        waiting = max(0, sample - max(taken, self._dropped_before))
        return max(at_s, self._clock()) + waiting / self.sample_rate_hz

    # ------------------------------------------------------------ PortAudio's thread

    def _fill(self, out: Any, samples: int, time: Any, status: Any) -> None:
        now_s = self._clock()
        self.underruns += bool(status.output_underflow)
        lead_s = time.outputBufferDacTime - time.currentTime
        self.lead_s = lead_s if 0 < lead_s < _LONGEST_LEAD_S and math.isfinite(lead_s) else self._latency_s
        block = self._block
        block[:] = 0
        if self._paused:
            if not self._silent:
                self._take(block[: len(self._fall)])
                self._shape(block[: len(self._fall)], self._fall)
            self._silent = True
        else:
            cut = self._dropped_before > self._taken and not self._silent
            if cut:
                self._drop_faded(block)
            filled = self._take(block) if not cut else 0
            if filled and self._silent:
                self._shape(block[: len(self._rise)], self._rise)
            self._silent = not filled
        self._taken_sounds_s = (self._taken, now_s + self.lead_s + samples / self.sample_rate_hz)
        self.last_block_s = now_s
        out[:] = block.tobytes()
        self._on_played(block)

    def _take(self, into: Pcm) -> int:
        """Move samples from the queue; returns how many."""
        filled = 0
        while filled < len(into) and self._queue:
            start, pcm = self._queue[0]
            at = max(self._taken, start, min(self._dropped_before, start + len(pcm))) - start
            piece = pcm[at : at + len(into) - filled]
            into[filled : filled + len(piece)] = piece
            filled += len(piece)
            self._taken = start + at + len(piece)
            if self._taken >= start + len(pcm):
                self._queue.popleft()
        return filled

    def _drop_faded(self, block: Pcm) -> None:
        """A few more milliseconds of what is to be dropped, dying away."""
        keep, self._dropped_before = self._dropped_before, 0
        fading = block[: min(len(self._fall), keep - self._taken)]
        self._take(fading)
        self._shape(fading, self._fall[-len(fading) :])
        self._dropped_before = max(keep, self._dropped_before)

    @staticmethod
    def _shape(pcm: Pcm, gain: Any) -> None:
        pcm[:] = (pcm * gain).astype(np.int16)
