"""A room's conversation held by LiveKit's AgentSession instead of Quickturn's own engine. Independent of the worker
the command line, and of how the session is set up.

Whom it answers is LiveKit's RoomIO's choice: the participant that the configuration names, or whoever came first.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from livekit import rtc
from livekit.agents import NOT_GIVEN, AgentSession
from livekit.agents.voice import CloseEvent
from livekit.agents.voice.room_io import AudioInputOptions, AudioOutputOptions, RoomOptions

from agent.exports.telemetry import TurnSink
from agent.room.access import Credentials
from agent.room.agent_session.held_session import BEST, Held, SetUp, held_session
from agent.room.presence import Ending, Presence
from agent.setup.engines import Engines
from pipelines.errors import ServiceError
from pipelines.events import SAMPLE_RATE_HZ, ChatMessage


async def converse(
    room: rtc.Room,
    engines: Engines,
    llm: str,
    sinks: Sequence[TurnSink],
    participant_identity: str | None = None,
    *,
    set_up: SetUp = BEST,
) -> None:
    """Converse in a connected room until it is left or this is cancelled; each turn's record goes to `sinks`.

    Raises InputError if LiveKit's OpenAI plugin is not installed, and ServiceError if AgentSession gives up.
    """
    over = asyncio.Event()
    async with held_session(engines, llm, sinks, set_up, room=room.name) as held:
        closed = _closed(held.session, over.set)
        room.on("disconnected", lambda reason: over.set())
        await held.start(room=room, room_options=_room_options(engines, participant_identity))
        await over.wait()
    if closed and closed[0].error is not None:
        raise ServiceError(f"AgentSession gave up: {closed[0].error.error}")


def _closed(session: AgentSession[Any], call: Callable[[], None]) -> list[CloseEvent]:
    """Call when the session closes by itself; then the list holds why."""
    closed: list[CloseEvent] = []

    def note(event: CloseEvent) -> None:
        closed.append(event)
        call()

    session.on("close", note)
    return closed


class AgentSessionRoom:
    """One stay in one room, as the worker wants it; `run` once."""

    def __init__(
        self,
        engines: Engines,
        llms: Sequence[str],
        sinks: Sequence[TurnSink],
        opening: str = "",
        history: Sequence[ChatMessage] = (),
        set_up: SetUp = BEST,
    ) -> None:
        self.ready = asyncio.Event()
        self._engines = engines
        self._llm = llms[0]
        self._sinks = sinks
        self._opening = opening or ("" if history else engines.config.room.greeting)
        self._earlier = tuple(history)
        self._set_up = set_up
        self._presence = Presence(engines.config.room, engines.clock, lambda line: None, patient=False)
        self._held: Held | None = None
        self._greeted = False

    @property
    def history(self) -> list[ChatMessage]:
        """What was said so far."""
        if self._held is None:
            return list(self._earlier)
        said = self._held.session.history.messages()
        return [ChatMessage(m.role, m.text_content or "") for m in said if m.role in ("user", "assistant")]

    def leave(self) -> None:
        """Go once the question under way is answered."""
        self._presence.leave()

    async def run(self, credentials: Credentials) -> Ending:
        """Stay until the room ends, nobody is left, or `leave`. Raises InputError and ServiceError."""
        presence, engines = self._presence, self._engines
        room = presence.room
        async with (
            presence.inside(credentials, auto_subscribe=True),
            held_session(engines, self._llm, self._sinks, self._set_up, history=self._earlier, room=room.name) as held,
        ):
            closed = _closed(held.session, presence.look)
            await held.start(room=room, room_options=_room_options(engines, engines.config.room.participant or None))
            self._held = held
            self.ready.set()
            while (ending := self._ending(held)) is None and not closed:
                self._greet(held)
                await presence.wait()
        if ending is None and closed[0].error is not None:
            raise ServiceError(f"AgentSession gave up: {closed[0].error.error}")
        return ending or Ending.CLOSED

    def _greet(self, held: Held) -> None:
        """Say the opening to the first who comes."""
        if self._opening and not self._greeted and self._presence.link.present:
            self._greeted = True
            held.session.say(self._opening)

    def _ending(self, held: Held) -> Ending | None:
        return self._presence.ending(busy=held.watch.is_answering or held.session.current_speech is not None)


def _room_options(engines: Engines, participant_identity: str | None) -> RoomOptions:
    return RoomOptions(
        audio_input=AudioInputOptions(sample_rate=SAMPLE_RATE_HZ, frame_size_ms=10),
        audio_output=AudioOutputOptions(sample_rate=engines.tts.sample_rate_hz),
        participant_identity=NOT_GIVEN if participant_identity is None else participant_identity,
        close_on_disconnect=False,  # who comes back is answered again
    )
