"""The report's charts as picture files, drawn from the same findings and geometry as the page."""

from collections.abc import Sequence
from pathlib import Path

from agent.report import figures, findings
from agent.report.bars import critical_path_picture, grid_picture
from agent.report.curves import distribution_picture
from agent.report.turn_picture import turn_picture
from pipelines.stopwatch.record import TurnRecord
from pipelines.stopwatch.summary import Row


def write_pictures(directory: Path, turns: Sequence[TurnRecord], rows: Sequence[Row]) -> list[Path]:
    """Write the grid, the stacked critical path, one waterfall and the distribution, each as SVG and PNG.

    A picture without data is left out. Returns the files written. Raises InputError if one cannot be written.
    """
    written: list[Path] = []
    if rows := [row for row in rows if row.p50_ms is not None]:
        written += grid_picture(directory / "grid", rows)
        written += critical_path_picture(directory / "critical-path", rows)
    for turn in findings.anatomy(turns, rows)[-1:]:
        written += turn_picture(directory / "waterfall", turn)
    if drawn := figures.distribution(turns):
        written += distribution_picture(directory / "distribution", drawn)
    return written
