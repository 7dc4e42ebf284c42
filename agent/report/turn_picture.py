"""The picture of one turn: the lanes of the page's waterfall, and the critical path below them."""

from collections.abc import Callable
from pathlib import Path

from markupsafe import Markup

from agent.report import findings, stages
from agent.report.svg import (
    BAD,
    BAR_HEIGHT,
    CHARACTER,
    INK,
    MARGIN,
    PAPER,
    ROW,
    WIDTH,
    element,
    rectangle,
    save_picture,
    text,
    upright,
)
from agent.report.waterfall import Bar, Lane, Waterfall, waterfall
from pipelines.stopwatch.record import TurnRecord


def turn_picture(stem: Path, turn: TurnRecord) -> list[Path]:
    """The lanes of the page's own waterfall, and the critical path below them."""
    drawn = waterfall(turn)
    lanes = [lane for lane in drawn.lanes if lane.bars]
    left = MARGIN + CHARACTER * max((len(_words(lane)) for lane in lanes), default=0) + 6
    top, bottom = MARGIN + 70, MARGIN + 70 + ROW * (len(lanes) + 1)

    def x(percent: float) -> float:
        return left + WIDTH * percent / 100

    latency = findings.milliseconds(turn.turn_latency_ms)
    parts = [
        text(f"One turn, {latency} ms from the end of speech to the first sound", MARGIN, MARGIN + 16, "title"),
        text(f"{turn.recording or 'turn'}, {turn.mode}, {stages.llm_label(turn.llm)}", MARGIN, MARGIN + 35, "sub"),
        text(
            "solid: on the critical path; pale: hidden; dashed red: discarded speculation", MARGIN, MARGIN + 52, "sub"
        ),
    ]
    for percent, label, _ in drawn.ticks:
        parts.append(element("path", class_="hair", d=upright(x(percent), top, bottom - top)))
        parts.append(text(label, x(percent), bottom + 16, anchor="middle"))
    for number, lane in enumerate(lanes):
        middle = top + ROW * (number + 0.5)
        parts.append(_lane_name(lane, left - 6, middle + 4))
        parts += [_work(bar, stages.stage(lane.stage).colour, middle, x) for bar in lane.bars]
    parts += _path(drawn, left - 6, bottom - ROW / 2, x)
    for edge in (drawn.zero, drawn.audible):
        if edge is not None:
            parts.append(element("path", class_="mark", d=upright(x(edge), top, bottom - top)))
    parts.append(element("path", class_="axis", d=f"M{left:g},{bottom:g}H{left + WIDTH:g}"))
    parts.append(text("ms; 0 is the end of the user's speech", left + WIDTH / 2, bottom + 34, "sub", "middle"))
    return save_picture(stem, *parts, width=left + WIDTH + MARGIN, height=bottom + 34 + MARGIN)


def _words(lane: Lane) -> str:
    """What a lane is called, without its stage's own name being said twice."""
    detail = f" {lane.label}" if lane.label and lane.kind != "context" else ""
    return f"{stages.stage(lane.stage).name}{detail}{f' ×{lane.count}' if lane.count > 1 else ''}"


def _lane_name(lane: Lane, x: float, y: float) -> Markup:
    name = stages.stage(lane.stage).name
    return element(
        "text", element("tspan", name, class_="name"), _words(lane)[len(name) :], x=x, y=y, text_anchor="end"
    )


def _work(bar: Bar, colour: str, middle: float, x: Callable[[float], float]) -> Markup:
    ends = x(bar.left), x(bar.left + bar.width)
    match bar.kind:
        case "critical":
            return rectangle(*ends, middle, BAR_HEIGHT, fill=colour)
        case "hidden":
            return rectangle(*ends, middle, BAR_HEIGHT, fill=colour, fill_opacity=0.3, stroke=INK, stroke_width=0.4)
        case "discarded":
            return rectangle(
                *ends, middle, BAR_HEIGHT, fill=colour, fill_opacity=0.12, stroke=BAD, stroke_dasharray="3 2"
            )
        case "context":
            return rectangle(*ends, middle, 5, fill=colour)


def _path(drawn: Waterfall, label_x: float, middle: float, x: Callable[[float], float]) -> list[Markup]:
    """The critical path as one bar, with its stages' ms inside if they fit."""
    parts = [text("Critical path", label_x, middle + 4, "strong", "end")]
    for segment in (segment for segment in drawn.segments if segment.ms > 0):
        stage = stages.stage(segment.stage)
        ends = x(segment.left), x(segment.left + segment.width)
        parts.append(rectangle(*ends, middle, BAR_HEIGHT, fill=stage.colour, stroke=PAPER, stroke_width=0.6))
        if segment.width >= 5:
            label = findings.milliseconds(segment.ms)
            style = f"fill:{stage.ink};font-weight:600"
            parts.append(element("text", label, x=sum(ends) / 2, y=middle + 4, text_anchor="middle", style=style))
    return parts
