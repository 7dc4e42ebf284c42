"""A trace as Chrome trace JSON, which Perfetto (ui.perfetto.dev) and chrome://tracing open.

Format: "Trace Event Format" (Google, complete events "X", times in microseconds). A process for each LLM and mode, a
thread for each stage and one for the critical path; turns follow one another.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from pipelines.errors import InputError
from pipelines.json_object import JsonObject
from pipelines.stopwatch.record import PathSegment, SpanRecord, TurnRecord
from pipelines.stopwatch.timeline import Stage

_PATH = "critical path"
_BETWEEN_TURNS_MS = 500.0


def write_chrome_trace(path: Path, turns: Sequence[TurnRecord]) -> None:
    """Write all turns. Raises InputError if the file cannot be written."""
    text = json.dumps({"traceEvents": list(chrome_events(turns)), "displayTimeUnit": "ms"}, ensure_ascii=False)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror}; give another path") from None


def chrome_events(turns: Sequence[TurnRecord]) -> Iterator[JsonObject]:
    """The events of all turns, preceded by the names of their processes and threads."""
    cells = list(dict.fromkeys((turn.llm, turn.mode) for turn in turns))
    threads = [_PATH, *(stage.value for stage in Stage)]
    for process, (llm, mode) in enumerate(cells, start=1):
        yield _name("process_name", process, 0, f"{mode}, {llm}")
        for thread, name in enumerate(threads):
            yield _name("thread_name", process, thread, name)
    ends_ms = dict.fromkeys(cells, 0.0)
    for turn in turns:
        if not turn.spans:
            continue
        cell = turn.llm, turn.mode
        origin_ms = ends_ms[cell] - min(span.start_ms for span in turn.spans)
        ends_ms[cell] = origin_ms + max(span.end_ms for span in turn.spans) + _BETWEEN_TURNS_MS
        yield from _turn_events(turn, cells.index(cell) + 1, threads, origin_ms)


def _turn_events(turn: TurnRecord, process: int, threads: Sequence[str], origin_ms: float) -> Iterator[JsonObject]:
    about: dict[str, object] = {
        "recording": turn.recording,
        "transcript": turn.transcript,
        "reply": turn.reply,
        "outcome": turn.outcome,
        "turn_latency_ms": turn.turn_latency_ms,
    }
    for span in turn.spans:
        name = f"{span.label} (discarded)" if span.discarded else span.label
        told = {**about, "critical_ms": span.critical_ms, "discarded": span.discarded}
        yield _complete(name, span.stage, span, process, threads.index(span.stage), origin_ms, told)
    for segment in turn.critical_path:
        if segment.ms:
            yield _complete(segment.stage, _PATH, segment, process, 0, origin_ms, about)


def _complete(
    name: str,
    category: str,
    piece: SpanRecord | PathSegment,
    process: int,
    thread: int,
    origin_ms: float,
    about: Mapping[str, object],
) -> JsonObject:
    return {
        "name": name,
        "cat": category,
        "ph": "X",
        "ts": round((origin_ms + piece.start_ms) * 1_000),
        # An output counts in samples: what it plays at once may begin a fraction of one before it was handed over.
        "dur": max(0, round((piece.end_ms - piece.start_ms) * 1_000)),
        "pid": process,
        "tid": thread,
        "args": dict(about),
    }


def _name(kind: str, process: int, thread: int, name: str) -> JsonObject:
    return {"name": kind, "ph": "M", "pid": process, "tid": thread, "ts": 0, "args": {"name": name}}
