"""Writing a trace: JSON Lines, one `session` line and then a line a turn, each flushed, so that what is written stays
readable.
"""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from agent.measure.results import machine
from agent.setup.rig import Rig
from pipelines.errors import InputError

TRACE_VERSION = 1


def session_line(rig: Rig) -> dict[str, Any]:
    """The first line: version, configuration (it holds no secret: keys come from the environment), machine, engines,
    models.
    """
    models = rig.models | ({rig.standby.endpoint.name: rig.standby} if rig.standby else {})
    return {
        "type": "session",
        "version": TRACE_VERSION,
        "quickturn": version("quickturn"),
        "started_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "config": asdict(rig.config),
        "machine": machine(),
        "engines": {
            "stt": rig.stt.name,
            "tts": rig.tts.name,
            "vad": "silero-v6",
            "turn_detector": rig.turn_detector and rig.turn_detector.name,
            "llm": list(models),
        },
        "simulated": any(model.endpoint.simulated for model in models.values()),
    }


class TraceFile:
    """A trace being written; use it as a context manager. Raises InputError if the file cannot be written."""

    def __init__(self, path: Path, session: Mapping[str, Any]) -> None:
        self._path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("w", encoding="utf-8")
        except OSError as error:
            raise InputError(f"trace {path} cannot be written: {error.strerror}; give another path") from None
        self._write(session)

    def turn(self, index: int, document: Mapping[str, Any]) -> None:
        """Add a turn's line."""
        self._write({"type": "turn", "index": index, **document})

    def _write(self, line: Mapping[str, Any]) -> None:
        try:
            self._file.write(json.dumps(line, ensure_ascii=False) + "\n")
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
