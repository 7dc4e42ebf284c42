"""What is pushed into a LiveKit stream -> stretches of 16 kHz frames for the pipeline. Independent of speech.

A stretch is audio without a hole, with a media time of its own. It ends with the input, with a flush that has something
to end, and where audio was missing (a muted or unpublished track): after a hole media time would no longer tell when
something was said.
"""

from collections.abc import AsyncGenerator, Callable

import numpy as np
from livekit import rtc
from livekit.agents import stt
from livekit.agents.utils import aio

from agent.sound.downsampler import Downsampler
from pipelines.audio import MediaClock
from pipelines.events import SAMPLE_RATE_HZ, AudioFrame, Clock, Pcm

_HOLE_S = 1.0  # frames this late, with none behind them, were not held up: there was nothing to send

Input = aio.Chan[rtc.AudioFrame | stt.RecognizeStream._FlushSentinel]


class Incoming:
    """Reads a stream's input channel; `on_flush` is told of a flush, and says whether the stretch ends with it."""

    def __init__(self, channel: Input, clock: Clock, on_flush: Callable[[], bool]) -> None:
        self._heard_samples = 0
        self._channel = channel
        self._clock = clock
        self._on_flush = on_flush
        self._ended = False
        self._kept: rtc.AudioFrame | None = None  # the first frame behind a hole
        self._downsampler: Downsampler | None = None

    @property
    def has_more(self) -> bool:
        """Whether another stretch may follow."""
        return not self._ended

    def take_heard_s(self) -> float:
        """Seconds of audio since this was asked last."""
        samples, self._heard_samples = self._heard_samples, 0
        return samples / SAMPLE_RATE_HZ

    async def stretch(self) -> AsyncGenerator[AudioFrame]:
        """The frames of the next stretch, from media time 0 on."""
        media, now_samples = MediaClock(self._clock, _HOLE_S), 0
        while (frame := await self._next(media, now_samples)) is not None:
            pcm = self._converted(frame)
            yield AudioFrame(pcm, now_samples)
            now_samples += len(pcm)
            self._heard_samples += len(pcm)
            media.frame_arrived(now_samples)

    async def _next(self, media: MediaClock, now_samples: int) -> rtc.AudioFrame | None:
        frame, self._kept = self._kept, None
        if frame is not None:
            return frame
        async for item in self._channel:
            if isinstance(item, rtc.AudioFrame):
                if not self._is_behind_a_hole(item, media, now_samples):
                    return item
                self._kept = item
                return None
            # The flush that ends the input is the last thing in it.
            if (self._channel.closed and self._channel.empty()) or self._on_flush():
                self._ended = self._channel.closed and self._channel.empty()
                return None
        self._ended = True
        return None

    def _is_behind_a_hole(self, frame: rtc.AudioFrame, media: MediaClock, now_samples: int) -> bool:
        if not now_samples or not self._channel.empty():
            return False
        return self._clock() - media.process_time_s(now_samples) - frame.duration > _HOLE_S

    def _converted(self, frame: rtc.AudioFrame) -> Pcm:
        pcm = mono(frame)
        if frame.sample_rate == SAMPLE_RATE_HZ:
            return pcm
        if self._downsampler is None or self._downsampler.rate_hz != frame.sample_rate:
            self._downsampler = Downsampler(frame.sample_rate)
        return self._downsampler.push(pcm)


def mono(frame: rtc.AudioFrame) -> Pcm:
    """The mean of a frame's channels."""
    pcm: Pcm = np.frombuffer(frame.data, np.int16)
    if frame.num_channels > 1:
        pcm = pcm.reshape(-1, frame.num_channels).mean(axis=1).astype(np.int16)
    return pcm
