"""`quickturn room worker`: LiveKit sends this process into rooms, and it serves them over one set of models.

livekit-agents' AgentServer speaks to LiveKit: it registers, answers for our load, is assigned rooms, reconnects. It
gives each room a thread with a loop of its own. That thread only waits: all conversations run on the main loop, where
the models are. Independent of turns and audio.
"""

import asyncio
import contextvars
import errno
import logging
import os
import time
from asyncio import TaskGroup
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from livekit.agents import AgentServer, JobContext, JobExecutorType, JobRequest
from livekit.protocol.agent import Job

from agent.room.access import Credentials, LiveKit
from agent.room.worker.admission import Admission
from agent.room.worker.fleet_room import PREFIX, FleetRoom
from agent.room.worker.handover import handed_over
from agent.room.worker.log import connection_lost_calls
from agent.room.worker.places import Arrival, Enter, Place, Places
from agent.setup.room_settings import RoomSettings
from agent.system.cores import cores
from pipelines.errors import InputError

log = logging.getLogger(__name__)

_EVER = 1_000_000  # attempts to get back to a server that is away; with LiveKit's backoff of 10 s, that is for ever
_COMING_S = 15.0  # a room that was accepted and has not begun by then never will
_CLOSE_S = 10.0
_LOOK_S = 0.5
_IDLE_THREADS = 8
_FREE_AGAIN_S = 5.0  # a load that goes up and down around the limit is told once


@dataclass(frozen=True, slots=True)
class Registration:
    """Where and as what the worker stands; `health_port` 0 is any free one."""

    livekit: LiveKit
    agent_name: str
    settings: RoomSettings
    health_port: int


class Worker:
    """Serves rooms with what `enter` makes; `say` takes lines for people. `run` once."""

    def __init__(self, registration: Registration, enter: Enter, say: Callable[[str], None]) -> None:
        self._registration = registration
        self._say = say
        self._loop = asyncio.get_running_loop()
        self._context = contextvars.copy_context()
        self.places = Places(registration.livekit, registration.agent_name, enter, say)
        self.admission = Admission(registration.settings, self.places.began, self._loop.time, cores())
        self._fleet = FleetRoom(
            registration.livekit,
            registration.agent_name,
            registration.settings.takeover_after_s,
            self._state,
            self._take,
            say,
            self._loop.time,
        )
        self._server = self._make_server()
        self._tasks: TaskGroup | None = None
        self._coming: dict[str, tuple[str, float]] = {}  # room and moment, by the job that was accepted
        self._taking: set[str] = set()
        self._draining = False
        self._lost = False

    def _make_server(self) -> AgentServer:
        livekit, settings = self._registration.livekit, self._registration.settings
        # Each thread's loop would be watched by one more thread, both woken 50 times a second: `admission` measures the
        # only loop that matters.
        os.environ.setdefault("LIVEKIT_AGENTS_LOOP_BLOCK_WARN_MS", "0")
        server = AgentServer(
            job_executor_type=JobExecutorType.THREAD,
            multiprocessing_context="spawn",  # none is started: only to keep it from preparing for it
            ws_url=livekit.url,
            api_key=livekit.api_key,
            api_secret=livekit.api_secret,
            load_fnc=lambda: self.admission.load,
            load_threshold=1.0,
            # Threads that wait for a room. LiveKit takes an empty worker's first room for 1 / this of its capacity:
            # with fewer, rooms that come at the same moment are refused.
            num_idle_processes=min(settings.sessions, _IDLE_THREADS),
            max_retry=_EVER,
            host="" if self._registration.health_port else "0.0.0.0",  # "" has two: IPv6's free port is not IPv4's
            port=self._registration.health_port,
        )
        server.rtc_session(self._job, agent_name=self._registration.agent_name, on_request=self._requested)
        server.on("worker_registered", self._on_registered)
        return server

    async def run(self, told: asyncio.Event, at_once: asyncio.Event) -> bool:
        """Serve until `told`, then until every answer under way is said, or `at_once`; whether nothing was cut.

        Raises InputError if the health port is taken.
        """
        with connection_lost_calls(self._on_lost):
            async with TaskGroup() as tasks:
                self._tasks = tasks
                parts = [
                    tasks.create_task(self._run_server(), name="worker"),
                    tasks.create_task(self.admission.run(), name="admission"),
                    tasks.create_task(self._tell_when_full(), name="full"),
                ]
                if self._registration.settings.fleet:
                    parts.append(tasks.create_task(self._fleet.run(), name="fleet"))
                await told.wait()
                whole = await self._drain(at_once)
                for part in parts:
                    part.cancel()
        return whole

    async def _run_server(self) -> None:
        try:
            await self._server.run()
        except OSError as error:
            why = "it is in use" if error.errno == errno.EADDRINUSE else error.strerror
            raise InputError(
                f"cannot listen on port {self._registration.health_port}: {why}; choose another with --health-port, or "
                "--health-port 0 for any free one"
            ) from None

    # ------------------------------------------------------------ rooms that LiveKit sends us into

    async def _requested(self, request: JobRequest) -> None:
        """LiveKit asks whether we go into a room."""
        room, served = request.room.name, self._served(request.room.name)
        if room.startswith(PREFIX):
            await request.reject(terminate=True)  # nobody talks there
        elif served is not None and served.sid == request.room.sid:
            self._say(f"room {room!r} is asked for again: an agent is there already")
            await request.reject(terminate=True)
        elif why := self._why_not():
            self._say(f"room {room!r} is refused: {why}")
            await request.reject(terminate=False)
        else:
            self._coming[request.id] = room, self._loop.time()
            self._fleet.tell_now()
            try:
                await request.accept()
            except Exception as error:
                self._coming.pop(request.id, None)
                self._say(f"room {room!r} was accepted, but never came: {error!r}")

    def _why_not(self) -> str:
        """Why we take no further room, "" if we do. LiveKit's own count of our load is half a moment old."""
        since_s = self._loop.time() - _COMING_S
        self._coming = {job: coming for job, coming in self._coming.items() if coming[1] > since_s}
        if self._draining:
            return "this worker is about to stop"
        if self._free() < 1:
            return f"all {self._registration.settings.sessions} places are taken"
        return self.admission.why if self.admission.load >= 1 else ""

    async def _job(self, context: JobContext) -> None:
        """The life of a job's thread: wait for the conversation, which is on the main loop."""
        # The context would connect a room of its own, on this thread's loop. We need only what it would do that with,
        # which it does not publish; told that it is connected, it does not warn.
        info = context._info
        context._on_connect()
        job = self._serve_job(info.job, Credentials(info.url, info.token), info.received_at)
        # In the main loop's context: in this thread's, an AgentSession would find the job, and enter the room by it.
        serving = self._context.copy().run(asyncio.run_coroutine_threadsafe, job, self._loop)
        try:
            await asyncio.wrap_future(serving)  # which a cancel here cancels too
        finally:
            context.shutdown("the conversation is over")

    async def _serve_job(self, job: Job, credentials: Credentials, asked_s: float) -> None:
        self._coming.pop(job.id, None)
        room = job.room.name
        history = handed_over(job.metadata)
        if history is None and (before := self._served(room)) is not None:
            history = tuple(before.session.history)  # LiveKit was started anew, and the room with it
        await self.places.serve(Arrival(room, "", history or ()), job.room.sid, credentials, asked_s)

    def _served(self, room: str) -> Place | None:
        return next((place for place in self.places.all if place.room == room), None)

    # ------------------------------------------------------------ rooms of workers that are dead

    def _state(self) -> tuple[tuple[str, ...], int]:
        rooms = {*self.places.rooms(), *self._taking, *(room for room, _ in self._coming.values())}
        return tuple(sorted(rooms)), 0 if self._why_not() else self._free()

    def _free(self) -> int:
        used = max(len(self.places.all), len({*self.places.rooms(), *self._taking}))
        return self._registration.settings.sessions - used - len(self._coming)

    def _take(self, room: str) -> None:
        if self._tasks is not None and room not in self._taking:
            self._taking.add(room)
            self._fleet.tell_now()
            self._tasks.create_task(self._take_over(room, time.time()), name=f"takeover of {room}")

    async def _take_over(self, room: str, asked_s: float) -> None:
        try:
            if await self.places.awaits_us(room):
                self._say(f"room {room!r} is taken over")
                await self.places.serve(Arrival(room, self._registration.settings.takeover_line), asked_s=asked_s)
            else:
                self._fleet.fleet.settled(room)
        finally:
            self._taking.discard(room)

    # ------------------------------------------------------------ the end

    async def _drain(self, at_once: asyncio.Event) -> bool:
        """Whether every conversation left by itself."""
        assert self._tasks is not None
        self._draining = True
        self.places.close()
        count = len(self.places.all)
        self._say(f"stopping: no new rooms, {count} to leave" + (" (once more: at once)" if count else ""))
        draining = self._tasks.create_task(self._server.drain(timeout=None), name="drain")  # tells LiveKit first
        leaving = self._tasks.create_task(self._see_all_off(), name="see off")
        hurry = self._tasks.create_task(at_once.wait(), name="at once")
        await asyncio.wait([leaving, hurry], return_when=asyncio.FIRST_COMPLETED)
        whole = leaving.done()
        for place in tuple(self.places.all):
            if place.task is not None:
                place.task.cancel()
        await self._fleet.say_goodbye()
        hurry.cancel()
        leaving.cancel()
        with suppress(TimeoutError):  # threads that hang are left to the process's end
            async with asyncio.timeout(_CLOSE_S):
                await asyncio.wait([draining], timeout=_CLOSE_S / 2)
                draining.cancel()
                await self._server.aclose()
        self._say("stopped" if whole else "stopped at once")
        return whole

    async def _see_all_off(self) -> None:
        timeout_s = self._registration.settings.drain_timeout_s
        seen: set[Place] = set()
        async with TaskGroup() as tasks:
            while self.places.all or self._coming or self._taking:
                for place in self.places.all - seen:  # one may still begin: it had been accepted
                    seen.add(place)
                    see_off = self.places.see_off(place, timeout_s, others=self._fleet.fleet.places > 0)
                    tasks.create_task(see_off, name=f"see off {place.room}")
                await asyncio.sleep(_LOOK_S / 10)
                self._why_not()  # forgets those that never came

    # ------------------------------------------------------------ what people are told

    def _on_registered(self, worker_id: str, _: object) -> None:
        name = f"agent name {self._registration.agent_name!r}" if self._registration.agent_name else "every new room"
        if self._lost:
            self._say(f"LiveKit at {self._registration.livekit.url} is back: registered as {worker_id}")
        else:
            health = f"health at port {self._server.worker_info.http_port}"
            self._say(f"registered at {self._registration.livekit.url} as {worker_id}, for {name}; {health}")
        self._lost = False

    def _on_lost(self) -> None:
        if not self._lost:
            self._say(f"LiveKit at {self._registration.livekit.url} cannot be reached; trying until it can")
        self._lost = True

    async def _tell_when_full(self) -> None:
        full, free_since_s = False, 0.0
        while True:
            await asyncio.sleep(_LOOK_S)
            now_s = self._loop.time()
            if self.admission.load >= 1:
                free_since_s = now_s
                if not full:
                    full = True
                    self._say(f"full: {self.admission.why}")
            elif full and now_s - free_since_s >= _FREE_AGAIN_S:
                full = False
                self._say("there is room again")
