"""Reading a trace back: all lines that fit are used, what does not is named. It computes nothing of what they hold."""

import json
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from pipelines.errors import InputError
from pipelines.json_object import JsonObject
from pipelines.stopwatch.record import RECORD_VERSION, SessionRecord, TurnRecord


@dataclass(frozen=True, slots=True)
class Trace:
    """A session line, the turns, and one note for each thing that the user should be told about the file."""

    session: SessionRecord
    turns: list[TurnRecord]
    notes: tuple[str, ...] = ()


def read_trace(path: Path) -> Trace:
    """The trace at `path`. Raises InputError if it is not a trace, or one of another version."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise InputError(f"trace {path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InputError(f"trace {path} is not a trace: it is not UTF-8 text") from None
    session = _session(path, lines[0] if lines else "")
    turns, notes = [], []
    for number, line in enumerate(lines[1:], start=2):
        document = _object(line)
        if document is not None and document.get("type") == "turn":
            try:
                turns.append(TurnRecord.model_validate(document))
            except ValidationError as error:
                notes.append(f"trace {path}: line {number} does not fit and is left out: {_first(error)}")
        elif line.strip():
            notes.append(f"trace {path}: line {number} is not a whole turn and is left out")
    return Trace(session, turns, tuple(notes))


def _session(path: Path, line: str) -> SessionRecord:
    document = _object(line)
    if document is None or document.get("type") != "session":
        raise InputError(f"trace {path} is not a trace: its first line is not a session line; write one with --trace")
    if (stated := document.get("version")) != RECORD_VERSION:
        raise InputError(
            f"trace {path} is of version {stated!r}, this Quickturn reads version {RECORD_VERSION}: record it again"
        )
    try:
        return SessionRecord.model_validate(document)
    except ValidationError as error:
        raise InputError(f"trace {path} cannot be used: its session line does not fit: {_first(error)}") from None


def _first(error: ValidationError) -> str:
    """Where the first thing that does not fit stands, and what was expected."""
    first = error.errors(include_url=False)[0]
    return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"


def _object(line: str) -> JsonObject | None:
    try:
        value = json.loads(line)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None
