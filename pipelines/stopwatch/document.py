"""The JSON of `--json` of a run as a type: all turns, and what they come to."""

from pipelines.stopwatch.gate import GateRecord
from pipelines.stopwatch.record import Record, SessionRecord, TurnRecord
from pipelines.stopwatch.summary import Row, Summary


class RunRecord(Record):
    """A run."""

    turns: tuple[TurnRecord, ...]
    """All turns, as in the trace."""
    summary: Summary
    """What they come to together."""
    rows: tuple[Row, ...]
    """What those of each LLM and mode come to."""
    session: SessionRecord
    """What they were taken with, as in the trace."""


class GatedRunRecord(RunRecord):
    """The same, held against a baseline."""

    gate: tuple[GateRecord, ...]
    """Each limit for each LLM and mode."""
