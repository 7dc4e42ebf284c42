"""`quickturn room join`: the agent enters one room from this machine and stays until the room ends or Ctrl-C.

A connection that is lost is sought again, and so is a room that was closed because nobody was in it. Independent of
workers and dispatch.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from agent.exports.telemetry import TurnSink
from agent.live.plain_lines import plain_lines
from agent.room.access import Credentials, LiveKit
from agent.room.presence import Ending
from agent.room.quickturn_room import QuickturnRoom
from agent.room.worker.log import keep_native_log, quieten
from agent.runtime import open_runtime
from agent.setup.config import Config
from agent.setup.engines import Engines
from agent.system.signals import until_told_to_stop
from pipelines.errors import ServiceError
from pipelines.session_events import SessionEvent
from pipelines.stopwatch.record import TurnRecord

# LiveKit closes a room that only agents are in; the next caller makes it anew.
_COMES_BACK = (Ending.LOST, Ending.EMPTY)
_WAITS_S = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0)  # between attempts to get back into the room


@dataclass(frozen=True, slots=True)
class JoinOptions:
    """What is asked for: the first of `llms` answers until the room chooses another."""

    config: Config
    llms: Sequence[str]
    credentials: Callable[[], Credentials]
    """A fresh one for each attempt, since a token runs out."""
    room: str
    trace: Path | None = None
    server: LiveKit | None = None
    """Asked first, before models are loaded; None if there is only a token."""


async def join(wanted: JoinOptions) -> None:
    """Stay in the room. Raises InputError, and ServiceError if the room or a model cannot be reached."""
    quieten()
    if wanted.server is not None:
        await wanted.server.check()
    async with open_runtime(wanted.config, wanted.llms, wanted.trace) as runtime:
        for note in runtime.notes:
            _say(note)
        keep_native_log()
        await _stay(wanted, runtime.engines, runtime.sinks)


async def _stay(wanted: JoinOptions, engines: Engines, sinks: Sequence[TurnSink]) -> None:
    stopping = asyncio.create_task(until_told_to_stop(), name="stop")
    session: QuickturnRoom | None = None
    failures = 0
    try:
        while True:
            history = session.history if session else ()
            session = QuickturnRoom(engines, wanted.llms, sinks, "", history, _say, _show, patient=True)
            ending = await _visit(wanted, session, stopping, first=not failures)
            failures = 1 if session.ready.is_set() else failures + 1
            if ending not in _COMES_BACK or failures > len(_WAITS_S):
                _say(f"left the room: {ending}")
                return
            wait_s = _WAITS_S[failures - 1]
            _say(f"{ending}: entering again in {wait_s:g} s")
            if (await asyncio.wait([stopping], timeout=wait_s))[0]:
                return
    finally:
        stopping.cancel()


async def _visit(wanted: JoinOptions, session: QuickturnRoom, stopping: "asyncio.Task[None]", *, first: bool) -> Ending:
    """One stay. Raises InputError, and ServiceError if the room was never entered."""
    staying = asyncio.create_task(session.run(wanted.credentials()), name="room")
    ready = asyncio.create_task(_tell_ready(session, wanted.room), name="ready")
    try:
        await asyncio.wait([staying, stopping], return_when=asyncio.FIRST_COMPLETED)
        if stopping.done():
            session.leave()
        return await staying
    except ServiceError as error:
        if first:
            raise
        _say(str(error))
        return Ending.LOST
    finally:
        ready.cancel()


async def _tell_ready(session: QuickturnRoom, room: str) -> None:
    await session.ready.wait()
    _say(f"in room {room!r}; Ctrl-C leaves it")


def _show(event: SessionEvent, turn: TurnRecord | None) -> None:
    for line in plain_lines(event, turn):
        _say(line)


def _say(line: str) -> None:
    print(line, flush=True)
