"""Reading a trace back: all whole lines are used, what is not is named. It computes nothing of what they hold."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.trace.files import TRACE_VERSION
from pipelines.errors import InputError

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Trace:
    """A session line, the turn lines, and one note for each thing that the user should be told about the file."""

    session: Document
    turns: list[Document]
    notes: tuple[str, ...] = ()


def read_trace(path: Path) -> Trace:
    """The trace at `path`. Raises InputError for a file that is no trace, or one of another version."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise InputError(f"trace {path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InputError(f"trace {path} is not a trace: it is not UTF-8 text") from None
    session = _object(lines[0]) if lines else None
    if session is None or session.get("type") != "session":
        raise InputError(f"trace {path} is not a trace: its first line is no session line; write one with --trace FILE")
    if session.get("version") != TRACE_VERSION:
        stated = session.get("version")
        raise InputError(
            f"trace {path} is of version {stated!r}, this Quickturn reads version {TRACE_VERSION}: record it again"
        )
    turns, notes = [], []
    for number, line in enumerate(lines[1:], start=2):
        document = _object(line)
        if document is not None and document.get("type") == "turn":
            turns.append(document)
        elif line.strip():
            notes.append(f"trace {path}: line {number} is not a whole turn and is left out")
    return Trace(session, turns, tuple(notes))


def _object(line: str) -> Document | None:
    try:
        value = json.loads(line)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None
