"""What `whatif` prints: a table of the points, and the critical path predicted for each."""

from collections.abc import Iterator, Sequence
from itertools import zip_longest

from rich.table import Table

from agent.report.stages import llm_label
from agent.whatif.points import Prediction
from agent.whatif.verify import Verified
from pipelines.stopwatch.timeline import Stage

ASSUMPTION = (
    "Assumed: the same words of the answer, and recognition and synthesis as recorded. The knee is where more speed "
    "gains less than 5 ms."
)


def table(predictions: Sequence[Prediction], verified: Sequence[Verified]) -> Table:
    """A line per point, with measured columns if they were verified."""
    shown = Table(title="predicted turn latency, ms", title_justify="left")
    for name in ("mode", "LLM"):
        shown.add_column(name)
    names = ["p50", "p95", "knee: tokens/s", "knee: TTFT ms"]
    for name in [*names, *(["measured p50", "p95", "|error| p50", "p95"] if verified else [])]:
        shown.add_column(name, justify="right")
    for prediction, outcome in zip_longest(predictions, verified):
        point = prediction.point
        shown.add_row(point.mode.value, llm_label(point.llm), *_cells(prediction, outcome))
    return shown


def _cells(prediction: Prediction, outcome: Verified | None) -> Iterator[str]:
    for predicted in (prediction.latency_ms.p50, prediction.latency_ms.p95):
        yield f"{predicted:,.0f}"
    yield f"{prediction.knee.tokens_per_s:,.0f}"
    yield f"{prediction.knee.ttft_ms:,.0f}"
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
        shown.add_column(stage, justify="right")
    for prediction in predictions:
        point = prediction.point
        name = llm_label(point.llm)
        cells = (f"{prediction.shares_ms.get(stage, 0.0):,.0f}" for stage in stages)
        shown.add_row(point.mode.value, name, *cells)
    return shown
