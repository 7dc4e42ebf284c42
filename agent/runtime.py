"""The start of every conversation, live or replayed: engines loaded, models connected, traces and telemetry open."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from agent.exports.telemetry import TurnSink, open_telemetry
from agent.setup.config import Config
from agent.setup.engines import Engines, open_engines
from agent.trace.files import TraceFile, session_line
from pipelines.stopwatch.record import SessionRecord


@dataclass(frozen=True, slots=True)
class Runtime:
    """What conversations run on."""

    engines: Engines
    session: SessionRecord
    """The first line of every trace."""
    sinks: tuple[TurnSink, ...]
    """Where turns go as they finish: the trace first, if there is one."""
    notes: tuple[str, ...]
    """A line for the user about each open telemetry sink."""


@asynccontextmanager
async def open_runtime(config: Config, llms: Sequence[str], *traces: Path | None) -> AsyncIterator[Runtime]:
    """Open everything, and close it in order; `traces` are the files that turns are written to, None for none.

    Raises InputError, and ServiceError if a model cannot be reached.
    """
    async with AsyncExitStack() as stack:
        engines = await stack.enter_async_context(open_engines(config, llms))
        session = session_line(engines)
        telemetry = stack.enter_context(open_telemetry(config.telemetry))
        files = [stack.enter_context(TraceFile(path, session)) for path in traces if path]
        yield Runtime(engines, session, (*files, *telemetry.sinks), telemetry.notes)
