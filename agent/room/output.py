"""The agent's audio track as an `AudioOutput`.

WebRTC paces what it is given in a native thread, and sends silence if there is nothing; so no stall of this process
is heard, and a room in which nobody speaks costs nothing here. (Pushing every 10 ms on time ourselves is 9 ms quicker
with one room and hopeless with three: each push is an event that wakes every room of the process.) Speech is handed
over a little ahead; what has not sounded is taken back at a pause, so a barge-in is immediate. What the network and the
caller's device add is not known here.
"""

import asyncio
from collections import deque
from contextlib import suppress

import numpy as np
from livekit import rtc

from pipelines.events import Clock, Pcm

_RATE_HZ = 48_000  # what Opus runs at: WebRTC resamples nothing
_BLOCK = _RATE_HZ // 10  # a push takes a lock that WebRTC's threads take for every frame they bring
_STEP = _RATE_HZ // 100  # WebRTC sends whole ones, and keeps the rest for later
_AHEAD_S = 0.2  # longer than this process ever stalls
_QUEUE_MS = 400  # so a push never has to wait
_QUEUED_S = 2.0  # `play` waits beyond this
_TICK_S = 0.01
_FADE = _RATE_HZ // 200  # a voice that stops within a sample clicks
_WEBRTC_S = 0.005  # half of WebRTC's own step of 10 ms


class RoomOutput:
    """16-bit mono at 48 kHz; `run` must be running. `underruns` counts the gaps in what was said."""

    sample_rate_hz = _RATE_HZ

    def __init__(self, clock: Clock) -> None:
        self.underruns = 0
        self.source = rtc.AudioSource(_RATE_HZ, 1, queue_size_ms=_QUEUE_MS)
        self._clock = clock
        self._pieces: deque[tuple[int, Pcm]] = deque()  # what has not sounded: its first sample's position, samples
        self._written = 0  # positions: of the next sample to be queued, ...
        self._pushed = 0  # ... to be handed to WebRTC
        self._paused = False
        self._fading: Pcm = np.zeros(0, np.int16)  # the last of what was cut
        self._rest = 0  # samples of a step that is not whole
        self._arriving = 0  # samples on their way to WebRTC: a `clear_queue` overtakes them
        self._cut_arriving = False
        self._dry = True  # whether WebRTC has been without speech since the last push
        self._wake = asyncio.Event()

    async def run(self) -> None:
        """Hand over speech as it is needed, without an end."""
        try:
            while True:
                await self._hand_over()
        finally:
            await self.source.aclose()

    async def _hand_over(self) -> None:
        if len(self._fading):
            fading, self._fading = self._fading, self._fading[:0]
            await self._push(fading)
        elif self._paused or self._pushed == self._written:
            if self._rest:
                await self._push(np.zeros(_STEP - self._rest, np.int16))
            self._dry = True
            await self._woken(None)
        elif (early_s := self.source.queued_duration - _AHEAD_S) > 0:
            await self._woken(early_s)
        else:
            self.underruns += not self._dry and not self.source.queued_duration
            self._dry = False
            block = self._samples(self._pushed, _BLOCK)
            self._pushed += len(block)
            await self._push(block)

    async def _woken(self, timeout_s: float | None) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._wake.wait()
        self._wake.clear()

    async def play(self, pcm: Pcm) -> float:
        """See AudioOutput."""
        while self._paused or self._written - self._sounded() > _QUEUED_S * _RATE_HZ:  # noqa: ASYNC110 - time passes
            await asyncio.sleep(_TICK_S)
        start, self._written = self._written, self._written + len(pcm)
        self._pieces.append((start, pcm))
        self._wake.set()
        waits_s = self.source.queued_duration + (start - self._pushed) / _RATE_HZ
        return self._clock() + waits_s + (0.0 if waits_s else _WEBRTC_S)

    def pause(self) -> None:
        """See AudioOutput."""
        if not self._paused:
            self._paused = True
            self._pushed = self._cut()

    def resume(self) -> None:
        """See AudioOutput."""
        self._paused = False
        self._wake.set()

    async def drain(self) -> None:
        """See AudioOutput."""
        while self._paused or self._sounded() < self._written:  # noqa: ASYNC110 - time passes
            await asyncio.sleep(_TICK_S)

    def clear(self) -> None:
        """See AudioOutput."""
        self._cut()
        self._pieces.clear()
        self._pushed = self._written
        self._paused = False

    def _cut(self) -> int:
        """Take back what has not sounded, but for a few milliseconds that die away; returns where it then goes on."""
        sounded = self._sounded()
        if sounded < self._pushed:
            self.source.clear_queue()
            self._rest, self._cut_arriving = 0, bool(self._arriving)
            last = self._samples(sounded, _FADE)
            self._fading = (last * np.linspace(1, 0, len(last))).astype(np.int16)
            self._wake.set()
            sounded += len(last)
        return sounded

    def _sounded(self) -> int:
        """The position that sounds now."""
        at = max(0, self._pushed - max(self._arriving, round(self.source.queued_duration * _RATE_HZ)))
        while self._pieces and self._pieces[0][0] + len(self._pieces[0][1]) <= at:
            self._pieces.popleft()
        return at

    def _samples(self, start: int, count: int) -> Pcm:
        parts = [pcm[max(0, start - at) : max(0, start + count - at)] for at, pcm in self._pieces]
        return np.concatenate([np.zeros(0, np.int16), *parts])

    async def _push(self, pcm: Pcm) -> None:
        self._rest = (self._rest + len(pcm)) % _STEP
        self._arriving, self._cut_arriving = len(pcm), False
        try:
            await self.source.capture_frame(rtc.AudioFrame(pcm.tobytes(), _RATE_HZ, 1, len(pcm)))
        finally:
            self._arriving = 0
        if self._cut_arriving:
            self.source.clear_queue()
