"""`quickturn endpointing-eval`: how often an agent would answer too early, and how long it would wait, by each way of
deciding, over labelled recordings.

The figures are those of LiveKit's eot-bench (https://github.com/livekit/eot-bench): every silence of a turn is one
decision, and each way of deciding is swept from hasty to patient. The figures are the share of the silences inside
turns in which it would have answered, at a mean wait of 300 and of 600 ms after the true ends, and the mean wait at 5
and at 10 % of such false cut-offs. Nothing is replayed: a decision takes effect once the silence is long enough and its
evidence can be available.
"""

import asyncio
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from agent.measure.recordings import Recording
from agent.measure.silences import Silence, SilenceKind, silences
from agent.models.load import load_stt, load_turn_detector
from agent.setup.config import Config
from pipelines.endpointing import EndpointingSettings, Evidence, silence_needed_ms
from pipelines.errors import InputError

if TYPE_CHECKING:
    from rich.console import Console

WORDS_MS = 150.0
"""The final transcript is available after this much silence, as `quickturn replay` measures on two cores."""
SOUND_MS = 50.0
"""What the turn detector takes after `listen_ms`."""
VOICE_MS = 64.0
"""Two windows of voice activity: no silence is noticed sooner."""

BUDGETS_MS = (300.0, 600.0)
RATES = (0.05, 0.10)
_SCALES = np.geomspace(0.25, 4.0, 33)
_WAITS_MS = np.linspace(100, 2_000, 39)
_THRESHOLDS = (0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.97, 0.98, 0.99)

Decide = Callable[[Silence], float]
"""How many ms of a silence end the turn."""


@dataclass(frozen=True, slots=True)
class Point:
    """One way of deciding at one setting. `cut_off` is the share of silences inside turns that it ends, by kind too;
    the waits are ms from the true ends of turns to the decision.
    """

    cut_off: float
    mean_ms: float
    p50_ms: float
    p95_ms: float
    by_kind: dict[str, float]


@dataclass(frozen=True, slots=True)
class Curve:
    """One way of deciding, from hasty to patient; `shipped` is the point at the settings given, if it has one."""

    name: str
    points: tuple[Point, ...]
    shipped: Point | None = None

    def cut_off_at(self, budget_ms: float) -> float | None:
        """The least share of false cut-offs at a mean wait within the budget."""
        return min((p.cut_off for p in self.points if p.mean_ms <= budget_ms), default=None)

    def wait_at(self, rate: float) -> float | None:
        """The least mean wait with at most this share of false cut-offs."""
        return min((p.mean_ms for p in self.points if p.cut_off <= rate), default=None)

    def document(self) -> dict[str, object]:
        """As JSON."""
        at = self.shipped
        return {
            "decision": self.name,
            "cut_off_at_300_ms": self.cut_off_at(300.0),
            "cut_off_at_600_ms": self.cut_off_at(600.0),
            "wait_ms_at_5_percent": self.wait_at(0.05),
            "wait_ms_at_10_percent": self.wait_at(0.10),
            "shipped": None
            if at is None
            else {"cut_off": at.cut_off, "p50_ms": at.p50_ms, "p95_ms": at.p95_ms}
            | {"mean_ms": at.mean_ms, "by_kind": at.by_kind},
        }


def run(recordings: Sequence[Recording], config: Config, *, as_json: bool) -> None:
    """Evaluate and print. Raises InputError if nothing is labelled."""
    from rich.console import Console
    from rich.progress import Progress

    voices = {held_out: [r for r in recordings if r.held_out is held_out and r.labelled] for held_out in (False, True)}
    sets = {"held-out voices": voices[True], "tuned voices": voices[False]}
    if not any(sets.values()):
        raise InputError(
            "endpointing-eval found no labelled speech; expected recordings with a recordings.toml beside them"
        )
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 140)
    documents = []
    with Progress(console=Console(stderr=True, highlight=False), transient=True) as progress:
        task = progress.add_task("listening", total=sum(map(len, sets.values())))
        found = {
            name: asyncio.run(_listen(chosen, config, lambda: progress.advance(task)))
            for name, chosen in sets.items()
            if chosen
        }
    for name, heard in found.items():
        made = curves(heard, config.endpointing)
        documents.append({"voices": name, "silences": count(heard), "rows": [curve.document() for curve in made]})
        if not as_json:
            _print(name, heard, made, console)
    if as_json:
        print(json.dumps({"sets": documents}))


async def _listen(recordings: Iterable[Recording], config: Config, heard_one: Callable[[], None]) -> list[Silence]:
    stt, detector = load_stt(config.agent.stt), load_turn_detector(config.agent.turn_detector)
    found: list[Silence] = []
    for recording in recordings:
        found += [one async for one in silences([recording], stt, detector, config.vad, config.endpointing.listen_ms)]
        heard_one()
    return found


# ---------------------------------------------------------------- the ways of deciding


def curves(heard: Sequence[Silence], settings: EndpointingSettings) -> list[Curve]:
    """The shipped way against each evidence alone."""
    both, words = _scaled(settings, sound=True), _scaled(settings, sound=False)
    with_sound = any(silence.heard.sounds_finished is not None for silence in heard)
    made = [
        Curve("silence alone", tuple(_point(heard, _by_silence(wait)) for wait in _WAITS_MS)),
        Curve("words alone", tuple(_point(heard, decide) for decide in words)),
    ]
    if with_sound:
        made.append(Curve("sound alone", tuple(_point(heard, decide) for decide in _by_sound(settings.listen_ms))))
        shipped = _point(heard, _as_shipped(settings, sound=True))
        made.append(Curve("words and sound", tuple(_point(heard, decide) for decide in both), shipped))
    return made


def _by_silence(wait_ms: float) -> Decide:
    return lambda silence: max(wait_ms, VOICE_MS)


def _by_sound(listen_ms: float) -> Iterator[Decide]:
    """Finished by the detector: at once; else after a wait."""
    known_ms = listen_ms + SOUND_MS
    for threshold in _THRESHOLDS:
        for wait_ms in (wait for wait in _WAITS_MS if wait >= known_ms):

            def decide(silence: Silence, threshold: float = threshold, wait_ms: float = wait_ms) -> float:
                return known_ms if (silence.heard.sounds_finished or 0.0) >= threshold else wait_ms

            yield decide


def _as_shipped(settings: EndpointingSettings, *, sound: bool) -> Decide:
    known_ms = max(WORDS_MS, settings.listen_ms + SOUND_MS) if sound else WORDS_MS

    def decide(silence: Silence) -> float:
        heard = silence.heard if sound else Evidence(silence.heard.text, silence.heard.ends_marked)
        return max(silence_needed_ms(heard, settings), known_ms)

    return decide


def _scaled(settings: EndpointingSettings, *, sound: bool) -> Iterator[Decide]:
    """The settings with all waits longer or shorter."""
    for scale in _SCALES:
        yield _as_shipped(
            replace(
                settings,
                sure_ms=settings.sure_ms * scale,
                likely_ms=settings.likely_ms * scale,
                likely_statement_ms=settings.likely_statement_ms * scale,
                doubtful_ms=settings.doubtful_ms * scale,
                list_ms=settings.list_ms * scale,
                dangling_ms=settings.dangling_ms * scale,
            ),
            sound=sound,
        )


def _point(heard: Sequence[Silence], decide: Decide) -> Point:
    cuts: dict[SilenceKind, list[bool]] = {}
    waits = []
    for silence in heard:
        if silence.kind == "end":
            waits.append(silence.late_ms + decide(silence))
        elif silence.length_ms is not None:
            cuts.setdefault(silence.kind, []).append(decide(silence) < silence.length_ms)
    # After a finished sentence, nothing can tell that another follows: these are listed by kind and not counted here.
    inside = [cut for kind, made in cuts.items() if kind != "finished" for cut in made]
    return Point(
        float(np.mean(inside)) if inside else 0.0,
        float(np.mean(waits)),
        float(np.median(waits)),
        float(np.percentile(waits, 95)),
        {kind: float(np.mean(cut)) for kind, cut in sorted(cuts.items())},
    )


def count(heard: Iterable[Silence]) -> dict[str, int]:
    """How many silences there are of each kind."""
    counted: dict[str, int] = {}
    for silence in heard:
        counted[silence.kind] = counted.get(silence.kind, 0) + 1
    return dict(sorted(counted.items()))


# ---------------------------------------------------------------- in words


def _print(name: str, heard: Sequence[Silence], made: Sequence[Curve], console: "Console") -> None:
    from rich.table import Table

    table = Table("decision", title=f"Endpointing, {name}")
    for heading in ("cut off at 300 ms", "at 600 ms", "wait at 5 % cut off", "at 10 %"):
        table.add_column(heading, justify="right")
    for curve in made:
        shares = [_percent(curve.cut_off_at(budget)) for budget in BUDGETS_MS]
        table.add_row(curve.name, *shares, *(_ms(curve.wait_at(rate)) for rate in RATES))
    console.print(table)
    console.print("silences: " + ", ".join(f"{number} {kind}" for kind, number in count(heard).items()))
    for at in (curve.shipped for curve in made if curve.shipped is not None):
        kinds = ", ".join(f"{kind} {_percent(share)}" for kind, share in at.by_kind.items())
        console.print(
            f"as configured: {_ms(at.p50_ms)} p50, {_ms(at.p95_ms)} p95 after the true end; cut off: {kinds}\n"
        )


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.1%}"


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f} ms"
