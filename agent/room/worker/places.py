"""The rooms that this process serves: each entered, entered again where the connection was lost, and left.

What holds the conversation is made by an `Enter`, so this module knows neither models nor audio; nor how the rooms
came to be ours.
"""

import asyncio
import logging
import secrets
import time
from asyncio import Task
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from livekit import api

from agent.room.access import Credentials, LiveKit
from agent.room.presence import Ending
from agent.room.worker.handover import handover
from pipelines.errors import InputError, QuickturnError, ServiceError
from pipelines.events import ChatMessage

log = logging.getLogger(__name__)

_RETURNS_S = (0.3, 1.0, 2.0, 4.0, 8.0, 15.0)  # between attempts to get back into a room
_PERSONS = (api.ParticipantInfo.STANDARD, api.ParticipantInfo.SIP, api.ParticipantInfo.CONNECTOR)
_LASTED_S = 30.0  # a stay that was more than an attempt


@dataclass(frozen=True, slots=True)
class Arrival:
    """What a stay in a room begins with: what the agent says first, "" for nothing of its own, and what was said
    before.
    """

    room: str
    opening: str = ""
    history: Sequence[ChatMessage] = ()


class RoomSession(Protocol):
    """One stay in one room. `ready` is set once the agent is there and listens."""

    ready: asyncio.Event

    @property
    def history(self) -> Sequence[ChatMessage]:
        """What was said so far."""
        ...

    async def run(self, credentials: Credentials) -> Ending:
        """Until it ends. Raises InputError and ServiceError at the door."""
        ...

    def leave(self) -> None:
        """Go once the answer under way is said."""
        ...


Enter = Callable[[Arrival], RoomSession]


@dataclass(slots=True, eq=False)
class Place:
    """A room that is served; `sid` tells two rooms of one name apart and is "" if it is not known."""

    room: str
    sid: str
    began_s: float
    session: RoomSession
    task: "Task[object] | None"
    ending: Ending | None = None


class Places:
    """The rooms; `say` takes lines for people. Its coroutines belong to the loop that the conversations run on."""

    def __init__(self, livekit: LiveKit, agent_name: str, enter: Enter, say: Callable[[str], None]) -> None:
        self.all: set[Place] = set()
        self._livekit = livekit
        self._agent_name = agent_name
        self._enter = enter
        self._say = say
        self._closing = False

    def rooms(self) -> list[str]:
        """Their names."""
        return [place.room for place in self.all]

    def began(self) -> list[float]:
        """When each began, by the loop's clock. It may be asked from any thread."""
        return [place.began_s for place in tuple(self.all)]

    def close(self) -> None:
        """Get back into no room from now on."""
        self._closing = True

    async def serve(
        self, arrival: Arrival, sid: str = "", credentials: Credentials | None = None, asked_s: float = 0.0
    ) -> None:
        """Serve this room to the end, which no fault of one room takes from the others. `asked_s` is when it was
        asked for (Unix time); without a credentials, one of our own is taken.
        """
        clock = asyncio.get_running_loop().time
        place = Place(arrival.room, sid, clock(), self._enter(arrival), asyncio.current_task())
        self.all.add(place)
        telling = asyncio.create_task(self._tell_ready(place, asked_s or time.time()), name="ready")
        try:
            place.ending = await self._stay(place, credentials or self._credentials(arrival.room))
            self._say(f"room {place.room!r} is over: {place.ending}")
        except QuickturnError as error:
            self._say(f"room {place.room!r} cannot be served: {error}")
        finally:
            telling.cancel()
            self.all.discard(place)

    async def awaits_us(self, room: str) -> bool:
        """Whether a person is in that room; if LiveKit cannot be asked, yes."""
        try:
            async with self._livekit.asked() as client:
                answer = await client.room.list_participants(api.ListParticipantsRequest(room=room))
        except QuickturnError as error:
            log.info("room %r: %s", room, error)
            return True
        return any(one.kind in _PERSONS for one in answer.participants)

    async def see_off(self, place: Place, timeout_s: float, *, others: bool) -> None:
        """Leave that room once the answer under way is said, or after `timeout_s`. If there are other workers, the
        user goes on with one of them, who is told what was said.
        """
        assert place.task is not None
        place.session.leave()
        await asyncio.wait([place.task], timeout=timeout_s)
        if cut := not place.task.done():
            self._say(f"room {place.room!r} is left in the middle of an answer, after {timeout_s:g} s")
            place.task.cancel()
            await asyncio.wait([place.task])
        if not (cut or place.ending is Ending.LEFT) or not await self.awaits_us(place.room):
            return
        if others:
            await self._hand_over(place)
        else:
            self._say(f"room {place.room!r} is left alone: no other worker is known that has a place")

    async def _hand_over(self, place: Place) -> None:
        wanted = api.CreateAgentDispatchRequest(
            agent_name=self._agent_name, room=place.room, metadata=handover(place.session.history)
        )
        try:
            async with self._livekit.asked() as client:
                await client.agent_dispatch.create_dispatch(wanted)
        except QuickturnError as error:
            self._say(f"room {place.room!r} cannot be handed over: {error}")
        else:
            self._say(f"room {place.room!r} is handed over to another worker")

    async def _stay(self, place: Place, credentials: Credentials) -> Ending:
        """Stay, and come back while somebody waits there: after a lost connection, and after a fault of ours."""
        clock, waits = asyncio.get_running_loop().time, iter(_RETURNS_S)
        while True:
            entered_s = clock()
            try:
                ending = await place.session.run(credentials)
            except ServiceError as error:
                ending = Ending.LOST
                self._say(f"room {place.room!r}: {error}")
            except InputError:
                raise
            except Exception:
                ending = Ending.LOST
                log.exception("room %r failed", place.room)
            if clock() - entered_s > _LASTED_S:
                waits = iter(_RETURNS_S)
            wait_s = next(waits, None)
            if ending is not Ending.LOST or self._closing or wait_s is None:
                return ending
            await asyncio.sleep(wait_s)
            if not await self.awaits_us(place.room):
                return ending
            place.session = self._enter(Arrival(place.room, "", place.session.history))
            credentials = self._credentials(place.room)

    def _credentials(self, room: str) -> Credentials:
        return self._livekit.credentials(room, f"agent-{secrets.token_hex(6)}", self._agent_name)

    async def _tell_ready(self, place: Place, asked_s: float) -> None:
        await place.session.ready.wait()
        self._say(f"room {place.room!r} begins: ready {(time.time() - asked_s) * 1_000:.0f} ms after it was asked for")
