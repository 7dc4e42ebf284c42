"""What LiveKit front ends show of an agent: transcripts on `lk.transcription`, the state in `lk.agent.state`.

They are sent as livekit-agents sends them, so LiveKit's playground and components show them unchanged: the user's words
as a stream for each version, the agent's as one stream that grows as it is heard. It looks at the conversation a few
times a second and changes nothing.
"""

import asyncio
import logging
from asyncio import Queue
from dataclasses import dataclass
from uuid import uuid4

from livekit import rtc
from livekit.agents.types import (
    ATTRIBUTE_AGENT_STATE,
    ATTRIBUTE_TRANSCRIPTION_FINAL,
    ATTRIBUTE_TRANSCRIPTION_SEGMENT_ID,
    ATTRIBUTE_TRANSCRIPTION_TRACK_ID,
    TOPIC_TRANSCRIPTION,
)

from agent.live.conversation import Conversation
from agent.live.view import answer, state, understood
from pipelines.events import Clock
from pipelines.playout import heard_text
from pipelines.session_events import OpeningEnded, SessionEvent, TurnFinished

log = logging.getLogger(__name__)

_LOOK_S = 0.05
_OUTBOX_BOUND = 200  # ten seconds of looks: a room that takes none for so long has lost us anyway
_STATES = {"hearing": "listening", "paused": "listening"}  # LiveKit's front ends know no others


@dataclass(frozen=True, slots=True)
class CaptionSpeaker:
    """Whose words they are, and the track on which they were spoken, "" if that is not known."""

    identity: str
    track_sid: str


@dataclass(frozen=True, slots=True)
class _Version:
    """The user's words so far."""

    segment: str
    speaker: CaptionSpeaker
    text: str
    final: bool


@dataclass(frozen=True, slots=True)
class _More:
    """Further words of the agent."""

    segment: str
    speaker: CaptionSpeaker
    text: str
    last: bool


@dataclass(frozen=True, slots=True)
class _State:
    name: str


class Captions:
    """The captions of one conversation; `run` must be running, and hears what happens by `on_event`."""

    def __init__(self, local: rtc.LocalParticipant, agent: CaptionSpeaker, user: CaptionSpeaker, clock: Clock) -> None:
        self.user = user
        self._local = local
        self._agent = agent
        self._clock = clock
        self._outbox: Queue[_Version | _More | _State] = Queue(_OUTBOX_BOUND)
        self._turn: object = None  # whose words are being shown
        self._segments = ("", "")  # the user's and the agent's
        self._understood = ("", False)
        self._said = ""
        self._state = ""

    async def run(self, conversation: Conversation) -> None:
        """Look and send, without an end."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._send_all(), name="captions")
            while True:
                self._look(conversation)
                await asyncio.sleep(_LOOK_S)

    def on_event(self, event: SessionEvent) -> None:
        """A turn that is over has its last words, which no look may have seen."""
        match event:
            case OpeningEnded(playout, heard):
                self._say(playout, heard, last=True)
            case TurnFinished(turn) if turn.transcripts:
                self._begin(turn)
                self._understand(turn.transcripts[-1].text, final=True)
                if turn.answer is not None:
                    self._say(turn, event.heard, last=True)
            case _:
                pass

    def _look(self, conversation: Conversation) -> None:
        now_s, turn = self._clock(), conversation.current
        if conversation.opening is not None:
            self._put_state("speaking")
            self._say(conversation.opening, heard_text(conversation.opening.played, now_s), last=False)
            return
        self._put_state(_STATES.get(state(turn), state(turn)))
        if turn is not None and turn.transcripts:
            self._begin(turn)
            self._understand("".join(understood(turn)), final=turn.ended is not None)
            if state(turn) != "paused":  # time goes by, and nothing more of it is heard
                self._say(turn, answer(turn, now_s)[0], last=False)

    def _begin(self, of: object) -> None:
        if of is not self._turn:
            self._turn = of
            self._segments = f"SG_{uuid4().hex[:12]}", f"SG_{uuid4().hex[:12]}"
            self._understood, self._said = ("", False), ""

    def _understand(self, text: str, final: bool) -> None:
        if text and (text, final) != self._understood and not self._understood[1]:
            self._understood = text, final
            self._put(_Version(self._segments[0], self.user, text, final))

    def _say(self, of: object, text: str, last: bool) -> None:
        self._begin(of)
        # What was shown cannot be taken back: a word that a cut swallowed after all stays.
        more = text[len(self._said) :] if text.startswith(self._said) else ""
        if more or (last and self._said):
            self._said += more
            self._put(_More(self._segments[1], self._agent, more, last))

    def _put_state(self, name: str) -> None:
        if name != self._state:
            self._state = name
            self._put(_State(name))

    def _put(self, item: _Version | _More | _State) -> None:
        if self._outbox.full():
            self._outbox.get_nowait()
        self._outbox.put_nowait(item)

    # ------------------------------------------------------------ to the room

    async def _send_all(self) -> None:
        open_streams: dict[str, rtc.TextStreamWriter] = {}
        while True:
            item = await self._outbox.get()
            try:
                await self._send(item, open_streams)
            except Exception as error:  # a room that is reconnecting: captions are lost, the conversation is not
                log.warning("captions could not be sent: %r", error)
                open_streams.clear()

    async def _send(self, item: _Version | _More | _State, open_streams: dict[str, rtc.TextStreamWriter]) -> None:
        match item:
            case _State(name):
                await self._local.set_attributes({ATTRIBUTE_AGENT_STATE: name})
            case _Version(segment, speaker, text, final):
                writer = await self._open(segment, speaker, final)
                await writer.write(text)
                await writer.aclose()
            case _More(segment, speaker, text, last):
                if segment not in open_streams:
                    open_streams[segment] = await self._open(segment, speaker, False)
                if text:
                    await open_streams[segment].write(text)
                if last:
                    await open_streams.pop(segment).aclose(attributes={ATTRIBUTE_TRANSCRIPTION_FINAL: "true"})

    async def _open(self, segment: str, speaker: CaptionSpeaker, final: bool) -> rtc.TextStreamWriter:
        attributes = {
            ATTRIBUTE_TRANSCRIPTION_FINAL: str(final).lower(),
            ATTRIBUTE_TRANSCRIPTION_SEGMENT_ID: segment,
        }
        if speaker.track_sid:
            attributes[ATTRIBUTE_TRANSCRIPTION_TRACK_ID] = speaker.track_sid
        return await self._local.stream_text(
            topic=TOPIC_TRANSCRIPTION, sender_identity=speaker.identity, attributes=attributes
        )
