"""Writing a trace: JSON Lines, one `session` line and then a line a turn, each flushed, so that what is written stays
readable.
"""

import json
import os
import platform
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import Self

from agent.setup.engines import Engines
from pipelines.errors import InputError
from pipelines.stopwatch.record import SessionRecord, TurnRecord


def session_line(engines: Engines) -> SessionRecord:
    """The first line of what these engines are used for."""
    models = engines.models | ({engines.standby.endpoint.name: engines.standby} if engines.standby else {})
    return SessionRecord(
        quickturn=version("quickturn"),
        started_at=datetime.now(UTC).isoformat(timespec="seconds"),
        config=asdict(engines.config),
        machine=machine(),
        engines={
            "stt": engines.stt.name,
            "tts": engines.tts.name,
            "vad": "silero-v6",
            "turn_detector": engines.turn_detector.name if engines.turn_detector else None,
            "llm": tuple(models),
        },
        simulated=any(model.endpoint.simulated for model in models.values()),
    )


def machine() -> dict[str, str | int | None]:
    """What this runs on."""
    return {
        "system": platform.platform(),
        "processor": platform.machine(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "python": platform.python_version(),
    }


def session_text(session: SessionRecord) -> str:
    """The first line of a trace."""
    return json.dumps(session.model_dump(mode="json"), ensure_ascii=False) + "\n"


def turn_text(index: int, turn: TurnRecord) -> str:
    """A turn's line."""
    line = {"type": "turn"} | turn.model_dump(mode="json") | {"index": index}
    return json.dumps(line, ensure_ascii=False) + "\n"


class TraceFile:
    """A trace being written; use it as a context manager. Raises InputError if the file cannot be written."""

    def __init__(self, path: Path, session: SessionRecord) -> None:
        self._path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("w", encoding="utf-8")
        except OSError as error:
            raise InputError(f"trace {path} cannot be written: {error.strerror}; give another path") from None
        self._write(session_text(session))

    def turn(self, index: int, turn: TurnRecord) -> None:
        """Add a turn's line."""
        self._write(turn_text(index, turn))

    def _write(self, line: str) -> None:
        try:
            self._file.write(line)
            self._file.flush()
        except OSError as error:
            with suppress(OSError):  # closing writes what is left, which fails as well
                self._file.close()
            raise InputError(f"trace {self._path} cannot be written: {error.strerror}; what it holds is kept") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._file.close()
