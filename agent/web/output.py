"""The page in the browser as an `AudioOutput`.

Audio goes out in small chunks, each with the position of its first sample, at most a second ahead of what has been
played, so that a network holds little that a `clear` must overtake. The page reports what it has really played and
when. Until such a report is there, the time at which a sample sounds is predicted; where the prediction was wrong,
`on_shift` tells by how much. Independent of sockets.
"""

import asyncio
import struct
from collections import deque
from collections.abc import Callable

import numpy as np

from pipelines.events import SAMPLE_RATE_HZ, Clock, Pcm

Send = Callable[[bytes | dict[str, object]], None]
OnShift = Callable[[float, float], None]
"""(from_s, by_s): what was to sound from `from_s` on sounds `by_s` later."""
OnPlayed = Callable[[float, Pcm, bool], None]
"""Hears what has sounded, when its first sample did, and whether it follows what was told before without a gap."""

_CHUNK = SAMPLE_RATE_HZ // 10
_QUEUED_S = 2.0  # `play` waits beyond this: more than any stall of the synthesizer
_SENT_AHEAD_S = 1.0
_TICK_S = 0.01
_FIRST_GUESS_S = 0.1  # the page's jitter buffer and the device, before any report tells better
_TOLERANCE_S = 0.002  # reports of one run differ by this much anyway
_GAP_S = 0.02  # less is a clock that was read twice
_LARGEST_SHIFT_S = 10.0  # beyond it, the page's clock is nonsense
_PATIENCE_S = 1.0  # a page that reports nothing (a tab asleep) must not keep a turn open for ever


class BrowserOutput:
    """16-bit mono at 16 kHz; `send` must return at once, and `run` must be running."""

    sample_rate_hz = SAMPLE_RATE_HZ

    def __init__(self, clock: Clock, send: Send, on_shift: OnShift, on_played: OnPlayed) -> None:
        self._clock = clock
        self._send = send
        self._on_shift = on_shift
        self._on_played = on_played
        self._queue: deque[tuple[int, Pcm]] = deque()  # not sent yet: at most `_QUEUED_S` and one piece
        self._sent: deque[tuple[int, Pcm]] = deque()  # sent, and not known to have been played
        self._written = 0  # positions: of the next sample to be queued, ...
        self._chunked = 0  # ... to be sent, ...
        self._heard = 0  # ... to be reported
        self._dropped = 0
        self._anchor = (0, clock())  # a position, and the process time at which it sounds
        self._heard_until_s = clock()
        self._paused_s: float | None = None
        self._start_delay_s = _FIRST_GUESS_S
        self._guessed: int | None = None  # the position whose time was guessed from the start delay
        self._wake = asyncio.Event()

    # ------------------------------------------------------------ AudioOutput

    async def play(self, pcm: Pcm) -> float:
        """See AudioOutput."""
        while self._paused_s is not None or self._ends_s - self._clock() > _QUEUED_S:  # noqa: ASYNC110 - time passes
            await asyncio.sleep(_TICK_S)
        start, now_s = self._written, self._clock()
        if self._ends_s <= now_s:
            self._anchor, self._guessed = (start, now_s + self._start_delay_s), start
        self._written += len(pcm)
        self._queue.append((start, pcm))
        self._wake.set()
        return self._sounds_s(start)

    def pause(self) -> None:
        """See AudioOutput."""
        if self._paused_s is None:
            self._paused_s = self._clock()
            self._send({"type": "pause"})

    def resume(self) -> None:
        """See AudioOutput."""
        if self._paused_s is not None:
            position, at_s = self._anchor
            self._anchor = (position, at_s + self._clock() - self._paused_s)
            self._paused_s = None
            self._send({"type": "resume"})
            self._wake.set()

    async def drain(self) -> None:
        """See AudioOutput."""
        while self._paused_s is not None or not self._has_sounded():  # noqa: ASYNC110 - time passes
            await asyncio.sleep(_TICK_S)

    def clear(self) -> None:
        """See AudioOutput."""
        self._queue.clear()
        self._dropped = self._chunked = self._written
        self._paused_s = None
        self._send({"type": "clear"})

    # ------------------------------------------------------------ the page

    async def run(self) -> None:
        """Send chunks as the page needs them, without an end."""
        while True:
            while (chunk := self._next_chunk()) is not None:
                position, pcm = chunk
                self._sent.append(chunk)
                self._send(struct.pack("<d", position) + pcm.astype("<i2").tobytes())
            self._wake.clear()
            if self._queue:
                await asyncio.sleep(_TICK_S * 2)
            else:
                await self._wake.wait()

    def played(self, first: int, end: int, at_s: float) -> None:
        """The page reports: these samples have been played without a gap, the first at `at_s`."""
        end = min(end, self._chunked)
        if not self._heard <= first < end:
            return  # samples are played in order, once, and not before they were sent
        if abs(at_s - self._clock()) > _LARGEST_SHIFT_S:
            return  # else the answer would not be over before that time has come
        pcm = self._take_sent(first, end)
        follows, self._heard = first == self._heard and abs(at_s - self._heard_until_s) < _GAP_S, end
        self._heard_until_s = at_s + (end - first) / SAMPLE_RATE_HZ
        if first >= self._dropped and self._paused_s is None:
            self._correct(first, at_s)
        if len(pcm):
            self._on_played(at_s, pcm, follows)

    def _correct(self, first: int, at_s: float) -> None:
        expected_s = self._sounds_s(first)
        error_s = at_s - expected_s
        if abs(error_s) <= _TOLERANCE_S:
            return
        self._anchor = (first, at_s)
        if first == self._guessed:
            self._start_delay_s = min(max(self._start_delay_s + error_s, 0.0), 1.0)
        self._on_shift(min(expected_s, at_s) - _TOLERANCE_S, error_s)

    # ------------------------------------------------------------ positions and times

    @property
    def _ends_s(self) -> float:
        """When all that is queued will have sounded; in the past if nothing is."""
        return self._sounds_s(self._written) if self._written > self._dropped else 0.0

    def _sounds_s(self, position: int) -> float:
        anchor, at_s = self._anchor
        return at_s + (position - anchor) / SAMPLE_RATE_HZ

    def _has_sounded(self) -> bool:
        now_s = self._clock()
        if self._heard >= self._written > self._dropped:
            return now_s >= self._heard_until_s
        return self._ends_s + (_PATIENCE_S if self._written > self._dropped else 0.0) <= now_s

    def _next_chunk(self) -> tuple[int, Pcm] | None:
        now_s = self._clock() if self._paused_s is None else self._paused_s
        if not self._queue or self._sounds_s(self._chunked) - now_s > _SENT_AHEAD_S:
            return None
        start, pcm = self._queue.popleft()
        if len(pcm) > _CHUNK:
            self._queue.appendleft((start + _CHUNK, pcm[_CHUNK:]))
        self._chunked = start + len(pcm[:_CHUNK])
        return start, pcm[:_CHUNK]

    def _take_sent(self, first: int, end: int) -> Pcm:
        """The samples that were sent at these positions; what lies before them will never be asked for again."""
        parts = [pcm[max(0, first - start) : max(0, end - start)] for start, pcm in self._sent]
        while self._sent and self._sent[0][0] + len(self._sent[0][1]) <= end:
            self._sent.popleft()
        return np.concatenate([*parts, np.zeros(0, np.int16)])
