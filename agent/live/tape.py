"""A live conversation on tape: both sides on one timeline, left the user as captured, right the agent as played.

It is on disk and written while it happens, so memory does not grow. In a folder it is `conversation.wav` and can be
played at any moment, even where the process is killed; without one it is a ring that holds the last half hour for
whoever wants to save it, and goes with the conversation. Independent of turns and devices.
"""

import struct
import tempfile
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from agent.system.folder import make_folder
from pipelines.errors import InputError
from pipelines.events import SAMPLE_RATE_HZ, Pcm

_KEPT_S = 30 * 60
_AHEAD = 5 * SAMPLE_RATE_HZ  # how far what the agent plays may lie ahead of what has been captured
_BLOCK = SAMPLE_RATE_HZ
_FRAME_BYTES = 4
_HEADER_BYTES = 44
_WAV_HOLDS = (2**32 - _HEADER_BYTES) // _FRAME_BYTES  # 18 hours: its sizes have 32 bits
_USER, _AGENT = 0, 1


class Tape:
    """Records at 16 kHz while it is open; use it as a context manager. Raises InputError if it cannot be written.

    In `folder` it keeps all, up to the 18 hours that a WAV file can hold; without one the last `kept_s` seconds.
    """

    def __init__(self, folder: Path | None = None, kept_s: float = _KEPT_S) -> None:
        self.path = None if folder is None else make_folder(folder, "--record") / "conversation.wav"
        self._size = _WAV_HOLDS if self.path else round(kept_s * SAMPLE_RATE_HZ) + _AHEAD
        self._captured = 0
        self._played = 0  # the end of what was said to be played last
        self._end = 0  # of what is in the file
        try:
            # Unbuffered, and no memory map: a full disk is then an OSError and not the end of the process.
            self._file = self.path.open("w+b", 0) if self.path else tempfile.TemporaryFile("w+b", 0)  # noqa: SIM115
        except OSError as error:
            raise self._unwritable(error) from None
        self._write_header(0)

    def user(self, pcm: Pcm) -> None:
        """Add what was captured."""
        seconds = self._captured // _BLOCK
        if self.path is None:
            self._put(self._captured + _AHEAD, np.zeros_like(pcm), _AGENT)  # what the ring held there half an hour ago
        else:
            pcm = pcm[: max(0, self._size - _AHEAD - self._captured)]
        self._put(self._captured, pcm, _USER)
        self._captured += len(pcm)
        if self._captured // _BLOCK > seconds:
            self._write_header(self._captured)

    def agent(self, pcm: Pcm, at: int | None = None) -> None:
        """Add what was played from media time `at` on, or right behind what was added before.

        What is older than what is kept, or five seconds ahead of the user, is left out.
        """
        at = self._played if at is None else at
        self._played = at + len(pcm)
        oldest = self._oldest
        pcm, at = pcm[max(0, oldest - at) :], max(at, oldest)
        self._put(at, pcm[: max(0, self._captured + _AHEAD - at)], _AGENT)

    def wav(self) -> tuple[int, Iterator[bytes]]:
        """A WAV file of what there is now: how many bytes, and they themselves piece by piece."""
        start, end = self._oldest, self._captured
        blocks = (self._frames(at, min(_BLOCK, end - at)).tobytes() for at in range(start, end, _BLOCK))
        return _HEADER_BYTES + (end - start) * _FRAME_BYTES, chain([_wav_header(end - start)], blocks)

    def copy(self, to: Path) -> None:
        """The conversation so far as a WAV file. Raises InputError."""
        try:
            with to.open("wb") as file:
                file.writelines(self.wav()[1])
        except OSError as error:
            raise InputError(f"{to} cannot be written: {error.strerror}") from None

    @property
    def _oldest(self) -> int:
        return max(0, self._captured - self._size + _AHEAD)

    # ------------------------------------------------------------ the file: a header, and pairs of samples

    def _put(self, at: int, pcm: Pcm, side: int) -> None:
        frames = self._frames(at, len(pcm))
        frames[:, side] = pcm
        self._end = max(self._end, at + len(pcm)) if len(pcm) else self._end
        for place, piece in self._places(at, len(pcm)):
            self._write(_HEADER_BYTES + place * _FRAME_BYTES, frames[piece].tobytes())

    def _frames(self, at: int, count: int) -> Pcm:
        """Shape (count, 2); what was never written is silence."""
        frames = np.zeros((count, 2), "<i2")
        for place, piece in self._places(at, count):
            self._file.seek(_HEADER_BYTES + place * _FRAME_BYTES)
            samples = np.frombuffer(self._file.read((piece.stop - piece.start) * _FRAME_BYTES), "<i2")
            frames[piece].reshape(-1)[: len(samples)] = samples
        return frames

    def _places(self, at: int, count: int) -> Iterator[tuple[int, slice]]:
        """Where in the ring these samples lie, in runs: the place of each, and which samples it holds."""
        done = 0
        while done < count:
            place = (at + done) % self._size
            run = min(count - done, self._size - place)
            yield place, slice(done, done + run)
            done += run

    def _write_header(self, frames: int) -> None:
        if self.path is not None:
            self._write(0, _wav_header(frames))

    def _write(self, place: int, data: bytes) -> None:
        try:
            self._file.seek(place)
            self._file.write(data)
        except OSError as error:
            raise self._unwritable(error) from None

    def _unwritable(self, error: OSError) -> InputError:
        where = self.path or f"a temporary file in {tempfile.gettempdir()}"
        return InputError(f"{where} cannot be written: {error.strerror}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with self._file:
            self._write_header(self._end)


def _wav_header(frames: int) -> bytes:
    data = frames * _FRAME_BYTES
    parts = b"RIFF", 36 + data, b"WAVE", b"fmt ", 16, 1, 2
    rates = SAMPLE_RATE_HZ, SAMPLE_RATE_HZ * _FRAME_BYTES, _FRAME_BYTES, 16
    return struct.pack("<4sI4s4sIHHIIHH4sI", *parts, *rates, b"data", data)
