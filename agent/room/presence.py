"""The agent's being in a room: how it enters, who is there to be answered, and why it is no longer there.

Every engine that holds conversations in rooms shares it. An event of the room is only a reason to look at once at how
things stand; it knows no audio and no turn.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from enum import StrEnum

from livekit import rtc
from livekit.agents.types import ATTRIBUTE_AGENT_NAME
from livekit.rtc.room import EventTypes

from agent.room.access import Credentials, entry_error
from agent.room.linked_participant import LinkedParticipant
from agent.setup.room_settings import RoomSettings
from pipelines.events import Clock

log = logging.getLogger(__name__)

PERSONS = (
    rtc.ParticipantKind.PARTICIPANT_KIND_STANDARD,
    rtc.ParticipantKind.PARTICIPANT_KIND_SIP,
    rtc.ParticipantKind.PARTICIPANT_KIND_CONNECTOR,
)
_LOOK_S = 0.2  # how often it is looked even if nothing was told
_CONNECT_TIMEOUT_S = 10.0
_LEAVE_TIMEOUT_S = 3.0
_EVENTS: tuple[EventTypes, ...] = (
    "participant_connected",
    "participant_disconnected",
    "participant_attributes_changed",
    "track_published",
    "track_unpublished",
    "track_subscribed",
    "track_unsubscribed",
    "track_muted",
    "track_unmuted",
    "reconnected",
    "disconnected",
)


class Ending(StrEnum):
    """Why the agent is no longer in the room."""

    LEFT = "it was told to leave"
    EMPTY = "nobody is left to answer"
    REPLACED = "a newer agent has come"
    CLOSED = "the room was closed, or the agent removed from it"
    LOST = "the connection was lost"


_REASONS: dict[int, Ending] = {
    rtc.DisconnectReason.ROOM_CLOSED: Ending.EMPTY,  # LiveKit closes a room that only agents are in
    rtc.DisconnectReason.ROOM_DELETED: Ending.CLOSED,
    rtc.DisconnectReason.PARTICIPANT_REMOVED: Ending.CLOSED,
    rtc.DisconnectReason.DUPLICATE_IDENTITY: Ending.CLOSED,
}


class Presence:
    """One stay in one room. `leaving` is set by `leave`; `tell` takes lines for people.

    `patient`: it does not go because nobody is there.
    """

    def __init__(self, settings: RoomSettings, clock: Clock, tell: Callable[[str], None], patient: bool) -> None:
        self.room = rtc.Room()
        self.leaving = False
        self.link = LinkedParticipant(settings.participant, settings.absent_s, clock())
        self._clock = clock
        self._tell = tell
        self._patient = patient
        self._look = asyncio.Event()
        self._lost: int | None = None  # the reason, once the room is gone

    def leave(self) -> None:
        """Go as soon as nothing is left to say."""
        self.leaving = True
        self.look()

    def look(self) -> None:
        """Something has changed: do not wait for the next look."""
        self._look.set()

    @asynccontextmanager
    async def inside(self, credentials: Credentials, *, auto_subscribe: bool) -> AsyncIterator[None]:
        """Be in the room for as long as the block. Raises InputError and ServiceError at the door."""
        room = self.room
        room.on("disconnected", self._note_loss)
        room.on("reconnecting", lambda: self._tell("the connection to the room is interrupted"))
        room.on("reconnected", lambda: self._tell("the connection to the room is back"))
        for name in _EVENTS:
            room.on(name, lambda *_: self.look())
        options = rtc.RoomOptions(auto_subscribe=auto_subscribe, connect_timeout=_CONNECT_TIMEOUT_S)
        try:
            await room.connect(credentials.url, credentials.token, options)
        except Exception as error:
            raise entry_error(error, credentials.url) from None
        try:
            yield
        finally:
            try:
                async with asyncio.timeout(_LEAVE_TIMEOUT_S):
                    await room.disconnect()
            except Exception as error:  # it is gone anyway
                log.info("leaving the room: %r", error)

    async def wait(self) -> None:
        """Until it is time to look again."""
        try:
            async with asyncio.timeout(_LOOK_S):
                await self._look.wait()
        except TimeoutError:
            return
        self._look.clear()

    def ending(self, *, busy: bool) -> Ending | None:
        """Why to go now; None to stay. `busy`: something is still to be said, so one that leaves stays for now."""
        if self._lost is not None:
            return Ending.LEFT if self.leaving else _REASONS.get(self._lost, Ending.LOST)
        persons = [one.identity for one in self.room.remote_participants.values() if one.kind in PERSONS]
        self.link.update(persons, self._clock())
        replaced = self._is_replaced()
        self.leaving = self.leaving or replaced
        if self.leaving and not busy:
            return Ending.REPLACED if replaced else Ending.LEFT
        return Ending.EMPTY if self.link.is_over(self._clock()) and not self._patient else None

    def _note_loss(self, reason: int) -> None:
        self._lost = reason

    def _is_replaced(self) -> bool:
        """Whether another worker has sent an agent of this name, for it took us for dead: the newer one stays."""
        mine = self.room.local_participant
        name = mine.attributes.get(ATTRIBUTE_AGENT_NAME)
        return name is not None and any(
            other.kind == rtc.ParticipantKind.PARTICIPANT_KIND_AGENT
            and other.attributes.get(ATTRIBUTE_AGENT_NAME) == name
            and (other.joined_at, other.identity) > (mine.joined_at, mine.identity)
            for other in self.room.remote_participants.values()
        )
