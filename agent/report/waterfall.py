"""One turn as bars on a time axis whose 0 is the true end of the user's speech.

Pure geometry: it turns the trace's spans and critical path into lanes with positions in percent of the axis.
Independent of HTML.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from agent.report.findings import milliseconds, moment
from agent.report.stages import CONTEXT, stage
from agent.report.ticks import linear_ticks
from pipelines.stopwatch.record import PathSegment, SpanRecord, TurnRecord

Kind = Literal["hidden", "critical", "discarded", "context"]

TILING_TOLERANCE_MS = 1.0
"""How far the sum of the critical path may lie from the turn latency."""

_CONTEXT_KEYS = frozenset(item.key for item in CONTEXT)


@dataclass(frozen=True, slots=True)
class Axis:
    """The part of the time line that is shown, in ms."""

    start_ms: float
    end_ms: float

    def percent(self, at_ms: float) -> float:
        """Where a moment lies on the axis, 0 to 100; what lies outside sits on the edge."""
        share = (at_ms - self.start_ms) / (self.end_ms - self.start_ms)
        return round(100 * min(1.0, max(0.0, share)), 2)


@dataclass(frozen=True, slots=True)
class Bar:
    """A stretch of work; `cut_left` and `cut_right` say that it goes on beyond the axis."""

    kind: Kind
    left: float
    width: float
    cut_left: bool
    cut_right: bool
    tip: str


@dataclass(frozen=True, slots=True)
class Lane:
    """A row of the waterfall: one span, or several hidden ones of a kind that follow one another (`count`)."""

    stage: str
    label: str
    count: int
    kind: Kind
    bars: tuple[Bar, ...]
    start_ms: float
    end_ms: float
    busy_ms: float
    critical_ms: float


@dataclass(frozen=True, slots=True)
class Segment:
    """A piece of the critical path."""

    stage: str
    ms: float
    left: float
    width: float


@dataclass(frozen=True, slots=True)
class Waterfall:
    """A drawn turn.

    `ticks` hold position, label and whether the tick stays if there is room for only half of them. `gap_ms` is the turn
    latency less the sum of its segments, None if nothing became audible.
    """

    lanes: tuple[Lane, ...]
    segments: tuple[Segment, ...]
    ticks: tuple[tuple[float, str, bool], ...]
    zero: float
    audible: float | None
    sum_ms: float
    latency_ms: float | None
    gap_ms: float | None

    @property
    def tiles(self) -> bool:
        """Whether the critical path sums to the turn latency."""
        return self.gap_ms is None or abs(self.gap_ms) <= TILING_TOLERANCE_MS


def waterfall(turn: TurnRecord) -> Waterfall:
    """Lay out one turn of a trace."""
    spans = sorted(turn.spans, key=lambda span: span.start_ms)
    path, latency = turn.critical_path, turn.turn_latency_ms
    axis = time_axis(spans, latency)
    total = sum(segment.ms for segment in path)
    return Waterfall(
        lanes=tuple(_lane(group, path, axis) for group in _group(spans)),
        segments=tuple(_segment(segment, axis) for segment in path),
        ticks=_ticks(axis),
        zero=axis.percent(0),
        audible=None if latency is None else axis.percent(latency),
        sum_ms=total,
        latency_ms=latency,
        gap_ms=None if latency is None else latency - total,
    )


def time_axis(spans: Sequence[SpanRecord], latency_ms: float | None) -> Axis:
    """From the first work that is not too long before the end of speech to a little after the first audible sample.

    Many seconds of speech would squeeze the part that the reader came for, so utterance and answer are cut.
    """
    work = [span for span in spans if span.stage not in _CONTEXT_KEYS]
    end = latency_ms or max((span.end_ms for span in work), default=0.0)
    end = max(end, 100.0)
    earliest = min((span.start_ms for span in work), default=0.0)
    return Axis(-min(max(-1.06 * earliest, 0.15 * end), 1.5 * end), 1.18 * end)


def _ticks(axis: Axis) -> tuple[tuple[float, str, bool], ...]:
    """About eight round moments, 0 among them; every second one stays if there is less room."""
    moments = linear_ticks(axis.start_ms, axis.end_ms, 8)
    return tuple(
        (axis.percent(at), moment(at), (number - moments.index(0)) % 2 == 0) for number, at in enumerate(moments)
    )


def _group(spans: Sequence[SpanRecord]) -> list[list[SpanRecord]]:
    """Hidden spans of one stage and name that follow one another share a lane; everything else has its own."""
    groups: list[list[SpanRecord]] = []
    open_group: dict[tuple[str, str], list[SpanRecord]] = {}
    for span in spans:
        key = (span.stage, _stem(span))
        group = open_group.get(key)
        if _kind(span) != "hidden":
            groups.append([span])
        elif group and span.start_ms >= group[-1].end_ms:
            group.append(span)
        else:
            open_group[key] = [span]
            groups.append(open_group[key])
    return sorted(groups, key=_lane_order)


def _stem(span: SpanRecord) -> str:
    """The label without its number: `partial decode 7` and `partial decode 8` are the same kind of work."""
    return span.label.rstrip(" #0123456789")


def _lane_order(group: Sequence[SpanRecord]) -> tuple[int, float]:
    """The user's speech on top, the agent's at the bottom, work between them by its start."""
    place = {"speech": 0, "agent_speech": 2}.get(group[0].stage, 1)
    return place, group[0].start_ms


def _label(span: SpanRecord) -> str:
    """What sets this span apart from others of its stage; empty if that repeats the stage's name."""
    names = (span.stage.casefold(), stage(span.stage).name.casefold())
    return "" if span.label.casefold() in names else span.label


def _kind(span: SpanRecord) -> Kind:
    if span.stage in _CONTEXT_KEYS:
        return "context"
    if span.discarded:
        return "discarded"
    return "critical" if span.critical_ms > 0 else "hidden"


def _lane(group: Sequence[SpanRecord], path: Sequence[PathSegment], axis: Axis) -> Lane:
    first = group[0]
    kind = _kind(first)
    hidden: Kind = kind if kind != "critical" else "hidden"
    bars = [_bar(span.label or span.stage, span.start_ms, span.end_ms, hidden, axis) for span in group]
    if kind == "critical":
        parts = _critical_parts(first, path)
        bars += [_bar("on the critical path", start, end, "critical", axis) for start, end in parts]
    return Lane(
        stage=str(first.stage),
        label=_stem(first) if len(group) > 1 else _label(first),
        count=len(group),
        kind=kind,
        bars=tuple(bar for bar in bars if bar is not None),
        start_ms=first.start_ms,
        end_ms=group[-1].end_ms,
        busy_ms=sum(span.end_ms - span.start_ms for span in group),
        critical_ms=sum(span.critical_ms for span in group),
    )


def _critical_parts(span: SpanRecord, path: Sequence[PathSegment]) -> list[tuple[float, float]]:
    """The stretches of this span that the critical path runs along, from when to when."""
    parts = []
    for segment in path:
        start, end = max(span.start_ms, segment.start_ms), min(span.end_ms, segment.end_ms)
        if segment.stage == span.stage and end > start:
            parts.append((start, end))
    return parts


def _bar(name: str, start: float, end: float, kind: Kind, axis: Axis) -> Bar | None:
    """None if the whole stretch lies outside the axis."""
    if end < axis.start_ms or start > axis.end_ms:
        return None
    left, right = axis.percent(start), axis.percent(end)
    tip = f"{name}: {milliseconds(end - start)} ms, from {moment(start)} to {moment(end)}"
    return Bar(kind, left, round(right - left, 2), start < axis.start_ms, end > axis.end_ms, tip)


def _segment(segment: PathSegment, axis: Axis) -> Segment:
    left, right = axis.percent(segment.start_ms), axis.percent(segment.end_ms)
    return Segment(str(segment.stage), segment.ms, left, round(right - left, 2))
