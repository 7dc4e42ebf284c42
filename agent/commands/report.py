"""`report`: a recorded trace as a page, as pictures, and in another tool's format."""

from pathlib import Path
from typing import Annotated

import typer

from agent.commands.shared import stderr, stdout


def report(
    trace: Annotated[Path, typer.Argument(help="A trace of replay, compare or demo.")],
    out: Annotated[Path, typer.Option(help="Folder for report.html and pictures/.")] = Path("quickturn-report"),
    chrome_trace: Annotated[
        Path | None, typer.Option(help="Write Chrome trace JSON here; it opens in Perfetto.")
    ] = None,
) -> None:
    """A recorded trace as HTML and pictures; --chrome-trace for Perfetto."""
    from agent.exports.chrome import write_chrome_trace
    from agent.output_folder import make_folder, write_findings
    from agent.results import rows
    from agent.trace_reader import read_trace
    from pipelines.errors import InputError

    recorded = read_trace(trace)
    for note in recorded.notes:
        stderr().print(note)
    if not recorded.turns:
        raise InputError(f"trace {trace} holds no turn: nothing to report")
    if chrome_trace is not None:
        write_chrome_trace(chrome_trace, recorded.turns)
        stdout().print(f"trace   {chrome_trace}")
    table = rows(recorded.turns, str(recorded.turns[0]["llm"]))
    page = write_findings(make_folder(out), recorded.session, recorded.turns, table, title=trace.stem, audio=())
    stdout().print(f"report  {page}")
