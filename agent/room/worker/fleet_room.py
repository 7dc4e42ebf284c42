"""Where the workers of one agent name meet: a LiveKit room of their own, in which only data is sent.

It beats, listens, and says which rooms are to be taken; who decides that is `fleet`. Independent of sounds and
conversations.
"""

import asyncio
import logging
import secrets
from asyncio import TaskGroup
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from livekit import api, rtc

from agent.room.access import Credentials, LiveKit, entry_error
from agent.room.worker.fleet import Fleet, Heartbeat
from pipelines.errors import QuickturnError
from pipelines.events import Clock

log = logging.getLogger(__name__)

PREFIX = "quickturn-fleet"
_BEATS = 4  # within the silence that counts as death: three in a row may be lost
_LOOKS = 4  # at the others, within each beat
_RETRY_S = 2.0
_GATHER_S = 8.0
"""After a connection that was lost, for others too: they come back within seconds of each other, and LiveKit tells of
somebody who publishes no track only every 3 s. Until all can be there, nobody is taken for dead.
"""
_GOODBYE_S = 1.0
_BEAT, _GOODBYE = "quickturn.fleet.beat", "quickturn.fleet.goodbye"
_NOBODY = (
    "quickturn-nobody"  # the agent that LiveKit is to send into the fleet's room: without one it sends the unnamed
)


def fleet_room(agent_name: str) -> str:
    """The room in which the workers of that agent name meet."""
    return f"{PREFIX}-{agent_name}" if agent_name else PREFIX


class FleetRoom:
    """One worker's part in the fleet: `run` until cancelled, `say_goodbye` before.

    `state` gives the rooms that it serves and how many more it would take; `take` is called with each room that it
    must take, and is to have it among its rooms from then on, unless nobody is left in that room; `say` tells people.
    """

    def __init__(
        self,
        livekit: LiveKit,
        agent_name: str,
        silent_s: float,
        state: Callable[[], tuple[tuple[str, ...], int]],
        take: Callable[[str], None],
        say: Callable[[str], None],
        clock: Clock,
    ) -> None:
        self.identity = f"quickturn-worker-{secrets.token_hex(4)}"
        self.fleet = Fleet(silent_s)
        self.name = fleet_room(agent_name)
        self._livekit = livekit
        self._beat_s = silent_s / _BEATS
        self._state = state
        self._take = take
        self._say = say
        self._clock = clock
        self._room: rtc.Room | None = None
        self._changed = asyncio.Event()
        self._gathered_s = 0.0

    async def run(self) -> None:
        """Meet the others, again and again if need be, until cancelled."""
        while True:
            try:
                async with self._joined() as (room, over), TaskGroup() as tasks:
                    parts = [
                        tasks.create_task(self._send_beats(room), name="fleet beats"),
                        tasks.create_task(self._look(room), name="fleet look"),
                    ]
                    await over.wait()
                    for part in parts:
                        part.cancel()
            except QuickturnError as error:
                # No line for people: the worker tells of a server that cannot be reached.
                log.info("the fleet's room: %s", error)
            except Exception:  # conversations must go on without it
                log.exception("the fleet's room")
            await asyncio.sleep(_RETRY_S)

    def tell_now(self) -> None:
        """Our rooms have changed: tell it at once, since we could die before the next beat."""
        self._changed.set()

    async def say_goodbye(self) -> None:
        """So that we are not taken for dead."""
        if (room := self._room) is not None:
            await self._publish(room, _GOODBYE, b"", reliable=True)

    @asynccontextmanager
    async def _joined(self) -> AsyncIterator[tuple[rtc.Room, asyncio.Event]]:
        """The room, and what is set when we are out of it. Raises QuickturnError."""
        room, over = rtc.Room(), asyncio.Event()
        room.on("data_received", self._received)
        room.on("disconnected", lambda *_: over.set())
        room.on("reconnected", self._entered)
        await self._make_room()
        credentials = self._credentials()
        try:
            await room.connect(credentials.url, credentials.token, rtc.RoomOptions(auto_subscribe=False))
        except rtc.ConnectError as error:
            raise entry_error(error, credentials.url, self.name) from None
        self._entered()
        self._room = room
        try:
            yield room, over
        finally:
            self._room = None
            await room.disconnect()

    def _entered(self, *_: object) -> None:
        if self.fleet.others:  # who are known from before; at the beginning, none are
            self._gathered_s = self._clock() + _GATHER_S

    async def _make_room(self) -> None:
        """Made by whoever comes first, so that LiveKit sends no agent into it."""
        async with self._livekit.asked() as client:
            await client.room.create_room(
                api.CreateRoomRequest(
                    name=self.name, empty_timeout=60, agents=[api.RoomAgentDispatch(agent_name=_NOBODY)]
                )
            )

    def _credentials(self) -> Credentials:
        return self._livekit.observer(self.name, self.identity, _NOBODY)

    def _me(self) -> Heartbeat:
        rooms, free = self._state()
        return Heartbeat(self.identity, rooms, free)

    def _received(self, packet: rtc.DataPacket) -> None:
        sender = packet.participant
        # Only who holds the key can be an agent: a person with a token for this room must not send workers about.
        if sender is None or sender.kind != rtc.ParticipantKind.PARTICIPANT_KIND_AGENT:
            return
        beat = Heartbeat.decode(packet.data) if packet.topic == _BEAT else None
        if packet.topic == _GOODBYE:
            self.fleet.left(sender.identity)
        elif beat and beat.worker == sender.identity and self.fleet.heard(beat, self._clock()):
            self._say(f"fleet: {beat.worker} is there too")

    async def _send_beats(self, room: rtc.Room) -> None:
        while True:
            # A change must arrive; of what is repeated, the next one will do.
            news = self._changed.is_set()
            self._changed.clear()
            await self._publish(room, _BEAT, self._me().encode(), reliable=news)
            with suppress(TimeoutError):
                async with asyncio.timeout(self._beat_s):
                    await self._changed.wait()

    async def _look(self, room: rtc.Room) -> None:
        while True:
            before_s = self._clock()
            await asyncio.sleep(self._beat_s / _LOOKS)
            now_s = self._clock()
            connected = room.connection_state == rtc.ConnectionState.CONN_CONNECTED
            stood_still = now_s - before_s > self._beat_s
            if stood_still or not connected or now_s < self._gathered_s:
                self.fleet.deaf(now_s)
                continue
            for beat in self.fleet.dead(now_s):
                self._say(f"fleet: {beat.worker} is dead; it served {', '.join(beat.rooms) or 'no room'}")
            for name in self.fleet.mine(self._me(), now_s):
                self._take(name)

    async def _publish(self, room: rtc.Room, topic: str, data: bytes, *, reliable: bool) -> None:
        try:
            async with asyncio.timeout(_GOODBYE_S):
                await room.local_participant.publish_data(data, reliable=reliable, topic=topic)
        except (rtc.participant.PublishDataError, TimeoutError) as error:  # while it reconnects
            log.info("the fleet's room: %s", error)
