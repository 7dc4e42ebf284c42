"""A sound card's output as an `AudioOutput`.

PortAudio's thread takes block after block from the queue and never waits for anybody. It tells when each sample will
sound by the time that PortAudio states for the block.
"""

import asyncio
import math
from collections.abc import Callable
from typing import Any

from agent.sound.block_queue import BlockQueue
from agent.sound.devices import Device, portaudio
from pipelines.events import Clock, Pcm

_BLOCK_MS = 20
_AHEAD_S = 2.0
_LONGEST_LEAD_S = 1.0  # more than this cannot be a latency; some drivers state none

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
        self._taken_sounds_s = (0, self.last_block_s)  # the next sample to be taken, and when it will sound
        block = rate_hz * _BLOCK_MS // 1_000
        self._queue = BlockQueue(rate_hz, block)
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
        queue = self._queue
        while queue.paused or queue.left > _AHEAD_S * self.sample_rate_hz:  # noqa: ASYNC110 - PortAudio tells nobody
            await asyncio.sleep(_BLOCK_MS / 2_000)
        return self._sounds_s(queue.add(pcm))

    def pause(self) -> None:
        """See AudioOutput."""
        self._queue.paused = True

    def resume(self) -> None:
        """See AudioOutput."""
        self._queue.paused = False

    async def drain(self) -> None:
        """See AudioOutput."""
        queue = self._queue
        while queue.left or self._clock() < self._taken_sounds_s[1] - _BLOCK_MS / 1_000:
            if not queue.left and queue.silent:
                break  # the last block was silence already
            await asyncio.sleep(_BLOCK_MS / 2_000)

    def clear(self) -> None:
        """See AudioOutput."""
        self._queue.clear()

    def close(self) -> None:
        """Let go of the device; what is queued is lost."""
        self._queue.clear()
        self._stream.close(ignore_errors=True)

    def _sounds_s(self, sample: int) -> float:
        taken, at_s = self._taken_sounds_s
        return max(at_s, self._clock()) + self._queue.before(sample, taken) / self.sample_rate_hz

    # ------------------------------------------------------------ PortAudio's thread

    def _fill(self, out: Any, samples: int, time: Any, status: Any) -> None:
        now_s = self._clock()
        self.underruns += bool(status.output_underflow)
        lead_s = time.outputBufferDacTime - time.currentTime
        self.lead_s = lead_s if 0 < lead_s < _LONGEST_LEAD_S and math.isfinite(lead_s) else self._latency_s
        block = self._queue.block()
        self._taken_sounds_s = (self._queue.taken, now_s + self.lead_s + samples / self.sample_rate_hz)
        self.last_block_s = now_s
        out[:] = block.tobytes()
        self._on_played(block)
