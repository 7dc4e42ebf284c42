"""A run as a page and as pictures: where the milliseconds of every turn went.

It reads the records of a trace and knows nothing of how they were measured.

    __init__.py   the three things that callers use
    stages.py     the words of the report: stages with their fixed colours, the glossary
    findings.py   what the run says: the headline, the levers, the ledger
    waterfall.py  one turn as bars on a time axis
    figures.py    the page's charts over all turns: grid, stacked critical path, distribution
    page.py       the page of a run, from page.html.j2
    template.py   what every page shares: template engine, filters, style and script
    pictures.py   the same charts as SVG and PNG files, through altair
"""

from collections.abc import Sequence
from pathlib import Path

from agent.report.findings import headline
from pipelines.stopwatch.record import SessionRecord, TurnRecord
from pipelines.stopwatch.summary import Row

__all__ = ["headline", "write_pictures", "write_report"]


def write_report(
    path: Path,
    session: SessionRecord,
    turns: Sequence[TurnRecord],
    rows: Sequence[Row],
    *,
    title: str,
    audio: Sequence[tuple[str, Path]] = (),
) -> None:
    """Write one self-contained HTML file that needs no network.

    `session` and `turns` are the trace's, `rows` the figures of each LLM and mode.
    `audio` are labelled files, linked relative to the page. Raises InputError if the file cannot be written.
    """
    from agent.report.page import write_page

    write_page(path, session, turns, rows, title=title, audio=audio)


def write_pictures(directory: Path, turns: Sequence[TurnRecord], rows: Sequence[Row]) -> list[Path]:
    """Write the grid, the stacked critical path, one waterfall and the distribution, each as SVG and PNG.

    A picture without data is left out. Returns the files written. Raises InputError if one cannot be written.
    """
    from agent.report.pictures import write_all

    return write_all(directory, turns, rows)
