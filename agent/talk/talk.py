"""`quickturn talk`: the microphone, the speaker, the keys and the picture of one live conversation, joined.

It lasts until `q`, Ctrl-C or a number of seconds. It decides nothing about turns.
"""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from rich.live import Live

from agent.live.conversation import Conversation
from agent.live.fixture import write_fixture
from agent.live.plain_lines import plain_lines
from agent.live.tape import Tape
from agent.runtime import open_runtime
from agent.setup.config import Config
from agent.talk.console import LiveConsole, terminal
from agent.talk.microphone import Microphone, open_microphone
from agent.trace.files import TraceFile
from pipelines.audio import resample
from pipelines.errors import QuickturnError
from pipelines.events import SAMPLE_RATE_HZ, AudioFrame, Pcm
from pipelines.modes import Mode
from pipelines.session_events import SessionEvent
from pipelines.stopwatch.record import SessionRecord, TurnRecord

_REFRESH_PER_S = 8
_KEYS_BOUND = 32  # a key held down is not pressed again and again for minutes


@dataclass(frozen=True, slots=True)
class TalkOptions:
    """What is asked for: the first of `llms` answers until a key says otherwise."""

    config: Config
    llms: Sequence[str]
    record: Path | None = None
    trace: Path | None = None
    seconds: float | None = None


async def talk(wanted: TalkOptions) -> list[TurnRecord]:
    """Converse; returns the turns. Raises InputError, and ServiceError if a model cannot be reached."""
    console = terminal()
    async with AsyncExitStack() as stack:
        runtime = await stack.enter_async_context(open_runtime(wanted.config, wanted.llms, wanted.trace))
        for note in runtime.notes:
            print(note, file=sys.stderr)
        say: Callable[[str], None] = _say if console is None else lambda line: None
        tape = stack.enter_context(Tape(wanted.record))
        view: LiveConsole | None = None

        def notice(line: str) -> None:
            say(line)
            if view is not None:
                view.note = line

        def on_frame(frame: AudioFrame, far: Pcm) -> None:
            tape.user(frame.pcm)
            tape.agent(resample(far, microphone.sample_rate_hz, SAMPLE_RATE_HZ))

        def on_event(event: SessionEvent, turn: TurnRecord | None) -> None:
            for line in plain_lines(event, turn):
                say(line)

        opened = open_microphone(wanted.config.sound, runtime.engines.clock, notice, on_frame)
        microphone = await stack.enter_async_context(opened)
        mode = Mode(wanted.config.agent.mode)
        conversation = Conversation(runtime.engines, wanted.llms[0], mode, microphone, on_event, runtime.sinks)
        say("listening")
        view = LiveConsole(conversation, microphone, wanted.llms)
        keys = Keys(conversation, microphone, wanted.llms, view, tape, runtime.session)
        if console is not None:
            stack.enter_context(Live(view, console=console, refresh_per_second=_REFRESH_PER_S))
        await _converse(conversation, microphone, keys, wanted.seconds)
        counts = _counts_line(microphone)
    print(counts)
    if wanted.record is not None:
        user = write_fixture(wanted.record, runtime.session, conversation.turns)
        print(f"recorded {wanted.record}; play it again: quickturn replay {json.dumps(str(user))}", file=sys.stderr)
    return conversation.turns


def _say(line: str) -> None:
    print(line, flush=True)


async def _converse(conversation: Conversation, microphone: Microphone, keys: "Keys", seconds: float | None) -> None:
    """Until it is ended."""
    talking = asyncio.create_task(conversation.run(microphone.frames()), name="conversation")
    async with read_keys() as pressed:
        reading = asyncio.create_task(keys.obey(pressed), name="keys")
        try:
            await asyncio.wait([talking, reading], timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (talking, reading):
                task.cancel()
            ended = await asyncio.gather(talking, reading, return_exceptions=True)
    for outcome in ended:
        if isinstance(outcome, Exception):
            raise outcome


class Keys:
    """What the keys do."""

    def __init__(
        self,
        conversation: Conversation,
        microphone: Microphone,
        llms: Sequence[str],
        view: LiveConsole,
        tape: Tape,
        session: SessionRecord,
    ) -> None:
        self._conversation = conversation
        self._microphone = microphone
        self._llms = llms
        self._view = view
        self._tape = tape
        self._session = session

    async def obey(self, pressed: asyncio.Queue[str]) -> None:
        """Do what each key asks for, until `q`."""
        while (key := await pressed.get()) != "q":
            try:
                self._view.note = await self._do(key)
            except QuickturnError as error:  # such as a model without its key: the conversation goes on
                self._view.note = str(error)

    async def _do(self, key: str) -> str:
        conversation = self._conversation
        if key.isdigit() and 0 < int(key) <= len(self._llms):
            await conversation.switch(llm=self._llms[int(key) - 1])
            return f"from the next turn on: {conversation.llm}"
        match key:
            case "m":
                self._microphone.muted = not self._microphone.muted
                return "muted" if self._microphone.muted else ""
            case "s":
                modes = list(Mode)
                await conversation.switch(mode=modes[(modes.index(conversation.mode) + 1) % len(modes)])
                return f"from the next turn on: {conversation.mode.value}"
            case "t":
                path = Path(f"quickturn-{datetime.now():%Y%m%d-%H%M%S}.jsonl")
                with TraceFile(path, self._session) as trace:
                    for index, turn in enumerate(conversation.turns):
                        trace.turn(index, turn)
                return f"trace saved: {path}"
            case "w":
                path = Path(f"quickturn-{datetime.now():%Y%m%d-%H%M%S}.wav")
                self._tape.copy(path)
                return f"WAV saved: {path} (left: you, right: the agent)"
            case _:
                return self._view.note


@asynccontextmanager
async def read_keys() -> AsyncIterator[asyncio.Queue[str]]:
    """Keys as they are pressed, where stdin is a terminal that can be read without waiting for Enter."""
    pressed: asyncio.Queue[str] = asyncio.Queue(_KEYS_BOUND)
    if not sys.stdin.isatty() or os.name == "nt":
        yield pressed
        return
    import termios
    import tty

    terminal_fd = sys.stdin.fileno()
    before = termios.tcgetattr(terminal_fd)
    loop = asyncio.get_running_loop()
    tty.setcbreak(terminal_fd)

    def press() -> None:
        key = os.read(terminal_fd, 1).decode(errors="ignore")
        if not pressed.full():
            pressed.put_nowait(key)

    loop.add_reader(terminal_fd, press)
    try:
        yield pressed
    finally:
        loop.remove_reader(terminal_fd)
        termios.tcsetattr(terminal_fd, termios.TCSADRAIN, before)


def _counts_line(microphone: Microphone) -> str:
    counts, (capture_ms, playout_ms) = microphone.counts, microphone.latency_ms
    return (
        f"device latency: capture {capture_ms:.0f} ms, playout {playout_ms:.0f} ms; overruns {counts.overruns}, "
        f"dropped {counts.dropped}, underruns {counts.underruns}, card lost {counts.lost}"
    )
