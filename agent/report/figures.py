"""The page's charts over all turns, as geometry: the grid, the stacked critical path, the distribution of turn latency.

Pure: rows and turns in, numbers for the page out. Independent of HTML and colours.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from agent.report.findings import completed, measured
from agent.report.stages import STAGES
from agent.report.ticks import log_ticks
from pipelines.modes import Mode
from pipelines.stopwatch.record import TurnRecord
from pipelines.stopwatch.summary import Row

PLOT_WIDTH, PLOT_HEIGHT = 320.0, 170.0
"""The plot area of one distribution panel, in SVG units; the page adds the margins for its axes."""


@dataclass(frozen=True, slots=True)
class Grid:
    """LLMs down, modes across.

    `full_ms` is what a bar of full width stands for; `n` is the number of turns in every cell, None if cells differ.
    """

    llms: tuple[str, ...]
    modes: tuple[str, ...]
    cells: Mapping[tuple[str, str], Row]
    full_ms: float
    n: int | None
    best: Row | None


@dataclass(frozen=True, slots=True)
class Stack:
    """The mean critical path of one LLM and mode: its stages that are not 0, in order, and the row it came from."""

    row: Row
    parts: tuple[tuple[str, float], ...]
    sum_ms: float


@dataclass(frozen=True, slots=True)
class StackGroup:
    """The stacks of one mode; `full_ms` is the longest of them."""

    mode: str
    stacks: tuple[Stack, ...]
    full_ms: float


@dataclass(frozen=True, slots=True)
class Curve:
    """The cumulative distribution for one LLM: an SVG path, the position of its letter, and the sample behind it."""

    llm: str
    letter: str
    path: str
    letter_x: float
    letter_y: float
    n: int
    median_ms: float


@dataclass(frozen=True, slots=True)
class Panel:
    """The distributions of one mode."""

    mode: str
    curves: tuple[Curve, ...]


@dataclass(frozen=True, slots=True)
class Distribution:
    """All panels on one logarithmic time axis; `ticks` are (x, label)."""

    panels: tuple[Panel, ...]
    ticks: tuple[tuple[float, str], ...]
    letters: Mapping[str, str]


def grid(rows: Sequence[Row]) -> Grid:
    """Lay out the grid in the rows' own order of LLMs and the three modes' order."""
    full = max((row.p95_ms or row.p50_ms or 0.0 for row in measured(rows)), default=1.0)
    counts = {row.n for row in measured(rows)}
    return Grid(
        llms=tuple(dict.fromkeys(row.llm for row in rows)),
        modes=_modes(rows),
        cells={(row.llm, row.mode): row for row in rows},
        full_ms=full,
        n=counts.pop() if len(counts) == 1 else None,
        best=next(iter(measured(rows)), None),
    )


def stacks(rows: Sequence[Row]) -> list[StackGroup]:
    """One group per mode, its LLMs in the rows' order."""
    groups = []
    for mode in _modes(rows):
        group = tuple(_stack(row) for row in rows if row.mode == mode and row.shares_ms)
        if group:
            groups.append(StackGroup(mode, group, max((item.sum_ms for item in group), default=0.0) or 1.0))
    return groups


def distribution(turns: Sequence[TurnRecord]) -> Distribution | None:
    """The distribution of the completed turns' latency, per mode and LLM; None without any."""
    done = [turn for turn in completed(turns) if (turn.turn_latency_ms or 0.0) > 0]
    if not done:
        return None
    ticks = log_ticks([turn.turn_latency_ms or 0.0 for turn in done])
    llms = dict.fromkeys(turn.llm for turn in done)
    letters = {llm: _letter(index) for index, llm in enumerate(llms)}
    panels = []
    for mode in _modes(done):
        samples = {
            llm: sorted(turn.turn_latency_ms or 0.0 for turn in done if (turn.llm, turn.mode) == (llm, mode))
            for llm in llms
        }
        curves = [_curve(llm, letters, sample, ticks) for llm, sample in samples.items() if sample]
        panels.append(Panel(mode, tuple(curves)))
    return Distribution(tuple(panels), tuple((_x(tick, ticks), f"{tick:,}") for tick in ticks), letters)


def _modes(items: Sequence[Row] | Sequence[TurnRecord]) -> tuple[str, ...]:
    present, order = dict.fromkeys(item.mode for item in items), [mode.value for mode in Mode]
    return tuple(sorted(present, key=lambda mode: order.index(mode) if mode in order else len(order)))


def _stack(row: Row) -> Stack:
    shares = row.shares_ms
    known = [stage.key for stage in STAGES]
    order = [*known, *(key for key in shares if key not in known)]
    parts = tuple((key, shares[key]) for key in order if shares.get(key))
    return Stack(row, parts, sum(ms for _, ms in parts))


def _letter(index: int) -> str:
    return chr(ord("A") + index) if index < 26 else str(index + 1)


def _x(value: float, ticks: Sequence[int]) -> float:
    span = math.log(ticks[-1] / ticks[0])
    return round(PLOT_WIDTH * math.log(max(value, ticks[0]) / ticks[0]) / span, 1)


def _curve(llm: str, letters: Mapping[str, str], sample: Sequence[float], ticks: Sequence[int]) -> Curve:
    """A step at every turn; the letters of the LLMs sit at different heights, so that they never cover each other."""
    n = len(sample)
    steps = [f"M{_x(sample[0], ticks)},{PLOT_HEIGHT:g}"]
    for index, value in enumerate(sample, start=1):
        steps.append(f"H{_x(value, ticks)}V{round(PLOT_HEIGHT * (1 - index / n), 1)}")
    steps.append(f"H{PLOT_WIDTH:g}")
    index = list(letters).index(llm)
    quantile = 0.15 + 0.7 * (index + 0.5) / len(letters)
    at = sample[min(n - 1, math.floor(quantile * n))]
    middle = (sample[(n - 1) // 2] + sample[n // 2]) / 2
    return Curve(llm, letters[llm], "".join(steps), _x(at, ticks), PLOT_HEIGHT * (1 - quantile), n, middle)
