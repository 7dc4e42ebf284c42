"""One conversation with one page: its socket, its audio both ways, what it asks for and what it is shown.

Whatever a page does wrong ends its own session with a reason and nothing else. Its parts are tasks of one TaskGroup;
the first reason to end is the one that the page is told. Independent of the server and the other sessions.
"""

import asyncio
import json
import logging
from asyncio import Queue, Task, TaskGroup
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

import anyio
from aiohttp import WSMsgType, web

from agent.exports.telemetry import TurnSink
from agent.live.conversation import Conversation
from agent.live.tape import Tape
from agent.setup.engines import Engines
from agent.web import picture
from agent.web.allowance import Allowance
from agent.web.messages import OUR_FAULT, POLICY, PlayedMessage, Pong, SessionOverError, Switch, audio, parse
from agent.web.output import BrowserOutput
from agent.web.page_clock import PageClock
from pipelines.errors import InputError, QuickturnError
from pipelines.events import SAMPLE_RATE_HZ, AudioFrame, Pcm
from pipelines.modes import Mode
from pipelines.session_events import SessionEvent
from pipelines.stopwatch.record import TurnRecord

log = logging.getLogger(__name__)

_FRAMES_BOUND = 64  # two seconds of capture: the ear is never that late, and TCP holds what is more
_OUTBOX_BOUND = 500  # a second of audio is ten messages; a page that leaves so many unread is gone
_REAL_TIME = 1.5
_AUDIO_BURST_S = 8.0  # what a tab that slept for a moment sends at once
_TEXTS_PER_S, _TEXTS_BURST = 40.0, 200.0  # a page sends a dozen a second
_LOOK_S = 0.05
_PINGS_S = (0.05,) * 6 + (2.0,)  # the first few at once, so that the first answer is timed well
_REASON_BYTES = 120  # RFC 6455 leaves 123 for it


@dataclass(frozen=True, slots=True)
class PageOptions:
    """What a page may choose, and what it starts with."""

    llms: Sequence[str]
    speeds: Sequence[str]
    llm: str
    mode: Mode

    def check(self, llm: str | None) -> None:
        """Raises InputError for a model that is not offered: a page must not spend on any key that is there."""
        if llm is not None and llm not in self.llms and llm not in self.speeds:
            raise InputError(f"llm {llm!r} is not offered here; choose one of: {', '.join(self.llms)}")


class WebSession:
    """One conversation over `socket`; use `run`."""

    def __init__(
        self, engines: Engines, offer: PageOptions, socket: web.WebSocketResponse, sinks: Sequence[TurnSink], tape: Tape
    ) -> None:
        self._engines = engines
        self._offer = offer
        self._socket = socket
        self.tape = tape
        self._clock = PageClock(engines.clock)
        self._outbox: Queue[bytes | dict[str, object]] = Queue(_OUTBOX_BOUND)
        self._over: asyncio.Future[SessionOverError | None] = asyncio.get_running_loop().create_future()
        self._output = BrowserOutput(engines.clock, self._send, self._shifted, self._played)
        self.conversation = Conversation(engines, offer.llm, offer.mode, self._output, self._on_event, sinks)
        self._frames_in, self._frames = anyio.create_memory_object_stream[AudioFrame](_FRAMES_BOUND)
        self._wanted: dict[str, str] = {}
        self._switch_wanted = asyncio.Event()
        self._captured = 0
        self._audio_allowance = Allowance(_REAL_TIME * SAMPLE_RATE_HZ, _AUDIO_BURST_S * SAMPLE_RATE_HZ, engines.clock)
        self._text_allowance = Allowance(_TEXTS_PER_S, _TEXTS_BURST, engines.clock)

    async def run(self, name: str) -> None:
        """Converse until the page leaves or does something that it must not; `name` is its downloads' address."""
        self._send({"type": "welcome", "session": name, "llm": self.conversation.llm, "mode": self.conversation.mode})
        goodbye: SessionOverError | None = None
        try:
            async with self._frames_in, self._frames, TaskGroup() as tasks:
                parts = self._start(tasks)
                goodbye = await self._over
                for part in parts:
                    part.cancel()
        except* Exception as errors:
            log.error("a session of the page failed", exc_info=errors)
            goodbye = SessionOverError(OUR_FAULT, "the server failed; its log says how. Press Talk to begin again")
        if goodbye is not None:
            log.info("a page's session ends: %s", goodbye.reason)
            await self._socket.close(code=goodbye.code, message=goodbye.reason.encode()[:_REASON_BYTES])

    def end(self, code: int, reason: str) -> None:
        """End the session, unless it is ending already."""
        if not self._over.done():
            self._over.set_result(SessionOverError(code, reason))

    def _start(self, tasks: TaskGroup) -> list[Task[None]]:
        parts = {
            "page": self._receive(),
            "outbox": self._send_all(),
            "playout": self._output.run(),
            "picture": self._show(),
            "clock": self._ping(),
            "switch": self._switch(),
            "conversation": self.conversation.run(self._heard()),
        }
        return [tasks.create_task(part, name=name) for name, part in parts.items()]

    # ------------------------------------------------------------ from the page

    async def _receive(self) -> None:
        try:
            async for message in self._socket:
                match message.type:
                    case WSMsgType.TEXT:
                        await self._take(message.data)
                    case WSMsgType.BINARY:
                        await self._hear(audio(message.data))
                    case _:
                        break
        except SessionOverError as refused:
            self.end(refused.code, refused.reason)
        if not self._over.done():
            self._over.set_result(None)

    async def _take(self, text: str) -> None:
        if not self._text_allowance.take(1):
            raise SessionOverError(POLICY, "too many messages")
        match parse(text):
            case PlayedMessage(_, first, end, at_ms):
                self._output.played(first, end, self._clock.process_time_s(at_ms))
            case Pong(_, number, at_ms):
                self._clock.pong(number, at_ms)
            case Switch(_, llm, mode):
                self._wanted |= {key: value for key, value in (("llm", llm), ("mode", mode)) if value is not None}
                self._switch_wanted.set()

    async def _switch(self) -> None:
        """Connecting to a model may take seconds: meanwhile the ear goes on, and of several wishes the last counts."""
        conversation = self.conversation
        while True:
            await self._switch_wanted.wait()
            self._switch_wanted.clear()
            wanted, self._wanted = self._wanted, {}
            problem = None
            try:
                self._offer.check(wanted.get("llm"))
                await conversation.switch(**wanted)
            except QuickturnError as error:  # such as a model without its key: the conversation goes on
                problem = str(error)
            self._send({"type": "switched", "llm": conversation.llm, "mode": conversation.mode, "problem": problem})

    async def _hear(self, pcm: Pcm) -> None:
        if not self._audio_allowance.take(len(pcm)):
            raise SessionOverError(POLICY, f"more audio than {_REAL_TIME:g} times real time")
        self.tape.user(pcm)
        frame = AudioFrame(pcm, self._captured)
        self._captured = frame.end_samples
        await self._frames_in.send(frame)

    async def _heard(self) -> AsyncIterator[AudioFrame]:
        async for frame in self._frames:
            yield frame

    # ------------------------------------------------------------ to the page

    def _send(self, message: bytes | dict[str, object]) -> None:
        with suppress(asyncio.QueueFull):
            self._outbox.put_nowait(message)
            return
        self.end(POLICY, "the page does not read what it is sent")

    async def _send_all(self) -> None:
        try:
            while True:
                message = await self._outbox.get()
                if isinstance(message, bytes):
                    await self._socket.send_bytes(message)
                else:
                    await self._socket.send_str(json.dumps(message, ensure_ascii=False))
        except ConnectionError:  # the page is gone; `_receive` notices as well
            return

    async def _show(self) -> None:
        shown: dict[str, object] = {}
        while True:
            now = picture.current(self.conversation.current, self._engines.clock())
            if now["state"] == "paused":  # the clock goes on, the answer does not
                now |= {key: shown[key] for key in ("said", "unsaid") if key in shown}
            if now != shown:
                self._send({"type": "now", **now})
                shown = now
            await asyncio.sleep(_LOOK_S)

    async def _ping(self) -> None:
        number = 0
        while True:
            number = self._clock.ping()
            self._send({"type": "ping", "number": number})
            await asyncio.sleep(_PINGS_S[min(number, len(_PINGS_S)) - 1])

    def _on_event(self, event: SessionEvent, turn: TurnRecord | None) -> None:
        if turn is not None:
            turns = self.conversation.turns
            self._send({"type": "turn", "number": len(turns), **picture.finished(turn, turns)})

    # ------------------------------------------------------------ the playout

    def _shifted(self, from_s: float, by_s: float) -> None:
        turn = self.conversation.current
        if turn is not None and turn.answer is not None:
            turn.answer.reply.playout.delay(from_s, by_s)

    def _played(self, at_s: float, pcm: Pcm, follows: bool) -> None:
        self.tape.agent(pcm, None if follows else self.conversation.media.samples(at_s))
