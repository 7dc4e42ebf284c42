"""A report as a folder: the page, and the pictures beside it."""

from collections.abc import Sequence
from pathlib import Path

from agent.report.page import write_page
from agent.report.pictures import write_pictures
from pipelines.stopwatch.record import SessionRecord, TurnRecord
from pipelines.stopwatch.summary import Row


def write_report(
    folder: Path,
    session: SessionRecord,
    turns: Sequence[TurnRecord],
    rows: Sequence[Row],
    *,
    title: str,
    audio: Sequence[tuple[str, Path]] = (),
) -> Path:
    """Write `report.html` and `pictures/`; returns the page's path. `audio` are labelled files that it links to.

    Raises InputError if one of them cannot be written.
    """
    page = folder / "report.html"
    write_page(page, session, turns, rows, title=title, audio=audio)
    write_pictures(folder / "pictures", turns, rows)
    return page
