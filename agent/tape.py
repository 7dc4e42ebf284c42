"""A live conversation on tape: `--record DIR` keeps what was heard and said, so that `replay` can play it again.

`conversation.wav` holds both sides on one timeline (left the user as captured, right the agent as played), written
while it happens, so that memory does not grow. `user.wav` holds the user's turns one after another, and
`recordings.toml` labels them: what was understood is their text, for nobody wrote down what was said, and their edges
are the voice activity's.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from agent.output_folder import make_folder, read_wav, write_wav
from pipelines.errors import InputError
from pipelines.events import SAMPLE_RATE_HZ, Pcm

_LEAD = SAMPLE_RATE_HZ * 3 // 10
_TAIL = SAMPLE_RATE_HZ // 10
_HEAD = '[[recording]]\nname = "user"\nfile = "user.wav"\nkind = "live"\nvoice = "live"\nseen_voice = false'


class Tape:
    """Writes `conversation.wav` into `folder` while it is open; use it as a context manager. Raises InputError.

    Both sides are added as they pass, at 16 kHz; the shorter one is filled up with silence at the end.
    """

    def __init__(self, folder: Path) -> None:
        import soundfile

        self.path = make_folder(folder) / "conversation.wav"
        try:
            self._file = soundfile.SoundFile(self.path, "w", SAMPLE_RATE_HZ, 2, "PCM_16")
        except (OSError, soundfile.LibsndfileError) as error:
            raise InputError(f"{self.path} cannot be written: {error}") from None
        self._sides = [np.zeros(0, np.int16), np.zeros(0, np.int16)]

    def user(self, pcm: Pcm) -> None:
        """Add what the microphone heard."""
        self._add(0, pcm)

    def agent(self, pcm: Pcm) -> None:
        """Add what the speaker played in the meantime."""
        self._add(1, pcm)

    def copy(self, to: Path) -> None:
        """The conversation so far as a WAV file. Raises InputError."""
        self._write(min(map(len, self._sides)))
        self._file.flush()
        write_wav(to, read_wav(self.path))

    def _add(self, side: int, pcm: Pcm) -> None:
        self._sides[side] = np.concatenate([self._sides[side], pcm])
        whole = min(map(len, self._sides))
        if whole >= SAMPLE_RATE_HZ:
            self._write(whole)

    def _write(self, samples: int) -> None:
        self._file.write(np.stack([side[:samples] for side in self._sides], axis=1))
        self._sides = [side[samples:] for side in self._sides]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        longest = max(map(len, self._sides))
        self._sides = [np.pad(side, (0, longest - len(side))) for side in self._sides]
        self._write(longest)
        self._file.close()


def write_fixture(conversation: Path, turns: Sequence[Mapping[str, Any]]) -> Path:
    """Cut the user's turns out of a finished tape and label them; returns the WAV that `replay` takes.

    Raises InputError where it cannot be written.
    """
    user, folder = read_wav(conversation)[:, 0], conversation.parent
    pieces: list[Pcm] = []
    entries = [
        "[[recording]]",
        'name = "user"',
        'file = "user.wav"',
        'kind = "live"',
        'voice = "live"',
        "seen_voice = false",
    ]
    at = 0
    for turn in turns:
        start, end = turn["speech_samples"]
        if not turn["transcript"] or end <= start:
            continue
        lead = min(start, _LEAD)
        piece = user[start - lead : end + _TAIL]
        entries += ["[[recording.turn]]", f"text = {json.dumps(turn['transcript'], ensure_ascii=False)}"]
        entries += [f"start_samples = {at + lead}", f"end_samples = {at + lead + end - start}"]
        entries += [f"clip_start_samples = {at}", f"clip_end_samples = {at + len(piece)}"]
        if pieces and turn["barge_in_ms"] is not None:
            entries.append(f"barge_in_ms = {turn['barge_in_ms']}")
        pieces.append(piece)
        at += len(piece)
    (folder / "recordings.toml").write_text("\n".join(entries) + "\n", encoding="utf-8")
    return write_wav(folder / "user.wav", np.concatenate(pieces) if pieces else np.zeros(_TAIL, np.int16))
