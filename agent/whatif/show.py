"""What `whatif` shows: a table of the points, and the picture of turn latency against tokens per second."""

from collections.abc import Iterator, Sequence
from itertools import zip_longest
from pathlib import Path
from statistics import median
from string import ascii_uppercase
from typing import Any

from rich.table import Table

from agent.report.stages import is_simulated
from agent.report.terminal import label
from agent.whatif.points import Base, Prediction, speed_of
from agent.whatif.verify import Verified
from pipelines.llm.catalogue import Catalogue
from pipelines.stopwatch.timeline import Stage
from pipelines.stopwatch.whatif import Change, Speed, predict
from pipelines.turn import Mode

ASSUMPTION = (
    "Assumed: the same words of the answer, and recognition and synthesis as recorded. The knee is where more speed "
    "gains less than 5 ms."
)
TTFTS_MS = (50, 100, 200, 400, 800)
RATES = tuple(round(10 * 10 ** (step / 12), 1) for step in range(31))
"""10 to 3,160 tokens per second, twelve steps a decade."""


def table(predictions: Sequence[Prediction], verified: Sequence[Verified]) -> Table:
    """A line a point; measured columns where they were verified."""
    shown = Table(title="predicted turn latency, ms", title_justify="left")
    for name in ("mode", "LLM"):
        shown.add_column(name)
    names = ["p50", "p95", "knee: tokens/s", "knee: TTFT ms"]
    for name in [*names, *(["measured p50", "p95", "|error| p50", "p95"] if verified else [])]:
        shown.add_column(name, justify="right")
    for prediction, outcome in zip_longest(predictions, verified):
        point = prediction.point
        shown.add_row(
            point.mode.value, label(point.llm, simulated=is_simulated(point.llm)), *_cells(prediction, outcome)
        )
    return shown


def _cells(prediction: Prediction, outcome: Verified | None) -> Iterator[str]:
    for predicted in (prediction.latency_ms.p50, prediction.latency_ms.p95):
        yield f"{predicted:,.0f}"
    yield f"{prediction.knee['tokens_per_s']:,.0f}"
    yield f"{prediction.knee['ttft_ms']:,.0f}"
    if outcome is not None:
        for measured in (outcome.measured.p50, outcome.measured.p95):
            yield f"{measured:,.0f}"
        for error in (outcome.error.p50, outcome.error.p95):
            yield f"{error:.1f}"


def shares_table(predictions: Sequence[Prediction]) -> Table:
    """The mean critical path of each point."""
    found = {stage for prediction in predictions for stage in prediction.shares_ms}
    stages = [stage.value for stage in Stage if stage.value in found]
    shown = Table(title="predicted critical path, mean ms", title_justify="left")
    shown.add_column("mode")
    shown.add_column("LLM")
    for stage in stages:
        shown.add_column(stage.replace("_", " "), justify="right")
    for prediction in predictions:
        point = prediction.point
        name = label(point.llm, simulated=is_simulated(point.llm))
        cells = (f"{prediction.shares_ms.get(stage, 0.0):,.0f}" for stage in stages)
        shown.add_row(point.mode.value, name, *cells)
    return shown


def write_picture(directory: Path, base: Base, mode: Mode, catalogue: Catalogue) -> list[Path]:
    """Turn latency against tokens per second, a line for each TTFT, the published providers as points; SVG and PNG."""
    import altair as alt

    from agent.report.pictures import INK, SOFT, WIDTH, save_picture

    def typical_ms(speed: Speed) -> float:
        change = Change(mode, speed, wordless_ms=base.wordless_ms)
        return median(predict(turn, change).latency_ms for turn in base.turns)

    curves = [
        {"rate": rate, "ms": typical_ms(Speed(ttft, rate)), "ttft": f"{ttft} ms"} for ttft in TTFTS_MS for rate in RATES
    ]
    published = [
        {"rate": speed.tokens_per_s, "ms": typical_ms(speed), "name": name, "letter": letter}
        for letter, name in zip(ascii_uppercase, catalogue.profiles, strict=False)
        for speed in [speed_of(f"sim/{name}", catalogue, base)]
    ]
    x = alt.X("rate:Q", title="tokens per second", scale=alt.Scale(type="log", domain=[10, RATES[-1]]))
    y = alt.Y("ms:Q", title="turn latency, ms (median turn)", scale=alt.Scale(zero=True))
    dash = alt.StrokeDash("ttft:N", title="TTFT", sort=[f"{ttft} ms" for ttft in TTFTS_MS])
    lines = _of(curves).mark_line(color=SOFT, strokeWidth=1.5).encode(x=x, y=y, strokeDash=dash)
    dots = _of(published).mark_point(filled=True, size=60, color=INK).encode(x=x, y=y)
    # Neighbours on the axis are named above and below, so that their letters do not meet.
    by_rate = sorted(published, key=lambda point: float(str(point["rate"])))
    above, below = (
        _of(by_rate[side::2])
        .mark_text(dy=dy, fontSize=12, fontWeight="bold", color=INK)
        .encode(x=x, y=y, text="letter:N")
        for side, dy in enumerate((-12, 14))
    )
    listed = [f"{point['letter']}  {point['name']}" for point in published]
    title = alt.Title(
        f"What a faster LLM would have bought: {mode.value}, {len(base.recordings)} recordings (predicted)",
        subtitle=["At their published speeds:", *(";  ".join(listed[i : i + 4]) for i in range(0, len(listed), 4))],
    )
    chart = (lines + dots + above + below).properties(width=WIDTH, height=360, title=title)
    return save_picture(chart, directory / f"whatif-{mode.value}")


def _of(values: list[dict[str, Any]]) -> Any:
    import altair as alt

    return alt.Chart(alt.Data(values=values))  # type: ignore[no-untyped-call]  # altair's own signature
