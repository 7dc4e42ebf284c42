"""What the agent hears of a room: one gapless stream of frames, whatever becomes of the track behind it.

A track that is muted, taken back or lost sends nothing; silence takes its place in real time, so that a turn which was
under way ends, and media time never stands still. Independent of participants and turns.
"""

import asyncio
import logging
from asyncio import Queue, Task
from collections.abc import AsyncIterator

import numpy as np
from livekit import rtc

from agent.sound.downsampler import Downsampler
from pipelines.events import SAMPLE_RATE_HZ, AudioFrame, Clock, Pcm

log = logging.getLogger(__name__)

_RATE_HZ = 48_000
_FRAME_MS = 20  # smaller ones are 7 ms quicker, and each is an event that wakes every room of the process
_BOUND = 100  # two seconds of frames: the ear is never that late, and older speech is no use to anybody
_PATIENCE_S = 0.1  # WebRTC conceals shorter gaps itself
_SILENCE = np.zeros(SAMPLE_RATE_HZ * _FRAME_MS // 1_000, np.int16)


class RoomInput:
    """Listens to one track at a time; `dropped` counts the frames that came faster than they were heard."""

    def __init__(self, clock: Clock) -> None:
        self.dropped = 0
        self._clock = clock
        self._last_s = 0.0
        self._queue: Queue[Pcm] = Queue(_BOUND)
        self._listening: Task[None] | None = None

    def listen_to(self, track: rtc.Track | None) -> None:
        """Hear this track from now on, and no other; None for nothing."""
        if self._listening is not None:
            self._listening.cancel()
        self._listening = None
        if track is not None:
            self._listening = asyncio.create_task(self._pull(track), name="track")
            self._listening.add_done_callback(_note_failure)

    async def close(self) -> None:
        """Listen no more."""
        listening = self._listening
        self.listen_to(None)
        if listening is not None:
            await asyncio.gather(listening, return_exceptions=True)

    async def frames(self) -> AsyncIterator[AudioFrame]:
        """What is heard, without an end."""
        heard = 0
        watching = asyncio.create_task(self._fill_silence(), name="silence")
        try:
            while True:
                pcm = await self._queue.get()
                self._last_s = self._clock()
                yield AudioFrame(pcm, heard)
                heard += len(pcm)
        finally:
            watching.cancel()

    async def _fill_silence(self) -> None:
        """A timer for each frame would cost more than hearing it, so one task looks now and then."""
        self._last_s = self._clock()
        rest_s = 0.0  # of a frame
        while True:
            await asyncio.sleep(_PATIENCE_S / 2)
            missing_s = self._clock() - self._last_s
            if missing_s > _PATIENCE_S and self._queue.empty():
                frames = int((missing_s + rest_s) * 1_000 / _FRAME_MS)
                rest_s += missing_s - frames * _FRAME_MS / 1_000
                for _ in range(min(_BOUND, frames)):
                    self._queue.put_nowait(_SILENCE)

    async def _pull(self, track: rtc.Track) -> None:
        # At the rate that WebRTC has it in: livekit's own way to 16 kHz takes 3 dB from 6.5 kHz, and folds what lies
        # above 8 kHz into speech (measured).
        stream = rtc.AudioStream(track, sample_rate=_RATE_HZ, num_channels=1, frame_size_ms=_FRAME_MS)
        downsampler = Downsampler(_RATE_HZ)
        try:
            async for event in stream:
                if self._queue.full():
                    self.dropped += 1
                    self._queue.get_nowait()
                self._queue.put_nowait(downsampler.push(np.frombuffer(event.frame.data, np.int16)))
        finally:
            await stream.aclose()


def _note_failure(listening: Task[None]) -> None:
    """Silence takes the place of a track that cannot be read; that must not go unnoticed."""
    if not listening.cancelled() and (error := listening.exception()) is not None:
        log.error("the track can no longer be heard", exc_info=error)
