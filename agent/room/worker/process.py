"""The worker's process: LiveKit asked whether it lets us in, the models loaded, rooms served until a signal."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from agent.exports.prometheus import TurnMetrics
from agent.exports.telemetry import Numbered, TurnSink
from agent.room.quickturn_room import QuickturnRoom
from agent.room.worker.log import keep_native_log, quieten
from agent.room.worker.places import Arrival, Enter, RoomSession
from agent.room.worker.worker import Registration, Worker
from agent.runtime import open_runtime
from agent.setup.config import Config
from agent.setup.engines import Engines
from agent.system.signals import stop_signals
from pipelines.errors import InputError


class Engine(StrEnum):
    """What holds the conversations."""

    QUICKTURN = "quickturn"
    AGENT_SESSION = "agent-session"


@dataclass(frozen=True, slots=True)
class WorkerOptions:
    """What is asked for: the first of `llms` answers until the room chooses another."""

    config: Config
    llms: Sequence[str]
    registration: Registration
    engine: Engine
    trace: Path | None = None
    set_up: str = "best"
    """How AgentSession takes turns, by its name in `SET_UPS`."""


async def work(wanted: WorkerOptions) -> bool:
    """Serve rooms until told to stop; whether no conversation was cut.

    Raises InputError, and ServiceError if LiveKit or a model cannot be reached.
    """
    quieten()
    await wanted.registration.livekit.check()  # before the seconds that models take to load
    if wanted.engine is Engine.AGENT_SESSION:
        from agent.room.agent_session.held_session import SET_UPS, preload

        if wanted.set_up not in SET_UPS:
            raise InputError(f"--set-up {wanted.set_up!r} is not one of: {', '.join(SET_UPS)}")
        preload()  # 3 s that the first room would wait for
    # LiveKit would load its own models into every process; our engine has its own.
    os.environ.setdefault("LIVEKIT_AGENTS_PRELOAD_LOCAL_INFERENCE", "0")
    async with open_runtime(wanted.config, wanted.llms, wanted.trace) as runtime:
        for note in runtime.notes:
            _say(note)
        keep_native_log()
        worker = Worker(wanted.registration, _enter(wanted, runtime.engines, (Numbered(runtime.sinks),)), _say)
        for sink in runtime.sinks:
            if isinstance(sink, TurnMetrics):
                _show_load(worker, sink)
        with stop_signals() as (told, at_once):
            return await worker.run(told, at_once)


def _enter(wanted: WorkerOptions, engines: Engines, sinks: Sequence[TurnSink]) -> Enter:
    llms = wanted.llms

    def quickturn(arrival: Arrival) -> RoomSession:
        def tell(line: str) -> None:
            _say(f"room {arrival.room!r}: {line}")

        return QuickturnRoom(engines, llms, sinks, arrival.opening, arrival.history, tell)

    def agent_session(arrival: Arrival) -> RoomSession:
        from agent.room.agent_session.agent_session_room import AgentSessionRoom
        from agent.room.agent_session.held_session import SET_UPS

        return AgentSessionRoom(engines, llms, sinks, arrival.opening, arrival.history, SET_UPS[wanted.set_up])

    return quickturn if wanted.engine is Engine.QUICKTURN else agent_session


def _show_load(worker: Worker, metrics: TurnMetrics) -> None:
    metrics.gauge("quickturn_room_sessions", "Rooms that are served.", lambda: len(worker.places.all))
    metrics.gauge(
        "quickturn_room_load",
        "Share of what this worker can serve in real time that is in use; from 1 on it takes no further room.",
        lambda: worker.admission.load,
    )


def _say(line: str) -> None:
    print(line, flush=True)
