"""Both sides of one live conversation on one timeline, for the download: the last half hour, on disk.

The file is a ring, so neither memory nor disk grows without an end. It knows no page and no turn.
"""

import struct
import tempfile
from collections.abc import Iterator
from itertools import chain
from types import TracebackType
from typing import Self

import numpy as np

from pipelines.events import SAMPLE_RATE_HZ, Pcm

_KEPT_S = 30 * 60
_AHEAD = 5 * SAMPLE_RATE_HZ  # how far what the agent plays may lie ahead of what has been captured
_BLOCK = SAMPLE_RATE_HZ
_SAMPLE_BYTES = 2
_FRAME_BYTES = 2 * _SAMPLE_BYTES


class Recording:
    """Left the user as captured, right the agent as played; use it as a context manager."""

    def __init__(self, kept_s: float = _KEPT_S) -> None:
        self._kept = round(kept_s * SAMPLE_RATE_HZ)
        self._size = self._kept + _AHEAD
        # Unbuffered, and no memory map: a full disk is then an OSError and not the end of the process.
        self._file = tempfile.TemporaryFile(prefix="quickturn-", buffering=0)  # noqa: SIM115 - closed by __exit__
        self._file.truncate(2 * self._size * _SAMPLE_BYTES)  # sparse: it takes room as it fills
        self._captured = 0

    def user(self, pcm: Pcm) -> None:
        """Add what was captured."""
        self._write(self._captured, pcm, 0)
        self._write(self._captured + _AHEAD, np.zeros_like(pcm), 1)  # what the ring held there half an hour ago
        self._captured += len(pcm)

    def agent(self, at: int, pcm: Pcm) -> None:
        """Add what was played from media time `at` on; what lies outside the ring is left out."""
        oldest = max(0, self._captured - self._kept)
        pcm, at = pcm[max(0, oldest - at) :], max(at, oldest)
        self._write(at, pcm[: max(0, self._captured + _AHEAD - at)], 1)

    def wav(self) -> tuple[int, Iterator[bytes]]:
        """A WAV file of what there is now: how many bytes, and they themselves piece by piece."""
        start, end = max(0, self._captured - self._kept), self._captured
        header = _wav_header(end - start)
        return len(header) + (end - start) * _FRAME_BYTES, chain([header], self._blocks(start, end))

    def _blocks(self, start: int, end: int) -> Iterator[bytes]:
        for at in range(start, end, _BLOCK):
            count = min(_BLOCK, end - at)
            yield np.stack([self._read(at, count, side) for side in (0, 1)], axis=1).tobytes()

    def _write(self, at: int, pcm: Pcm, side: int) -> None:
        while len(pcm):
            room = self._seek(at, side)
            self._file.write(pcm[:room].astype("<i2").tobytes())
            pcm, at = pcm[room:], at + room

    def _read(self, at: int, count: int, side: int) -> Pcm:
        data = b""
        while (missing := count - len(data) // _SAMPLE_BYTES) > 0:
            room = self._seek(at + count - missing, side)
            data += self._file.read(min(missing, room) * _SAMPLE_BYTES)
        return np.frombuffer(data, "<i2")

    def _seek(self, at: int, side: int) -> int:
        """Go to that sample of the side's ring; returns how many there are up to the ring's end."""
        begin = at % self._size
        self._file.seek((side * self._size + begin) * _SAMPLE_BYTES)
        return self._size - begin

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._file.close()


def _wav_header(frames: int) -> bytes:
    data = frames * _FRAME_BYTES
    parts = b"RIFF", 36 + data, b"WAVE", b"fmt ", 16, 1, 2
    rates = SAMPLE_RATE_HZ, SAMPLE_RATE_HZ * _FRAME_BYTES, _FRAME_BYTES, 16
    return struct.pack("<4sI4s4sIHHIIHH4sI", *parts, *rates, b"data", data)
