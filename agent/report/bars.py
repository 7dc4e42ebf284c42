"""Pictures with a panel for each mode and a bar for each LLM: the grid and the mean critical path."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from markupsafe import Markup

from agent.report import figures, stages
from agent.report.svg import (
    BAR,
    BAR_HEIGHT,
    CHARACTER,
    MARGIN,
    PAPER,
    ROW,
    WIDTH,
    element,
    group,
    rectangle,
    save_picture,
    text,
    upright,
)
from agent.report.ticks import ticks_beyond
from pipelines.stopwatch.summary import Row


@dataclass(frozen=True, slots=True)
class _Line:
    """One bar: its pieces one after another in ms and colour, the line on to `reach_ms`, the figure behind it."""

    mode: str
    llm: str
    pieces: tuple[tuple[float, str], ...]
    reach_ms: float
    figure_ms: float


def grid_picture(stem: Path, rows: Sequence[Row]) -> list[Path]:
    """Bars of the median with a line on to p95."""
    drawn = figures.grid(rows)
    cells = (drawn.cells[llm, mode] for mode in drawn.modes for llm in drawn.llms if (llm, mode) in drawn.cells)
    lines = [
        _Line(row.mode, stages.llm_label(row.llm), ((row.p50_ms, BAR),), row.p95_ms or row.p50_ms, row.p50_ms)
        for row in cells
        if row.p50_ms is not None
    ]
    axis = "turn latency, ms: p50 as a bar, the line on to p95"
    return _bars(stem, "Turn latency by LLM and turn mode", axis, lines)


def critical_path_picture(stem: Path, rows: Sequence[Row]) -> list[Path]:
    """The mean critical path as stacked bars."""
    lines = [
        _Line(
            group.mode,
            stages.llm_label(stack.row.llm),
            tuple((ms, stages.stage(key).colour) for key, ms in stack.parts),
            stack.sum_ms,
            stack.sum_ms,
        )
        for group in figures.stacks(rows)
        for stack in group.stacks
    ]
    return _bars(stem, "Where the wait goes", "mean critical path, ms", lines, legend=stages.STAGES)


def _bars(
    stem: Path, title: str, axis: str, lines: Sequence[_Line], legend: Sequence[stages.StageStyle] = ()
) -> list[Path]:
    ticks = ticks_beyond(max((line.reach_ms for line in lines), default=0.0) or 1.0, 10)
    left = MARGIN + CHARACTER * max((len(line.llm) for line in lines), default=0) + 6

    def x(ms: float) -> float:
        return left + WIDTH * ms / ticks[-1]

    y, parts = MARGIN + 16, [text(title, MARGIN, MARGIN + 16, "title")]
    for mode, panel in groupby(lines, key=lambda line: line.mode):
        parts.append(text(mode, left, y + 24, "strong"))
        y += 34
        of_mode = list(panel)
        parts += [element("path", class_="hair", d=upright(x(tick), y, ROW * len(of_mode))) for tick in ticks]
        for line in of_mode:
            parts.append(_drawn(line, left - 6, y + ROW / 2, x))
            y += ROW
    parts.append(element("path", class_="axis", d=f"M{left:g},{y:g}H{left + WIDTH:g}"))
    parts += [text(f"{tick:,}", x(tick), y + 16, anchor="middle") for tick in ticks]
    parts.append(text(axis, left + WIDTH / 2, y + 34, "sub", "middle"))
    y += 52
    if legend:
        parts.append(group(_legend(legend), x=left, y=y))
        y += 20 * (1 + (len(legend) - 1) // 4)
    return save_picture(stem, *parts, width=left + WIDTH + 60, height=y + MARGIN - 4)


def _drawn(line: _Line, label_x: float, middle: float, x: Callable[[float], float]) -> Markup:
    start_ms, parts = 0.0, [text(line.llm, label_x, middle + 4, "name", "end")]
    for ms, colour in line.pieces:
        ends = x(start_ms), x(start_ms + ms)
        parts.append(rectangle(*ends, middle, BAR_HEIGHT, fill=colour, stroke=PAPER, stroke_width=0.6))
        start_ms += ms
    if line.reach_ms > start_ms:
        reach = f"M{x(start_ms):.2f},{middle:g}H{x(line.reach_ms):.2f}m0,-4.5v9"
        parts.append(element("path", d=reach, stroke=BAR, stroke_width=1.2, fill="none"))
    parts.append(text(f"{line.figure_ms:,.0f}", x(line.reach_ms) + 6, middle + 4, "strong"))
    return Markup("").join(parts)


def _legend(of: Sequence[stages.StageStyle]) -> Markup:
    """Four stages a line."""
    parts: list[Markup] = []
    for number, stage in enumerate(of):
        x, y = 150.0 * (number % 4), 20.0 * (number // 4)
        parts += [element("rect", x=x, y=y, width=10, height=10, fill=stage.colour), text(stage.name, x + 16, y + 9)]
    return Markup("").join(parts)
