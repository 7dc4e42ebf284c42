"""`quickturn stt-eval`: word error rate and latency of speech recognisers on labelled recordings.

Each turn goes through voice activity detection and the recogniser as in a conversation, ten times as fast or in real
time. Latency is what a turn waits for: how long the final decode takes and, in real time, from the labelled end of the
speech to the final transcript. Independent of endpointing and LLMs.
"""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from agent.measure.recordings import Recording, TurnLabel
from agent.models.fetch import fetch_needed
from agent.models.load import load_stt, model_name
from agent.models.store import names_here
from pipelines.errors import InputError
from pipelines.events import SAMPLE_RATE_HZ, AudioFrame, Heard, Pcm
from pipelines.stt import SpeechToText
from pipelines.stt.wer import word_error_rate
from pipelines.vad import VoiceActivity

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

_FRAME_SAMPLES = SAMPLE_RATE_HZ // 100
_PRE_ROLL_SAMPLES = SAMPLE_RATE_HZ * 3 // 10
_SILENCE = np.zeros(SAMPLE_RATE_HZ * 7 // 10, np.int16)  # lets the detector notice the last stop
_PACE_S = 0.001  # a frame: ten times as fast as speech, slow enough for partials to come between


@dataclass(frozen=True, slots=True)
class Choice:
    """An engine to evaluate; `window_s` is Whisper's encoder window, None for the engine's own default."""

    stt: str
    window_s: float | None = None

    @property
    def name(self) -> str:
        """The engine, and its window if one was asked for."""
        if self.window_s is None:
            return self.stt
        return f"{self.stt} window {'fit' if self.window_s == 0 else f'{self.window_s:g} s'}"


@dataclass(frozen=True, slots=True)
class HeardTurn:
    """One labelled turn as a recogniser understood it.

    `final_ms` is how long each of its final decodes took, `behind_ms` how long after the labelled end of the speech the
    last one was there; None if the audio was not fed in real time.
    """

    recording: str
    held_out: bool
    reference: str
    hypothesis: str
    final_ms: tuple[float, ...]
    behind_ms: float | None = None

    @property
    def wer(self) -> float:
        """Word error rate of this turn."""
        return word_error_rate(self.reference, self.hypothesis)


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Every turn under one choice; `runaways` of its `decodes` ran away and were repeated in the widest window."""

    choice: Choice
    turns: tuple[HeardTurn, ...]
    decodes: int = 0
    runaways: int = 0

    def wer(self, *, held_out: bool | None = None) -> float | None:
        """Word error rate over all turns, or those of held-out or of other voices; None if there are none."""
        turns = [turn for turn in self.turns if held_out is None or turn.held_out is held_out]
        if not turns:
            return None
        return word_error_rate([turn.reference for turn in turns], [turn.hypothesis for turn in turns])

    def final_ms(self, percentile: float) -> float | None:
        """A percentile of the wait for a final transcript; None without one."""
        waits = [ms for turn in self.turns for ms in turn.final_ms]
        return float(np.percentile(waits, percentile)) if waits else None

    def behind_ms(self, percentile: float) -> float | None:
        """A percentile of how long after the end of the speech the final transcript was there; None if unknown."""
        waits = [turn.behind_ms for turn in self.turns if turn.behind_ms is not None]
        return float(np.percentile(waits, percentile)) if waits else None

    def document(self) -> dict[str, object]:
        """As JSON."""
        return {
            "stt": self.choice.stt,
            "window_s": self.choice.window_s,
            "wer": self.wer(),
            "wer_tuned_voices": self.wer(held_out=False),
            "wer_held_out_voices": self.wer(held_out=True),
            "decodes": self.decodes,
            "runaways": self.runaways,
            "final_ms": {"p50": self.final_ms(50), "p95": self.final_ms(95)},
            "behind_ms": {"p50": self.behind_ms(50), "p95": self.behind_ms(95)},
            "turns": [
                {
                    "recording": turn.recording,
                    "held_out": turn.held_out,
                    "reference": turn.reference,
                    "transcript": turn.hypothesis,
                    "wer": turn.wer,
                    "final_ms": list(turn.final_ms),
                    "behind_ms": turn.behind_ms,
                }
                for turn in self.turns
            ],
        }


def run(
    recordings: Sequence[Recording],
    stts: Sequence[str] | None,
    windows: Sequence[float] | None,
    *,
    real_time: bool = False,
    as_json: bool,
) -> None:
    """Evaluate and print; in `real_time`, or ten times as fast. Raises InputError if no recording is labelled."""
    from rich.console import Console
    from rich.progress import Progress

    labelled = [r for r in recordings if any(turn.text for turn in r.turns)]
    if not labelled:
        raise InputError("stt-eval found no labelled speech; expected recordings with a recordings.toml beside them")
    choices = choices_of(stts, windows)
    count = len(choices) * sum(len(_turns(recording)) for recording in labelled)
    console = Console(stderr=True, highlight=False)
    for choice in choices:
        model_name("stt", choice.stt)
    fetch_needed(dict.fromkeys(choice.stt for choice in choices), console)
    evaluations = []
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("evaluating", total=count)
        for choice in choices:
            progress.update(task, description=choice.name)
            evaluations.append(evaluate(choice, labelled, lambda: progress.advance(task), real_time=real_time))
    if as_json:
        print(json.dumps({"rows": [e.document() for e in evaluations]}, ensure_ascii=False))
    else:
        _print(evaluations, Console(highlight=False, width=None if sys.stdout.isatty() else 140))


def choices_of(stts: Sequence[str] | None, windows: Sequence[float] | None) -> list[Choice]:
    """The engines at the encoder windows asked for; by default all that are downloaded."""
    if stts is None:
        stts = list(dict.fromkeys(["whisper:tiny.en", *names_here("whisper")]))
    wanted: Sequence[float | None] = windows or [None]
    return [Choice(stt, window) for stt in stts for window in wanted]


def evaluate(
    choice: Choice, recordings: Iterable[Recording], heard_one: Callable[[], None], *, real_time: bool = False
) -> Evaluation:
    """Transcribe every labelled turn of `recordings`, calling `heard_one` after each. Blocking."""
    from pipelines.stt.whisper import WhisperModel

    stt = load_stt(choice.stt, window_s=choice.window_s)
    model = stt.decoder
    assert isinstance(model, WhisperModel)
    before = model.decodes, model.runaways

    async def transcribe_all() -> tuple[HeardTurn, ...]:
        turns = []
        for recording in recordings:
            for turn in _turns(recording):
                turns.append(await _hear(stt, recording, turn, real_time=real_time))
                heard_one()
        return tuple(turns)

    turns = asyncio.run(transcribe_all())
    return Evaluation(choice, turns, model.decodes - before[0], model.runaways - before[1])


def _turns(recording: Recording) -> list[TurnLabel]:
    return [turn for turn in recording.turns if turn.text]


async def _hear(stt: SpeechToText, recording: Recording, turn: TurnLabel, *, real_time: bool) -> HeardTurn:
    pcm = np.concatenate([recording.pcm[turn.clip_start_samples : turn.clip_end_samples], _SILENCE])
    feed = _Feed(_events(pcm), real_time)
    end_s = (turn.end_samples - turn.clip_start_samples) / SAMPLE_RATE_HZ
    text, waits, behind_ms = "", [], None
    async with aclosing(stt.transcribe(feed.events())) as transcripts:
        async for transcript in transcripts:
            text = transcript.text
            if transcript.is_final:
                waits.append((transcript.ready_s - transcript.started_s) * 1000)
                behind_ms = (transcript.ready_s - feed.began_s - end_s) * 1000 if real_time else None
    return HeardTurn(recording.name, recording.held_out, turn.text or "", text, tuple(waits), behind_ms)


def _events(pcm: Pcm) -> list[Heard]:
    """What a recogniser is given in a conversation: voice activity, and audio from before the first onset on."""
    vad = VoiceActivity()
    early: list[Heard] = []
    events: list[Heard] = []
    for start in range(0, len(pcm), _FRAME_SAMPLES):
        frame = AudioFrame(pcm[start : start + _FRAME_SAMPLES], start)
        changes = vad.hear(frame)
        if events:
            events += [frame, *changes]
        else:
            early = [*early, frame][-_PRE_ROLL_SAMPLES // _FRAME_SAMPLES :]
            if changes:
                events = [changes[0], *early, *changes[1:]]
    return events


class _Feed:
    """Events at the pace of speech, or ten times as fast; `began_s` is when the first sample was captured."""

    def __init__(self, events: list[Heard], real_time: bool) -> None:
        self._events = events
        self._real_time = real_time
        self.began_s = 0.0

    async def events(self) -> AsyncIterator[Heard]:
        clock = asyncio.get_running_loop().time
        first = next((e for e in self._events if isinstance(e, AudioFrame)), None)
        self.began_s = clock() - (first.start_samples / SAMPLE_RATE_HZ if first else 0.0)
        for event in self._events:
            if not self._real_time:
                await asyncio.sleep(_PACE_S)
            elif isinstance(event, AudioFrame):
                await asyncio.sleep(self.began_s + event.end_samples / SAMPLE_RATE_HZ - clock())
            yield event


def _print(evaluations: list[Evaluation], console: "Console") -> None:
    console.print(_summary(evaluations))
    console.print(_by_recording(evaluations))
    console.print("decode: the final one of each pause; behind: the labelled end of the speech, in real time")


def _summary(evaluations: list[Evaluation]) -> "Table":
    from rich.table import Table

    table = Table("recogniser", title="Speech recognisers")
    for heading in ("WER", "tuned voices", "held-out voices", "run away", "decode p50", "p95", "behind p50", "p95"):
        table.add_column(heading, justify="right")
    for e in evaluations:
        rates = (e.wer(), e.wer(held_out=False), e.wer(held_out=True))
        table.add_row(e.choice.name, *map(_percent, rates), _runaways(e), *_waits(e))
    return table


def _runaways(e: Evaluation) -> str:
    return f"{e.runaways} of {e.decodes}"


def _waits(e: Evaluation) -> tuple[str, ...]:
    return _ms(e.final_ms(50)), _ms(e.final_ms(95)), _ms(e.behind_ms(50)), _ms(e.behind_ms(95))


def _by_recording(evaluations: list[Evaluation]) -> "Table":
    from rich.table import Table

    table = Table("recording", "said", title="Word error rate by recording")
    for e in evaluations:
        table.add_column(e.choice.name, justify="right")
    for turns in zip(*(e.turns for e in evaluations), strict=True):
        name = turns[0].recording + (" (held-out voice)" if turns[0].held_out else "")
        table.add_row(name, turns[0].reference, *(_percent(turn.wer) for turn in turns))
    return table


def _percent(rate: float | None) -> str:
    return "-" if rate is None else f"{rate:.1%}"


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f} ms"
