"""A recorded conversation as a fixture: `--record DIR` keeps what was heard and said so that `replay` plays it again.

Beside the tape's `conversation.wav` come `trace.jsonl`, the user's turns one after another in `user.wav`, and
`recordings.toml`, which labels them: what was understood is their text, for nobody wrote down what was said, and their
edges are the voice activity's.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from agent.measure.output_folder import write_wav
from agent.trace.files import TraceFile
from pipelines.events import SAMPLE_RATE_HZ, Pcm

_LEAD = SAMPLE_RATE_HZ * 3 // 10
_TAIL = SAMPLE_RATE_HZ // 10
_HEAD = """[[recording]]
name = "user"
file = "user.wav"
kind = "live"
voice = "live"
"""


def write_fixture(folder: Path, session: Mapping[str, Any], turns: Sequence[Mapping[str, Any]]) -> Path:
    """Complete the folder of a tape that is closed; returns the WAV that `replay` takes.

    `turns` are the documents of the trace. Raises InputError where something cannot be written.
    """
    import soundfile

    with TraceFile(folder / "trace.jsonl", session) as trace:
        for index, turn in enumerate(turns):
            trace.turn(index, turn)
    pieces, labels, at = list[Pcm](), _HEAD, 0
    with soundfile.SoundFile(folder / "conversation.wav") as conversation:
        for turn in turns:
            start, end = turn["speech_samples"]
            if not turn["transcript"] or end <= start:
                continue
            lead = min(start, _LEAD)
            conversation.seek(start - lead)
            piece = conversation.read(lead + end - start + _TAIL, dtype="int16")[:, 0]
            labels += _label(turn, at + lead, at, at + len(piece), is_first=not pieces)
            pieces.append(piece)
            at += len(piece)
    (folder / "recordings.toml").write_text(labels, encoding="utf-8")
    return write_wav(folder / "user.wav", np.concatenate(pieces) if pieces else np.zeros(_TAIL, np.int16))


def _label(turn: Mapping[str, Any], start: int, clip_start: int, clip_end: int, *, is_first: bool) -> str:
    began, ended = turn["speech_samples"]
    lines = ["[[recording.turn]]", f"text = {json.dumps(turn['transcript'], ensure_ascii=False)}"]
    lines += [f"start_samples = {start}", f"end_samples = {start + ended - began}"]
    lines += [f"clip_start_samples = {clip_start}", f"clip_end_samples = {clip_end}"]
    if not is_first and turn["barge_in_ms"] is not None:
        lines.append(f"barge_in_ms = {turn['barge_in_ms']}")
    return "\n".join(lines) + "\n"
