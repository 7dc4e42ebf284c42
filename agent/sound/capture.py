"""A sound card's input: blocks of samples, handed from PortAudio's thread to the event loop through a ring buffer.

The thread copies and never waits: if nobody reads for two seconds, what does not fit is counted as dropped.
"""

import asyncio
import math
from typing import Any

import numpy as np

from agent.sound.devices import Device, portaudio
from pipelines.events import Clock, Pcm

_BLOCK_MS = 20
_RING_S = 2
_LONGEST_LAG_S = 1.0


class Ring:
    """A fixed buffer of 16-bit samples for one writer and one reader in different threads."""

    def __init__(self, samples: int) -> None:
        self._buffer = np.zeros(samples, np.int16)
        self._written = 0
        self._read = 0

    def __len__(self) -> int:
        return self._written - self._read

    def write(self, pcm: Pcm) -> bool:
        """Add all of it, or nothing where it does not fit."""
        size = len(self._buffer)
        if len(self) + len(pcm) > size:
            return False
        at = self._written % size
        first = min(len(pcm), size - at)
        self._buffer[at : at + first] = pcm[:first]
        self._buffer[: len(pcm) - first] = pcm[first:]
        self._written += len(pcm)
        return True

    def read(self, samples: int) -> Pcm:
        """Take that many, which must be there."""
        at = self._read % len(self._buffer)
        pcm = np.take(self._buffer, range(at, at + samples), mode="wrap")
        self._read += samples
        return pcm


class Capture:
    """Captures from `device` at `rate_hz`, 16-bit mono.

    `overruns` counts what the card lost, `dropped` the blocks that nobody read in time. Raises PortAudioError if it
    cannot be opened.
    """

    def __init__(self, device: Device, rate_hz: int, clock: Clock) -> None:
        self.sample_rate_hz = rate_hz
        self.overruns = 0
        self.dropped = 0
        self.lag_s = 0.0  # from a block's first sample to its arrival
        self.last_block_s = clock()
        self._clock = clock
        self._ring = Ring(rate_hz * _RING_S)
        self._loop = asyncio.get_running_loop()
        self._arrived = asyncio.Event()
        sd: Any = portaudio()
        self._stream = sd.RawInputStream(
            samplerate=rate_hz,
            blocksize=rate_hz * _BLOCK_MS // 1_000,
            device=device.number,
            channels=1,
            dtype="int16",
            latency="low",
            callback=self._take,
        )
        self._latency_s: float = self._stream.latency
        self._stream.start()

    async def block(self, samples: int, timeout_s: float) -> Pcm | None:
        """The next so many samples; None if the device gives none for so long."""
        while len(self._ring) < samples:
            self._arrived.clear()
            try:
                async with asyncio.timeout(timeout_s):
                    await self._arrived.wait()
            except TimeoutError:
                return None
        return self._ring.read(samples)

    def close(self) -> None:
        """Let go of the device."""
        self._stream.close(ignore_errors=True)

    def _take(self, captured: Any, samples: int, time: Any, status: Any) -> None:
        del samples
        self.overruns += bool(status.input_overflow)
        lag_s = time.currentTime - time.inputBufferAdcTime
        self.lag_s = lag_s if 0 < lag_s < _LONGEST_LAG_S and math.isfinite(lag_s) else self._latency_s
        self.last_block_s = self._clock()
        self.dropped += not self._ring.write(np.frombuffer(captured, np.int16))
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._arrived.set)
