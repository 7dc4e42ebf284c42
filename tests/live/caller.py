"""A scripted participant of a LiveKit room: it speaks recordings on time and keeps all that reaches it, with the time.

All times are seconds of `time.monotonic`, which all processes of a machine share. Independent of turns; what its
ears held is judged in `heard`.
"""

import asyncio
import time
from bisect import bisect_left
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any

from livekit import rtc
from livekit.agents.types import ATTRIBUTE_AGENT_STATE, TOPIC_TRANSCRIPTION

from pipelines.events import Pcm
from tests.live.heard import Frame, Heard
from tests.live.livekit_server import LiveKitServer
from tests.live.room_notes import Attribute, Data, Happening, Text
from tests.live.room_sound import SHORTEST, Microphone, Reception, Said, Settings, listen, reception

_LOOK_S = 0.01
_BEFORE_S = 0.5  # of what came before, to know an onset from a sound that goes on


class Caller:
    """One participant; `joined` makes it. Lists grow for as long as the test runs, which is what they are for."""

    def __init__(self, identity: str, topics: Sequence[str], settings: Settings = SHORTEST) -> None:
        self.identity = identity
        self.room = rtc.Room()
        self.microphone = Microphone(settings)
        self._settings = settings
        self.texts: list[Text] = []
        self.data: list[Data] = []
        self.attributes: list[Attribute] = []
        self.happenings: list[Happening] = []
        self.tracks: dict[str, rtc.RemoteTrack] = {}  # by identity, the latest
        self._frames: dict[str, list[Frame]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        for topic in topics:
            self.room.register_text_stream_handler(topic, self._text_opened)
        self._hear_of_the_room()

    # ------------------------------------------------------------ to the room

    def say(self, pcm: Pcm) -> Said:
        """Say it now, or after what is being said."""
        return self.microphone.say(pcm)

    async def call(self, identity: str, method: str, payload: str, timeout_s: float = 5) -> str:
        """A remote procedure call. Raises rtc.RpcError."""
        return await self.room.local_participant.perform_rpc(
            destination_identity=identity, method=method, payload=payload, response_timeout=timeout_s
        )

    # ------------------------------------------------------------ from the room

    def heard(self, identity: str | None = None, from_s: float = 0.0) -> Heard:
        """What was heard of a participant so far; of the agent if none is named."""
        frames = self._frames.get(self.agent if identity is None else identity, [])
        return Heard(frames[bisect_left(frames, from_s, key=lambda frame: frame.arrived_s) :])

    @property
    def agent(self) -> str:
        """The identity of the agent that is in the room, or was in it last; "" if there was none."""
        present = [p.identity for p in self.room.remote_participants.values() if _is_agent(p)]
        return present[-1] if present else self._last_agent

    def states(self) -> list[tuple[float, str]]:
        """The agent's states over time, as LiveKit's front ends show them."""
        return [(a.at_s, a.value) for a in self.attributes if a.name == ATTRIBUTE_AGENT_STATE]

    def transcripts(self, identity: str) -> list[Text]:
        """The transcription streams of what a participant has said, in the order in which they began."""
        return [text for text in self.texts if text.topic == TOPIC_TRANSCRIPTION and text.identity == identity]

    async def reception(self, identity: str | None = None) -> Reception:
        """How the track of a participant, or of the agent, came through."""
        return await reception(self.tracks[self.agent if identity is None else identity])

    async def until(self, condition: Callable[[], object], timeout_s: float, what: str) -> float:
        """Wait until it holds; returns when that was seen. AssertionError says `what` did not happen."""
        deadline = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < deadline, f"{self.identity} waited {timeout_s:g} s in vain: {what}"
            await asyncio.sleep(_LOOK_S)
        return time.monotonic()

    async def until_heard(self, after_s: float, timeout_s: float, identity: str | None = None) -> float:
        """Wait until something new is audible; returns when it was."""

        def onset_s() -> float | None:
            return self.heard(identity, after_s - _BEFORE_S).onset_after(after_s)

        await self.until(lambda: onset_s() is not None, timeout_s, "something to be heard")
        heard_s = onset_s()
        assert heard_s is not None
        return heard_s

    async def until_quiet(self, for_s: float, timeout_s: float, identity: str | None = None) -> float:
        """Wait until it has been silent for so long; returns when that was so."""

        def quiet() -> bool:
            return not self.heard(identity, time.monotonic() - for_s).sounds()

        return await self.until(quiet, timeout_s, "silence")

    # ------------------------------------------------------------ inside

    def _hear_of_the_room(self) -> None:
        self._last_agent = ""
        room = self.room
        room.on("participant_connected", self._participant_joined)
        room.on("participant_disconnected", lambda p: self._note(p.identity, "left"))
        room.on("track_published", lambda _, p: self._note(p.identity, "published"))
        room.on("track_unpublished", lambda _, p: self._note(p.identity, "unpublished"))
        room.on("track_muted", lambda p, _: self._note(p.identity, "muted"))
        room.on("track_unmuted", lambda p, _: self._note(p.identity, "unmuted"))
        room.on("track_subscribed", self._track_subscribed)
        room.on("participant_attributes_changed", self._attributes_changed)
        room.on("data_received", self._data_received)
        for what in ("reconnecting", "reconnected"):
            room.on(what, lambda what=what: self._note(self.identity, what))
        room.on("disconnected", lambda *_: self._note(self.identity, "disconnected"))

    def _note(self, identity: str, what: str) -> None:
        self.happenings.append(Happening(time.monotonic(), identity, what))

    def _participant_joined(self, participant: rtc.RemoteParticipant) -> None:
        self._note(participant.identity, "joined")
        if _is_agent(participant):
            self._last_agent = participant.identity
        self._attributes_changed(dict(participant.attributes), participant)

    def _track_subscribed(self, track: rtc.RemoteTrack, _: Any, participant: rtc.RemoteParticipant) -> None:
        if track.kind == rtc.TrackKind.KIND_AUDIO:
            self.tracks[participant.identity] = track
            self._start(listen(track, self._frames.setdefault(participant.identity, []), self._settings), "ears")

    def _attributes_changed(self, changed: dict[str, str], participant: rtc.Participant) -> None:
        now_s = time.monotonic()
        self.attributes += [Attribute(now_s, participant.identity, name, value) for name, value in changed.items()]

    def _data_received(self, packet: rtc.DataPacket) -> None:
        identity = packet.participant.identity if packet.participant else ""
        self.data.append(Data(time.monotonic(), identity, packet.topic or "", packet.data))

    def _text_opened(self, reader: rtc.TextStreamReader, identity: str) -> None:
        text = Text(reader.info.topic, identity, dict(reader.info.attributes or {}))
        self.texts.append(text)
        self._start(self._read(reader, text), "text")

    async def _read(self, reader: rtc.TextStreamReader, text: Text) -> None:
        try:
            async for piece in reader:
                text.pieces.append((time.monotonic(), piece))
        except ConnectionError as error:
            text.broken = str(error)
        text.attributes = dict(reader.info.attributes or {})
        text.ended_s = time.monotonic()

    def _start(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.create_task(work, name=f"{self.identity}: {name}")
        self._tasks.add(task)

    async def enter(self, url: str, token: str, *, speaking: bool) -> None:
        """Join; afterwards those who were there already count as having joined."""
        await self.room.connect(url, token)
        for participant in self.room.remote_participants.values():
            self._participant_joined(participant)
            for _ in participant.track_publications:
                self._note(participant.identity, "published")
        if speaking:
            await self.microphone.publish(self.room.local_participant)
            self._start(self.microphone.run(), "microphone")

    async def leave(self) -> None:
        """End what runs, then the connection. An error of what ran is raised."""
        for task in self._tasks:
            task.cancel()
        ends = await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.room.disconnect()
        for end in ends:
            if isinstance(end, Exception):
                raise end


def _is_agent(participant: rtc.RemoteParticipant) -> bool:
    return participant.kind == rtc.ParticipantKind.PARTICIPANT_KIND_AGENT


@asynccontextmanager
async def joined(
    server: LiveKitServer,
    room: str,
    identity: str = "caller",
    *,
    speaking: bool = True,
    topics: Sequence[str] = (TOPIC_TRANSCRIPTION,),
    token: str | None = None,
    settings: Settings = SHORTEST,
) -> AsyncIterator[Caller]:
    """A participant that is in the room for as long as the block; `topics` are those whose text streams it keeps."""
    caller = Caller(identity, topics, settings)
    await caller.enter(server.url, token or server.token(room, identity), speaking=speaking)
    try:
        yield caller
    finally:
        await caller.leave()
