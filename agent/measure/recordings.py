"""Recordings to replay: audio files of any format, and what is known about the speech in them.

Labels come from a `recordings.toml` beside the file (recordings/README.md describes it); without one the speech is
estimated. Independent of sessions, of devices, and of how the shipped files were made.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from agent.measure.audio_file import read_audio
from agent.system import resources
from pipelines.audio import to_float
from pipelines.errors import ConfigError, InputError
from pipelines.events import SAMPLE_RATE_HZ, AudioFrame, Pcm, SpeechStarted, SpeechStopped
from pipelines.toml_file import read_toml, validated
from pipelines.vad import VoiceActivity

LABELS = "recordings.toml"

_FRAME_SAMPLES = 80  # 5 ms
_LEAD_SAMPLES = SAMPLE_RATE_HZ * 3 // 10
_TURN_GAP_SAMPLES = SAMPLE_RATE_HZ
"""Unlabelled speech after this much silence is another turn; people seldom hesitate longer."""
_SEARCH_SAMPLES = SAMPLE_RATE_HZ // 4
_EDGE_DB = -40.0
_LOWEST_HZ = 200.0


PauseKind = Literal["dangling", "open", "finished", "comma", "list"]
"""What stands before a pause. `dangling`: words that cannot end a sentence ("and the"). `open`: a sentence that could
be whole, said in the melody of one that goes on. `finished`: a sentence that is whole, melody and all; another one
follows. `comma`: a clause. `list`: a digit, a letter or a group of them.
"""


@dataclass(frozen=True, slots=True)
class Pause:
    """Silence inside an utterance, and the kind of words `after` which it falls."""

    start_samples: int
    end_samples: int
    after: PauseKind


@dataclass(frozen=True, slots=True)
class TurnLabel:
    """One utterance; times in samples at 16 kHz from the start of the recording.

    The clip is the part of the recording that is fed for this turn; clips follow each other without a gap and cover the
    recording. `text` is None if it was not written down. `barge_in_ms`: the speech (`start_samples`) begins this long
    after the first audible sample of the agent's answer to the turn before; None for a turn that waits for its end.
    """

    text: str | None
    start_samples: int
    end_samples: int
    clip_start_samples: int
    clip_end_samples: int
    pauses: tuple[Pause, ...]
    barge_in_ms: int | None


@dataclass(frozen=True, slots=True)
class Recording:
    """16 kHz audio with its turns, none if nobody speaks. Not `labelled`: the turns are estimated and hold no text.

    `held_out`: the voice had no part in the choice of any threshold, so its figures hold for a voice never heard
    before.
    """

    name: str
    kind: str
    voice: str
    held_out: bool
    pcm: Pcm
    turns: tuple[TurnLabel, ...]
    labelled: bool


# ---------------------------------------------------------------- loading


def load(paths: Sequence[Path], max_minutes: float = 30.0) -> list[Recording]:
    """Read audio files with their labels, in the order given. Raises InputError."""
    entries = {folder: _entries(folder) for folder in {path.parent for path in paths}}
    recordings: dict[str, Recording] = {}
    for path in paths:
        pcm = read_audio(path, max_minutes)
        entry = entries[path.parent].get(path.name)
        recording = _unlabelled(path, pcm) if entry is None else _labelled(path, pcm, *entry)
        if recording.name in recordings:
            raise InputError(f"{path}: another recording is named {recording.name!r} already; expected distinct names")
        recordings[recording.name] = recording
    return list(recordings.values())


def shipped(*kinds: str) -> list[Recording]:
    """The recordings that come with this project, all or only those of the given kinds. Raises InputError."""
    folder = resources.shipped("recordings")
    entries = _entries(folder)
    known = sorted({entry.kind for _, entry in entries.values()})
    for kind in kinds:
        if kind not in known:
            raise InputError(f"recording kind {kind!r} is not one of: {', '.join(known)}")
    return load([folder / file for file, (_, entry) in entries.items() if not kinds or entry.kind in kinds])


# ---------------------------------------------------------------- labels


class _TurnEntry(BaseModel):
    model_config = ConfigDict(extra="forbid")
    text: str
    start_samples: int
    end_samples: int
    clip_start_samples: int
    clip_end_samples: int
    pauses: list[tuple[int, int, PauseKind]] = []
    barge_in_ms: int | None = None


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str
    file: str
    kind: str
    voice: str
    held_out: bool = False
    condition: str | None = None
    noise_snr_db: float | None = None
    turn: list[_TurnEntry] = []


class _Labels(BaseModel):
    model_config = ConfigDict(extra="forbid")
    recording: list[_Entry]


def _entries(folder: Path) -> dict[str, tuple[str, _Entry]]:
    """The labels of a folder by file name, each with its place in the TOML file for error messages."""
    path = folder / LABELS
    if not path.is_file():
        return {}
    labels = validated(_Labels, read_toml(path, "labels"), str(path))
    entries: dict[str, tuple[str, _Entry]] = {}
    for index, entry in enumerate(labels.recording):
        where = f"{path}: recording[{index}]"
        if entry.file in entries:
            raise ConfigError(f"{where}.file {entry.file!r} is labelled twice; expected one entry for each file")
        entries[entry.file] = (where, entry)
    return entries


def _labelled(path: Path, pcm: Pcm, where: str, entry: _Entry) -> Recording:
    turns = tuple(
        TurnLabel(
            turn.text,
            turn.start_samples,
            turn.end_samples,
            turn.clip_start_samples,
            turn.clip_end_samples,
            tuple(Pause(*pause) for pause in turn.pauses),
            turn.barge_in_ms,
        )
        for turn in entry.turn
    )
    clip_end = 0
    for index, turn in enumerate(turns):
        _check_turn(f"{where}.turn[{index}]", turn, clip_end)
        clip_end = turn.clip_end_samples
    if turns and clip_end != len(pcm):
        raise ConfigError(
            f"{where}.turn[{len(turns) - 1}].clip_end_samples {clip_end} is not the end of {path.name}; "
            f"expected {len(pcm)}"
        )
    return Recording(entry.name, entry.kind, entry.voice, entry.held_out, pcm, turns, labelled=True)


def _check_turn(where: str, turn: TurnLabel, clip_start: int) -> None:
    if turn.clip_start_samples != clip_start:
        raise ConfigError(f"{where}.clip_start_samples {turn.clip_start_samples}: expected {clip_start}")
    pauses = [time for pause in turn.pauses for time in (pause.start_samples, pause.end_samples)]
    times = [turn.start_samples, *pauses, turn.end_samples]
    if any(later <= earlier for earlier, later in pairwise(times)):
        raise ConfigError(f"{where}: start, pauses and end are {times}; expected increasing samples")
    if times[0] < turn.clip_start_samples or times[-1] > turn.clip_end_samples:
        raise ConfigError(
            f"{where}: speech from {times[0]} to {times[-1]} leaves its clip; "
            f"expected within {turn.clip_start_samples} to {turn.clip_end_samples}"
        )
    if turn.barge_in_ms is not None and (clip_start == 0 or turn.barge_in_ms < 0):
        raise ConfigError(f"{where}.barge_in_ms {turn.barge_in_ms}: expected 0 or more, after the first turn")


# ---------------------------------------------------------------- estimates for recordings without labels


def _unlabelled(path: Path, pcm: Pcm) -> Recording:
    return Recording(path.stem, "unlabelled", "unknown", False, pcm, _estimate_turns(pcm), labelled=False)


def _estimate_turns(pcm: Pcm) -> tuple[TurnLabel, ...]:
    """Stretches of speech with at least a second of silence between them; each clip reaches to just before the next."""
    spans = _exact_spans(pcm, _speech_spans(pcm))
    clip_starts = [0, *(start - _LEAD_SAMPLES for start, _ in spans[1:]), len(pcm)]
    return tuple(
        TurnLabel(None, start, end, clip_starts[index], clip_starts[index + 1], (), None)
        for index, (start, end) in enumerate(spans)
    )


def _speech_spans(pcm: Pcm) -> list[tuple[int, int]]:
    """What Silero takes for speech, with the shorter silences filled."""
    second = np.zeros(SAMPLE_RATE_HZ, np.int16)  # lets the detector notice that speech has stopped
    spans: list[tuple[int, int]] = []
    for event in VoiceActivity().hear(AudioFrame(np.concatenate([pcm, second]), 0)):
        match event:
            case SpeechStarted(at) if spans and at - spans[-1][1] < _TURN_GAP_SAMPLES:
                spans[-1] = (spans[-1][0], at)
            case SpeechStarted(at):
                spans.append((at, at))
            case SpeechStopped(at):
                spans[-1] = (spans[-1][0], min(at, len(pcm)))
    return spans


def _exact_spans(pcm: Pcm, spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Move Silero's edges, which are late and come in steps of 32 ms, to where the level leaves and reaches the
    background.

    The background is what 99.9 % of the frames away from speech stay below. Speech is above it and within 40 dB of the
    loudest frame of its span, which is close to the rule that the shipped recordings are labelled by (it takes 35 or 45
    at the end, by the last sound, which is unknown here).
    """
    levels_db = _levels_db(pcm)
    whole = len(levels_db)
    near = [
        slice(max(0, start - _SEARCH_SAMPLES) // _FRAME_SAMPLES, (end + _SEARCH_SAMPLES) // _FRAME_SAMPLES)
        for start, end in spans
    ]
    away = np.ones(whole, bool)
    for span in near:
        away[span] = False
    background_db = float(np.percentile(levels_db[away], 99.9)) if away.any() else -np.inf
    exact = []
    for span, (start, end) in zip(near, spans, strict=True):
        levels = levels_db[span]
        loud = np.flatnonzero(levels > max(levels.max() + _EDGE_DB, background_db)) + span.start
        exact.append(
            (int(loud[0]) * _FRAME_SAMPLES, (int(loud[-1]) + 1) * _FRAME_SAMPLES) if len(loud) else (start, end)
        )
    return exact


def _levels_db(pcm: Pcm) -> NDArray[np.float64]:
    """Level of each whole frame without what lies below 200 Hz, which hums on between words; full scale is 0."""
    frequency_hz = np.fft.rfftfreq(len(pcm), 1 / SAMPLE_RATE_HZ)
    gain = 1 / np.sqrt(1 + (_LOWEST_HZ / np.maximum(frequency_hz, 1.0)) ** 8)
    voice = np.fft.irfft(np.fft.rfft(to_float(pcm)) * gain, len(pcm))
    whole = len(pcm) // _FRAME_SAMPLES
    frames = voice[: whole * _FRAME_SAMPLES].reshape(-1, _FRAME_SAMPLES)
    return np.asarray(10 * np.log10(np.mean(np.square(frames), axis=1) + 1e-12), np.float64)
