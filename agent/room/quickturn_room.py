"""Quickturn's own engine in one room: whom it answers, what it hears and says.

Whatever happens in a room, `_settle` looks at how things stand and puts them right. So a track that is muted, taken
back and published anew, a participant who comes back, and a connection that was lost and found again need no code of
their own. Each participant who is answered has a conversation of their own.
"""

import asyncio
from asyncio import Task, TaskGroup
from collections.abc import Callable, Sequence
from contextlib import suppress

from livekit import rtc

from agent.exports.telemetry import TurnSink
from agent.live.conversation import Conversation
from agent.room.access import Credentials
from agent.room.captions import Captions, CaptionSpeaker
from agent.room.controls import RoomControls
from agent.room.input import RoomInput
from agent.room.output import RoomOutput
from agent.room.presence import Ending, Presence
from agent.setup.engines import Engines
from pipelines.events import ChatMessage
from pipelines.modes import Mode
from pipelines.session_events import SessionEvent
from pipelines.stopwatch.record import TurnRecord

_SUBSCRIBED_S = 5.0  # the opening waits so long for somebody to listen
_FLIGHT_S = 0.3  # the last words are still on their way


class QuickturnRoom:
    """One stay in one room; `run` once.

    `tell` hears, in a line, what a person at the console may want to know. A `patient` one stays though nobody is
    there.
    """

    def __init__(
        self,
        engines: Engines,
        llms: Sequence[str],
        sinks: Sequence[TurnSink],
        opening: str = "",
        history: Sequence[ChatMessage] = (),
        tell: Callable[[str], None] = lambda line: None,
        on_event: Callable[[SessionEvent, TurnRecord | None], None] = lambda event, turn: None,
        patient: bool = False,
    ) -> None:
        self.ready = asyncio.Event()
        self.conversation: Conversation | None = None
        self._engines = engines
        self._llms = llms
        self._sinks = sinks
        self._opening = opening or ("" if history else engines.config.room.greeting)
        self._earlier: Sequence[ChatMessage] = history
        self._tell = tell
        self._on_event = on_event
        self._presence = Presence(engines.config.room, engines.clock, tell, patient)
        self._room = self._presence.room
        self._ear = RoomInput(engines.clock)
        self._output = RoomOutput(engines.clock)
        self._heard: rtc.Track | None = None
        self._answering: str | None = None
        self._was_present = False
        self._conversing: Task[None] | None = None
        self._captions: Captions | None = None

    @property
    def history(self) -> list[ChatMessage]:
        """What was said so far with the one who is answered."""
        return self.conversation.history if self.conversation else list(self._earlier)

    def leave(self) -> None:
        """Go once the question under way is answered."""
        self._presence.leave()

    async def run(self, credentials: Credentials) -> Ending:
        """Stay until the room ends, nobody is left, or `leave`. Raises InputError and ServiceError at the door."""
        async with self._presence.inside(credentials, auto_subscribe=False), TaskGroup() as tasks:
            return await self._stay(tasks, await self._publish())

    async def _stay(self, tasks: TaskGroup, voice: rtc.LocalTrackPublication) -> Ending:
        controls = RoomControls(self._room.local_participant, self._llms)
        serving = [
            tasks.create_task(self._output.run(), name="playout"),
            tasks.create_task(controls.run(), name="controls"),
        ]
        self.ready.set()
        try:
            while (ending := self._presence.ending(busy=self._answer_under_way())) is None:
                await self._settle(tasks, controls, voice)
                await self._presence.wait()
            await asyncio.sleep(_FLIGHT_S if ending in (Ending.LEFT, Ending.REPLACED) else 0.0)
        finally:
            for part in [*serving, *([self._conversing] if self._conversing else [])]:
                part.cancel()
            await self._ear.close()
        return ending

    async def _publish(self) -> rtc.LocalTrackPublication:
        track = rtc.LocalAudioTrack.create_audio_track("agent", self._output.source)
        options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
        return await self._room.local_participant.publish_track(track, options)

    # ------------------------------------------------------------ how things stand

    def _answer_under_way(self) -> bool:
        conversation = self.conversation
        return conversation is not None and (conversation.current is not None or conversation.opening is not None)

    async def _settle(self, tasks: TaskGroup, controls: RoomControls, voice: rtc.LocalTrackPublication) -> None:
        link = self._presence.link
        if link.linked != self._answering:
            await self._answer(link.linked, tasks, controls, voice)
        elif self._was_present != link.present:
            self._tell(f"{self._answering} has {'come back' if link.present else 'left'}")
        self._was_present = link.present
        microphone = self._microphone()
        if microphone is not None and not microphone.subscribed:
            microphone.set_subscribed(True)
        if self._captions is not None and microphone is not None:
            self._captions.user = CaptionSpeaker(self._captions.user.identity, microphone.sid)
        # One who leaves answers the question under way, and listens to no other.
        is_deaf = self._presence.leaving and (self.conversation is None or self._committed())
        track = None if is_deaf or microphone is None else microphone.track
        if track is not self._heard:
            self._heard = track
            self._ear.listen_to(track)

    def _committed(self) -> bool:
        current = self.conversation.current if self.conversation else None
        return current is None or current.committed_s is not None

    def _microphone(self) -> rtc.RemoteTrackPublication | None:
        """The track of the one who is answered."""
        person = self._room.remote_participants.get(self._answering or "")
        tracks = person.track_publications.values() if person else ()
        sounds = [one for one in tracks if one.kind == rtc.TrackKind.KIND_AUDIO]
        spoken = (one for one in sounds if one.source == rtc.TrackSource.SOURCE_MICROPHONE)
        other = (one for one in sounds if one.source != rtc.TrackSource.SOURCE_SCREENSHARE_AUDIO)
        return next(spoken, next(other, None))

    # ------------------------------------------------------------ the conversation

    async def _answer(
        self, identity: str | None, tasks: TaskGroup, controls: RoomControls, voice: rtc.LocalTrackPublication
    ) -> None:
        """Hold a conversation with this participant from now on, and no other."""
        if self._conversing is not None:
            self._conversing.cancel()
            await asyncio.wait([self._conversing])
            self._output.clear()
        self._answering, self._conversing = identity, None
        if identity is None:
            return
        self._tell(f"answering {identity}")
        local = self._room.local_participant
        captions = Captions(
            local, CaptionSpeaker(local.identity, voice.sid), CaptionSpeaker(identity, ""), self._engines.clock
        )

        def on_event(event: SessionEvent, turn: TurnRecord | None) -> None:
            captions.on_event(event)
            if turn is not None:
                controls.finished(turn)
            self._on_event(event, turn)
            self._presence.look()

        mode, engines = Mode(self._engines.config.agent.mode), self._engines
        opening = self._opening
        conversation = Conversation(
            engines,
            self._llms[0],
            mode,
            self._output,
            on_event,
            self._sinks,
            opening,
            self._earlier,
            room=self._room.name,
            participant=identity,
        )
        self._opening, self._earlier = (
            engines.config.room.greeting,
            (),
        )  # what was said before is nobody else's business
        self.conversation, self._captions = conversation, captions
        await controls.show(conversation)
        heard_by = voice if opening else None
        converse = self._converse(conversation, captions, heard_by)
        self._conversing = tasks.create_task(converse, name=f"conversation@{identity}")

    async def _converse(
        self, conversation: Conversation, captions: Captions, heard_by: rtc.LocalTrackPublication | None
    ) -> None:
        if heard_by is not None:
            with suppress(TimeoutError):  # one who does not listen may still talk
                async with asyncio.timeout(_SUBSCRIBED_S):
                    await heard_by.wait_for_subscription()
        async with TaskGroup() as tasks:
            tasks.create_task(captions.run(conversation), name="captions")
            await conversation.run(self._ear.frames())
