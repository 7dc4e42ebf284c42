"""The start of every live command: engines loaded, models connected, trace and telemetry open; closed in order."""

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
    """What a live command runs on."""

    engines: Engines
    session: SessionRecord
    """The first line of every trace."""
    sinks: tuple[TurnSink, ...]
    """Where turns go as they finish: the trace first, if there is one."""
    notes: tuple[str, ...]
    """A line for the user about each open telemetry sink."""


@asynccontextmanager
async def open_runtime(config: Config, llms: Sequence[str], trace: Path | None) -> AsyncIterator[Runtime]:
    """Open everything; `trace` is the file that turns are written to, None for none.

    Raises InputError, and ServiceError if a model cannot be reached.
    """
    async with AsyncExitStack() as stack:
        engines = await stack.enter_async_context(open_engines(config, llms))
        session = session_line(engines)
        telemetry = stack.enter_context(open_telemetry(config.telemetry))
        traces = [stack.enter_context(TraceFile(trace, session))] if trace else []
        yield Runtime(engines, session, (*traces, *telemetry.sinks), telemetry.notes)
