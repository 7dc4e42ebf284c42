"""`quickturn room join`: the agent enters one room from this machine and stays until the room ends or Ctrl-C.

A connection that is lost is sought again. It knows nothing of workers and dispatch.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from agent.config import Config
from agent.conversation import Document
from agent.exports.telemetry import TurnSink, open_telemetry
from agent.live_console import plain_lines
from agent.llm_sim import until_told_to_stop
from agent.rig import Rig, open_rig
from agent.room.access import LiveKit, Seat
from agent.room.session import Ending, RoomSession
from agent.trace_file import TraceFile, session_line
from pipelines.errors import ServiceError
from pipelines.session import SessionEvent

_WAITS_S = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0)  # between attempts to get back into the room


@dataclass(frozen=True, slots=True)
class Join:
    """What is asked for: the first of `llms` answers until somebody in the room says otherwise."""

    config: Config
    llms: Sequence[str]
    seat: Callable[[], Seat]
    """A fresh one for each attempt, since a token runs out."""
    room: str
    trace: Path | None = None
    server: LiveKit | None = None
    """What is asked first, before models are loaded; None where a token says nothing but which door it opens."""


async def join(wanted: Join) -> None:
    """Stay in the room. Raises InputError, and ServiceError where the room or a model cannot be reached."""
    if wanted.server is not None:
        await wanted.server.check()
    async with AsyncExitStack() as stack:
        rig = await stack.enter_async_context(open_rig(wanted.config, wanted.llms, live=True))
        telemetry = stack.enter_context(open_telemetry(wanted.config.telemetry))
        traces = [stack.enter_context(TraceFile(wanted.trace, session_line(rig)))] if wanted.trace else []
        for note in (*rig.notes, *telemetry.notes):
            _say(note)
        await _stay(wanted, rig, [*traces, *telemetry.sinks])


async def _stay(wanted: Join, rig: Rig, sinks: Sequence[TurnSink]) -> None:
    stopping = asyncio.create_task(until_told_to_stop(), name="stop")
    session: RoomSession | None = None
    attempt = 0
    try:
        while True:
            history = session.history if session else ()
            session = RoomSession(rig, wanted.llms, sinks, history=history, tell=_say, on_event=_show)
            staying = asyncio.create_task(session.run(wanted.seat()), name="room")
            ready = asyncio.create_task(_tell_ready(session, wanted.room), name="ready")
            try:
                await asyncio.wait([staying, stopping], return_when=asyncio.FIRST_COMPLETED)
                if stopping.done():
                    session.leave()
                ending = await staying
            except ServiceError as error:
                if not attempt:
                    raise  # it was never there
                ending = Ending.LOST
                _say(str(error))
            finally:
                ready.cancel()
            attempt = 0 if session.ready.is_set() else attempt
            if ending is not Ending.LOST or attempt == len(_WAITS_S):
                _say(f"left the room: {ending}")
                return
            _say(f"{ending}: trying again in {_WAITS_S[attempt]:g} s")
            if (await asyncio.wait([stopping], timeout=_WAITS_S[attempt]))[0]:
                return
            attempt += 1
    finally:
        stopping.cancel()


async def _tell_ready(session: RoomSession, room: str) -> None:
    await session.ready.wait()
    _say(f"in room {room!r}; Ctrl-C leaves it")


def _show(event: SessionEvent, document: Document | None) -> None:
    for line in plain_lines(event, document):
        _say(line)


def _say(line: str) -> None:
    print(line, flush=True)
