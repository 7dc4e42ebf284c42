"""The agent's audio track as an `AudioOutput`.

WebRTC is given a block of 10 ms every 10 ms, silence included, on an absolute schedule. So nothing waits in a queue
that a barge-in must overtake. (livekit's own queue costs some 20 ms, and keeps for the whole call what once piled up
in it.) The pacer has a thread and an event loop of its own: the caller's jitter buffer grows by every stall that it
sees, and shrinks slowly. A sample counts as sounding when it is handed to WebRTC; what the network and the caller's
device add is not known here.
"""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from livekit import rtc

from agent.block_queue import BlockQueue
from pipelines.events import Clock, Pcm

_RATE_HZ = 48_000  # what Opus runs at: WebRTC resamples nothing
_BLOCK_S = 0.01  # what WebRTC takes
_BLOCK = round(_RATE_HZ * _BLOCK_S)
_AHEAD_S = 2.0
_LATEST_S = 0.2  # more is not made up for: the caller hears a gap, and the schedule starts anew


class RoomOutput:
    """16-bit mono at 48 kHz; it plays `running`. `late_blocks` counts those whose time was over when they came."""

    sample_rate_hz = _RATE_HZ

    def __init__(self, clock: Clock) -> None:
        self.late_blocks = 0
        self._clock = clock
        self._queue = BlockQueue(_RATE_HZ, _BLOCK)
        self._due_s = clock()  # when the next block is handed over
        self._stop = False

    @contextmanager
    def running(self) -> Iterator[rtc.AudioSource]:
        """Hand over block after block; the source is what a track is made of."""
        loop = asyncio.new_event_loop()
        source = rtc.AudioSource(_RATE_HZ, 1, queue_size_ms=0, loop=loop)
        pacer = threading.Thread(target=self._run, args=(loop, source), name="room playout", daemon=True)
        pacer.start()
        try:
            yield source
        finally:
            self._stop = True
            pacer.join()

    async def play(self, pcm: Pcm) -> float:
        """See AudioOutput."""
        queue = self._queue
        while queue.paused or queue.left > _AHEAD_S * _RATE_HZ:  # noqa: ASYNC110 - time passes
            await asyncio.sleep(_BLOCK_S)
        sample = queue.add(pcm)
        return max(self._due_s, self._clock()) + queue.before(sample, queue.taken) / _RATE_HZ

    def pause(self) -> None:
        """See AudioOutput."""
        self._queue.paused = True

    def resume(self) -> None:
        """See AudioOutput."""
        self._queue.paused = False

    async def drain(self) -> None:
        """See AudioOutput."""
        while self._queue.left or not self._queue.silent:  # noqa: ASYNC110 - time passes
            await asyncio.sleep(_BLOCK_S / 2)

    def clear(self) -> None:
        """See AudioOutput."""
        self._queue.clear()

    # ------------------------------------------------------------ the pacer's thread

    def _run(self, loop: asyncio.AbstractEventLoop, source: rtc.AudioSource) -> None:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(self._pace(source))

    async def _pace(self, source: rtc.AudioSource) -> None:
        self._due_s = self._clock()
        while not self._stop:
            block = self._queue.block()
            frame = rtc.AudioFrame(block.tobytes(), _RATE_HZ, 1, _BLOCK)
            self._due_s += _BLOCK_S
            await source.capture_frame(frame)
            late_s = self._clock() - self._due_s
            self.late_blocks += late_s > _BLOCK_S
            if late_s > _LATEST_S:
                self._due_s = self._clock()
            await asyncio.sleep(max(0.0, -late_s))
        await source.aclose()
