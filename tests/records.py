"""Records for tests: what a test does not name has a value of its own here."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from agent.trace.files import TraceFile
from pipelines.stopwatch.record import Record, SessionRecord, TurnRecord
from pipelines.stopwatch.summary import Row

TURN_FIELDS = {
    "transcript",
    "reply",
    "outcome",
    "turn_latency_ms",
    "critical_path",
    "stages",
    "speculation",
    "usage",
    "error",
}
"""What the record of any turn holds, whoever made it."""

SESSION = SessionRecord(config={"endpointing": {"wordless_ms": 600}})


def record(**fields: Any) -> TurnRecord:
    """A completed turn of nothing, but for the fields given; of the parts, as JSON has them or as records."""
    return TurnRecord.model_validate({"mode": "streaming", "llm": "sim/100:100", "outcome": "completed"} | fields)


def changed(turn: TurnRecord, **fields: Any) -> TurnRecord:
    """The turn with other values in some fields."""
    return TurnRecord.model_validate(plain(turn) | fields)


def plain(record: Record) -> dict[str, Any]:
    """As it stands in JSON."""
    return record.model_dump(mode="json")


def written(path: Path, *turns: TurnRecord, session: SessionRecord = SESSION) -> Path:
    """A trace of these turns, in a file."""
    with TraceFile(path, session) as trace:
        for index, turn in enumerate(turns):
            trace.turn(index, turn)
    return path


def row(**fields: Any) -> Row:
    """A row of a comparison in which nothing happened, but for the fields given."""
    nothing: Mapping[str, Any] = {
        "mode": "streaming",
        "llm": "sim/100:100",
        "simulated": False,
        "p50_ms": None,
        "p95_ms": None,
        "n": 0,
        "shares_ms": {},
        "llm_leg_ms": None,
        "saved_ms": None,
        "hits": 0,
        "requests": 0,
        "wasted_tokens": 0,
        "cost_usd": None,
        "delta_ms": None,
        "ci95_ms": None,
        "failed": 0,
    }
    return Row.model_validate({**nothing, **fields})


def critical_path(*parts: tuple[str, float]) -> list[dict[str, Any]]:
    """A critical path of these stages and milliseconds, from the end of speech on."""
    segments, at_ms = [], 0.0
    for stage, ms in parts:
        segments.append({"stage": stage, "ms": ms, "start_ms": at_ms, "end_ms": at_ms + ms})
        at_ms += ms
    return segments
