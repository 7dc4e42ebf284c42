"""The report's charts as picture files, drawn by altair and rendered without a browser by vl-convert.

Light paper in both, so that they read on any page that shows them. It reads the same findings and geometry as the page.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import altair as alt

from agent.report import findings, stages
from agent.report.figures import log_ticks, stacks
from agent.report.waterfall import time_axis
from pipelines.errors import InputError
from pipelines.stopwatch.record import PathSegment, SpanRecord, TurnRecord
from pipelines.stopwatch.summary import Row

PAPER, INK, SOFT, HAIR = "#fbfaf7", "#1b1b1f", "#5b5b66", "#e4e2db"
WIDTH = 640
_DASHES = ([1, 0], [7, 3], [3, 2], [9, 3, 2, 3])
"""What tells LLMs apart: colours belong to stages."""


def write_all(directory: Path, turns: Sequence[TurnRecord], rows: Sequence[Row]) -> list[Path]:
    """Draw what there is data for; see `agent.report.write_pictures`."""
    rows = [row for row in rows if row.p50_ms is not None]
    charts: dict[str, alt.Chart | alt.LayerChart | alt.FacetChart] = {}
    if rows:
        charts["grid"] = grid(rows)
        charts["critical-path"] = critical_path(rows)
    for turn in findings.anatomy(turns, rows)[-1:]:
        charts["waterfall"] = waterfall(turn)
    if findings.completed(turns):
        charts["distribution"] = distribution(turns)
    return [path for name, chart in charts.items() for path in save_picture(chart, directory / name)]


def grid(rows: Sequence[Row]) -> alt.FacetChart:
    """Bars of the median with a line on to p95: a panel per mode, a bar per LLM."""
    data = [{**_names(row), "p50": row.p50_ms, "p95": row.p95_ms or row.p50_ms} for row in rows]
    base = alt.Chart().encode(y=_llm_axis(rows))
    x = alt.X("p50:Q", title="turn latency, ms: p50 as a bar, the line on to p95")
    bars = base.mark_bar(color="#3d3d47", height=13).encode(x=x)
    reach = base.mark_rule(color="#3d3d47").encode(x="p50:Q", x2="p95:Q")
    ticks = base.mark_tick(color="#3d3d47", size=9, thickness=1.2).encode(x="p95:Q")
    text = base.mark_text(align="left", dx=6, fontWeight="bold").encode(
        x="p95:Q", text=alt.Text("p50:Q", format=",.0f")
    )
    return _by_mode(bars + reach + ticks + text, data, rows, "Turn latency by LLM and turn mode")


def critical_path(rows: Sequence[Row]) -> alt.FacetChart:
    """The mean critical path as stacked bars: a panel per mode, a bar per LLM."""
    groups = [stack for group in stacks(rows) for stack in group.stacks]
    order = {stage.key: place for place, stage in enumerate(stages.STAGES)}
    parts = [
        {**_names(stack.row), "stage": stages.stage(key).name, "ms": ms, "order": order.get(key, len(order))}
        for stack in groups
        for key, ms in stack.parts
    ]
    sums = [{**_names(stack.row), "sum": stack.sum_ms} for stack in groups]
    bars = alt.Chart().mark_bar(height=15, stroke=PAPER, strokeWidth=0.6).transform_filter("isValid(datum.ms)")
    bars = bars.encode(
        y=_llm_axis(rows),
        x=alt.X("ms:Q", title="mean critical path, ms"),
        color=_stage_colour(),
        order=alt.Order("order:Q"),
    )
    text = alt.Chart().mark_text(align="left", dx=6, fontWeight="bold").transform_filter("isValid(datum.sum)")
    text = text.encode(y=_llm_axis(rows), x="sum:Q", text=alt.Text("sum:Q", format=",.0f"))
    return _by_mode(bars + text, parts + sums, rows, "Where the wait goes")


def waterfall(turn: TurnRecord) -> alt.LayerChart | alt.FacetChart:
    """One turn's work on a time axis: solid on the critical path, pale where hidden, dashed where thrown away."""
    latency = turn.turn_latency_ms or 0.0
    axis = time_axis(turn.spans, latency)
    bars = [bar for bar in _work(turn) if bar["end"] > axis.start_ms and bar["start"] < axis.end_ms]
    for bar in bars:
        bar["start"], bar["end"] = max(bar["start"], axis.start_ms), min(bar["end"], axis.end_ms)
    lanes = list(dict.fromkeys(str(bar["lane"]) for bar in bars))
    x = alt.X("start:Q", title="ms; 0 is the end of the user's speech", scale=alt.Scale(nice=False))
    base = alt.Chart(alt.InlineData(values=bars)).encode(
        x=x, x2="end:Q", y=alt.Y("lane:N", sort=lanes, title=None), color=_stage_colour(context=True)
    )
    kinds = {
        "critical": base.mark_bar(height=14),
        "hidden": base.mark_bar(height=14, fillOpacity=0.3, stroke=INK, strokeWidth=0.4),
        "discarded": base.mark_bar(height=14, fillOpacity=0.12, stroke="#b3261e", strokeDash=[3, 2]),
        "context": base.mark_bar(height=5),
    }
    layers = [mark.transform_filter(f"datum.kind == '{kind}'") for kind, mark in kinds.items()]
    moments = alt.Chart(alt.InlineData(values=[{"at": 0.0}, {"at": latency}]))
    rules = moments.mark_rule(color=INK, strokeWidth=1.2).encode(x="at:Q")
    title = alt.TitleParams(
        f"One turn, {findings.milliseconds(latency)} ms from the end of speech to the first sound",
        subtitle=[
            f"{turn.recording}, {turn.mode}, {stages.llm_label(turn.llm)}",
            "solid: on the critical path; pale: hidden; dashed red: discarded speculation",
        ],
    )
    return alt.layer(*layers, rules).properties(width=WIDTH, height=20 * len(lanes), title=title)


def distribution(turns: Sequence[TurnRecord]) -> alt.FacetChart:
    """The share of completed turns answered within a time, a panel per mode and a line per LLM."""
    done = [turn for turn in findings.completed(turns) if (turn.turn_latency_ms or 0.0) > 0]
    groups: dict[tuple[str, str], list[float]] = {}
    for turn in done:
        groups.setdefault((turn.llm, turn.mode), []).append(turn.turn_latency_ms or 0.0)
    data = []
    for (llm, mode), sample in groups.items():
        steps = [(min(sample), 0.0), *((at, n / len(sample)) for n, at in enumerate(sorted(sample), start=1))]
        data += [{"llm": stages.llm_label(llm), "mode": mode, "ms": at, "share": share} for at, share in steps]
    llms = list(dict.fromkeys(str(item["llm"]) for item in data))
    ticks = log_ticks([turn.turn_latency_ms or 0.0 for turn in done])
    time_scale = alt.Scale(type="log", nice=False, domain=[ticks[0], ticks[-1]])
    dashes = alt.Scale(domain=llms, range=[_DASHES[index % len(_DASHES)] for index in range(len(llms))])
    legend = alt.Legend(title=None, orient="bottom", columns=2, symbolSize=400, labelLimit=400)
    lines = alt.Chart().mark_line(interpolate="step-after", strokeWidth=2, color=INK)
    lines = lines.encode(
        x=alt.X("ms:Q", scale=time_scale, axis=alt.Axis(values=ticks), title="turn latency, ms (logarithmic)"),
        y=alt.Y("share:Q", title="turns answered", axis=alt.Axis(format="%")),
        strokeDash=alt.StrokeDash("llm:N", scale=dashes, legend=legend),
    )
    return _by_mode(lines.properties(height=120), data, done, "How often is it that fast?")


def _work(turn: TurnRecord) -> list[dict[str, Any]]:
    """The turn's spans as bars; the critical path is laid over the spans that it runs along."""
    # To a tenth: what follows at once is not to come first by its rounding.
    spans = sorted(turn.spans, key=lambda span: round(span.start_ms, 1))
    context = {stage.key for stage in stages.CONTEXT}
    bars = []
    for span in spans:
        kind = "context" if span.stage in context else "discarded" if span.discarded else "hidden"
        bars.append(_work_bar(kind, span))
    bars += [_work_bar("critical", part) for part in turn.critical_path if part.ms > 0]
    return sorted(bars, key=lambda bar: str(bar["stage"]) == stages.stage("agent_speech").name)


def _work_bar(kind: str, piece: SpanRecord | PathSegment) -> dict[str, Any]:
    name = stages.stage(piece.stage).name
    lane = f"{name} (discarded)" if kind == "discarded" else name
    return {"lane": lane, "stage": name, "kind": kind, "start": piece.start_ms, "end": piece.end_ms}


def _names(row: Row) -> dict[str, str]:
    return {"llm": stages.llm_label(row.llm), "mode": row.mode}


def _llm_axis(rows: Sequence[Row]) -> alt.Y:
    order = list(dict.fromkeys(stages.llm_label(row.llm) for row in rows))
    return alt.Y("llm:N", sort=order, title=None)


def _stage_colour(*, context: bool = False) -> alt.Color:
    known = stages.STAGES + (stages.BESIDE + stages.CONTEXT if context else ())
    scale = alt.Scale(domain=[stage.name for stage in known], range=[stage.colour for stage in known])
    legend = None if context else alt.Legend(title=None, orient="bottom", columns=4, symbolType="square")
    return alt.Color("stage:N", scale=scale, legend=legend)


def _by_mode(
    chart: alt.Chart | alt.LayerChart,
    data: list[dict[str, Any]],
    items: Sequence[Row] | Sequence[TurnRecord],
    title: str,
) -> alt.FacetChart:
    present = {item.mode for item in items}
    order = [*(mode for mode in stages.MODES if mode in present), *sorted(present - set(stages.MODES))]
    header = alt.Header(title=None, labelAnchor="start", labelFontWeight="bold", labelFontSize=12, labelOrient="top")
    row = alt.Row("mode:N", sort=order, header=header)
    return chart.properties(width=WIDTH, data=alt.InlineData(values=data)).facet(row=row, title=title)


def _styled(chart: Any) -> Any:
    return (
        chart.configure(background=PAPER, font="sans-serif", padding=14)
        .configure_view(stroke=None)
        .configure_title(anchor="start", fontSize=16, color=INK, subtitleColor=SOFT, offset=10)
        .configure_axis(labelColor=INK, titleColor=SOFT, titleFontWeight="normal", gridColor=HAIR, labelLimit=320)
        .configure_axisY(domain=False, ticks=False)
        .configure_text(color=INK)
        .configure_facet(spacing=12)
    )


def save_picture(chart: Any, stem: Path) -> list[Path]:
    """A chart of altair's in our style, as SVG and PNG, the latter at twice the size for dense screens.

    Raises InputError if it cannot be written.
    """
    chart = _styled(chart)
    paths = [stem.with_suffix(".svg"), stem.with_suffix(".png")]
    try:
        stem.parent.mkdir(parents=True, exist_ok=True)
        for path in paths:
            chart.save(path, scale_factor=1 if path.suffix == ".svg" else 2)
    except OSError as error:
        raise InputError(
            f"cannot write the picture {error.filename or stem}: {error.strerror}; name a writable folder"
        ) from error
    return paths
