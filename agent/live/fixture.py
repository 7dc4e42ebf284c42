"""A recorded conversation as a fixture: `--record DIR` keeps what was heard and said so that `replay` plays it again.

Beside the tape's `conversation.wav` come `trace.jsonl`, the user's turns one after another in `user.wav`, and
`recordings.toml`, which labels them: what was understood is their text, for nobody wrote down what was said, and their
edges are the voice activity's.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from agent.sound.wav import write_wav
from agent.trace.files import TraceFile
from pipelines.events import SAMPLE_RATE_HZ, Pcm
from pipelines.stopwatch.record import SessionRecord, TurnRecord

_LEAD = SAMPLE_RATE_HZ * 3 // 10
_TAIL = SAMPLE_RATE_HZ // 10
_HEAD = """[[recording]]
name = "user"
file = "user.wav"
kind = "live"
voice = "live"
"""


def write_fixture(folder: Path, session: SessionRecord, turns: Sequence[TurnRecord]) -> Path:
    """Complete the folder of a tape that is closed; returns the WAV that `replay` takes.

    `turns` are those of the trace. Raises InputError if something cannot be written.
    """
    import soundfile

    with TraceFile(folder / "trace.jsonl", session) as trace:
        for index, turn in enumerate(turns):
            trace.turn(index, turn)
    pieces, labels, at = list[Pcm](), _HEAD, 0
    with soundfile.SoundFile(folder / "conversation.wav") as conversation:
        for turn in turns:
            start, end = turn.speech_samples or (0, 0)
            if not turn.transcript or end <= start:
                continue
            lead = min(start, _LEAD)
            conversation.seek(start - lead)
            piece = conversation.read(lead + end - start + _TAIL, dtype="int16")[:, 0]
            labels += _label(turn, at + lead, end - start, range(at, at + len(piece)), is_first=not pieces)
            pieces.append(piece)
            at += len(piece)
    (folder / "recordings.toml").write_text(labels, encoding="utf-8")
    return write_wav(folder / "user.wav", np.concatenate(pieces) if pieces else np.zeros(_TAIL, np.int16))


def _label(turn: TurnRecord, start: int, samples: int, clip: range, *, is_first: bool) -> str:
    lines = ["[[recording.turn]]", f"text = {json.dumps(turn.transcript, ensure_ascii=False)}"]
    lines += [f"start_samples = {start}", f"end_samples = {start + samples}"]
    lines += [f"clip_start_samples = {clip.start}", f"clip_end_samples = {clip.stop}"]
    if not is_first and turn.barge_in_ms is not None:
        lines.append(f"barge_in_ms = {turn.barge_in_ms}")
    return "\n".join(lines) + "\n"
