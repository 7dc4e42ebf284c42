"""`report`: a recorded trace as a page, as pictures, and in another tool's format."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agent.commands.shared import stderr, stdout

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipelines.stopwatch.record import TurnRecord


def report(
    trace: Annotated[Path, typer.Argument(help="A trace of replay, compare or demo.")],
    out: Annotated[Path, typer.Option(help="Folder for report.html and pictures/.")] = Path("quickturn-report"),
    chrome_trace: Annotated[
        Path | None, typer.Option(help="Write Chrome trace JSON here; it opens in Perfetto.")
    ] = None,
    otlp: Annotated[
        str | None, typer.Option(help="Send it as OpenTelemetry spans to this base URL: http://localhost:4318.")
    ] = None,
) -> None:
    """A recorded trace as HTML and pictures; --chrome-trace for Perfetto, --otlp for OpenTelemetry."""
    from agent.exports.chrome import write_chrome_trace
    from agent.report.folder import write_report
    from agent.system.folder import make_folder
    from agent.trace.reader import read_trace
    from pipelines.errors import InputError
    from pipelines.stopwatch.summary import rows

    recorded = read_trace(trace)
    for note in recorded.notes:
        stderr().print(note, markup=False)
    if not recorded.turns:
        raise InputError(f"trace {trace} holds no turn: nothing to report")
    if chrome_trace is not None:
        write_chrome_trace(chrome_trace, recorded.turns)
        stdout().print(f"trace   {chrome_trace}", markup=False)
    if otlp is not None:
        _send(otlp, recorded.turns)
    table = rows(recorded.turns, recorded.turns[0].llm)
    page = write_report(make_folder(out), recorded.session, recorded.turns, table, title=trace.stem)
    stdout().print(f"report  {page}", markup=False)


def _send(endpoint: str, turns: "Sequence[TurnRecord]") -> None:
    """Send all turns. Raises ServiceError if not all arrived."""
    from agent.exports.otlp import OtlpSpans
    from pipelines.errors import InputError, ServiceError

    if any(turn.spans and not turn.speech_end_at for turn in turns):
        raise InputError("--otlp: this trace was recorded without wall-clock times (speech_end_at); record it again")
    with OtlpSpans(endpoint) as spans:
        for index, turn in enumerate(turns):
            spans.turn(index, turn)
    if spans.lost:
        raise ServiceError(f"OTLP endpoint {spans.url}: {spans.lost} spans did not arrive; is a receiver there?")
    stdout().print(f"spans   {spans.arrived} sent to {spans.url}", markup=False)
