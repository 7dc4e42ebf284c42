"""Recordings and their labels on disk: FLAC files and one recordings.toml. Independent of how they are made."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from kokoro import RATE_HZ, Signal
from utterance import Utterance

HEADER = """\
# Made by recordings/make.py from Kokoro-82M: run it again rather than edit this.
#
# Times are samples at 16 kHz from the start of the file. start_samples and end_samples are where the speech truly
# begins and ends, measured on the clean speech before any echo, line or noise; recordings/utterance.py says how.
# clip_*_samples is the part of the file that is fed for the turn. A pause is [start, end, what stands before it].
# barge_in_ms: the speech of this turn begins that long after the first audible sample of the agent's answer to the
# turn before. held_out: nothing was tuned on this voice.
"""


@dataclass(frozen=True, slots=True)
class Labelled:
    """One finished recording. `clips` are the lengths of the parts of `signal` that are fed for the turns."""

    name: str
    kind: str
    voice: str
    held_out: bool
    signal: Signal
    turns: Sequence[Utterance]
    clips: Sequence[int]
    condition: str | None = None
    barge_in_ms: Sequence[int] = ()


def write(folder: Path, recording: Labelled) -> str:
    """Write the audio as 16 kHz mono 16-bit FLAC; returns the entry of recordings.toml."""
    name = f"{recording.name}.flac"
    pcm = np.round(np.clip(recording.signal, -1, 1) * 32_767).astype(np.int16)
    soundfile.write(folder / name, pcm, RATE_HZ, subtype="PCM_16")
    lines = ["\n[[recording]]", f'name = "{recording.name}"', f'file = "{name}"', f'kind = "{recording.kind}"']
    lines += [f'voice = "{recording.voice}"', f"held_out = {json.dumps(recording.held_out)}"]
    if recording.condition is not None:
        lines.append(f'condition = "{recording.condition}"')
        if recording.condition.startswith(("babble_", "pink_")):
            lines.append(f"noise_snr_db = {float(recording.condition.partition('_')[2])}")
    at = 0
    for index, (turn, length) in enumerate(zip(recording.turns, recording.clips, strict=True)):
        lines += ["[[recording.turn]]", f"text = {json.dumps(turn.text)}"]
        lines += [f"start_samples = {at + turn.start}", f"end_samples = {at + turn.end}"]
        lines += [f"clip_start_samples = {at}", f"clip_end_samples = {at + length}"]
        if turn.pauses:
            lines.append(f"pauses = {json.dumps([[at + start, at + end, kind] for start, end, kind in turn.pauses])}")
        if 0 < index <= len(recording.barge_in_ms):
            lines.append(f"barge_in_ms = {recording.barge_in_ms[index - 1]}")
        at += length
    return "\n".join(lines) + "\n"
