"""A page without a browser, for tests: it speaks the socket's language, plays in the loop's time and reports what it
played.

Its clock runs beside ours with an offset, as a browser's does.
"""

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np

from agent.setup.engines import Engines
from agent.web.access_policy import AccessPolicy
from agent.web.server import Server, listening
from agent.web.web_session import PageOptions
from pipelines.events import Pcm
from pipelines.modes import Mode
from tests.agent.scripted_engines import LLM
from tests.scripted import now

FRAME = 512
CLOCK_OFFSET_S = 5_000.0
_TICK_S = 0.05


@asynccontextmanager
async def serving(
    engines: Engines, *, limit: int = 2, token: str | None = None, sinks: Any = (), record: Path | None = None
) -> AsyncIterator[tuple[Server, str]]:
    """The server and its address."""
    offer = PageOptions([LLM, "sim/100:200"], ["sim/120:20"], LLM, Mode.SPECULATIVE)
    server = Server(engines, offer, AccessPolicy("127.0.0.1", token), limit, sinks, record)
    async with listening(server.app(), "127.0.0.1", 0) as port:
        yield server, f"http://127.0.0.1:{port}"


class Page:
    """Use `opened`. `texts` are the messages so far, `sound` the chunks, `started_s` when each run began to sound."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse, start_delay_s: float) -> None:
        self.socket = socket
        self.texts: list[dict[str, Any]] = []
        self.sound: list[tuple[int, Pcm]] = []
        self.started_s: list[float] = []
        self.is_paused = False
        self._start_delay_s = start_delay_s
        self._queue: list[tuple[int, int]] = []  # positions that are to sound
        self._due_s: float | None = None

    async def read(self) -> None:
        """Take what comes until the socket closes."""
        async for message in self.socket:
            if message.type == aiohttp.WSMsgType.BINARY:
                (position,) = struct.unpack_from("<d", message.data)
                pcm = np.frombuffer(message.data, "<i2", offset=8)
                self.sound.append((int(position), pcm))
                self._queue.append((int(position), int(position) + len(pcm)))
                self._due_s = self._due_s or now() + self._start_delay_s
            elif message.type == aiohttp.WSMsgType.TEXT:
                await self._take(message.json())

    async def _take(self, text: dict[str, Any]) -> None:
        self.texts.append(text)
        match text["type"]:
            case "ping":
                await self.send(type="pong", number=text["number"], at_ms=self._clock_ms(now()))
            case "pause":
                self.is_paused = True
            case "resume":
                self.is_paused, self._due_s = False, now()
            case "clear":
                self.is_paused, self._due_s = False, None
                self._queue.clear()

    async def play(self) -> None:
        """Play what has come, and report it."""
        while True:
            await asyncio.sleep(_TICK_S)
            if self._due_s is None or self.is_paused or now() < self._due_s:
                continue
            if not self.started_s or self._due_s - self.started_s[-1] > 1:
                self.started_s.append(self._due_s)
            samples = round((now() - self._due_s) * 16_000)
            while samples and self._queue:
                first, end = self._queue.pop(0)
                count = min(samples, end - first)
                if first + count < end:
                    self._queue.insert(0, (first + count, end))
                await self.send(type="played", first=first, end=first + count, at_ms=self._clock_ms(self._due_s))
                self._due_s += count / 16_000
                samples -= count
            if not self._queue:
                self._due_s = None

    async def speak(self, *parts: Pcm) -> None:
        """Capture this in the loop's time."""
        pcm, began_s = np.concatenate(parts), now()
        for start in range(0, len(pcm) - FRAME + 1, FRAME):
            await asyncio.sleep(began_s + (start + FRAME) / 16_000 - now())
            await self.socket.send_bytes(pcm[start : start + FRAME].astype("<i2").tobytes())

    async def send(self, **message: Any) -> None:
        if not self.socket.closed:
            await self.socket.send_json(message)

    async def told(self, kind: str, number: int = 1) -> dict[str, Any]:
        """That message of its kind, as soon as it is there, while silence is captured."""
        while len(found := [text for text in self.texts if text["type"] == kind]) < number:
            assert not self.socket.closed, (self.socket.close_code, self.texts)
            await self.speak(np.zeros(FRAME, np.int16))
        return found[number - 1]

    async def closed(self) -> int | None:
        """The close code, when it comes."""
        while not self.socket.closed:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(_TICK_S)
        return self.socket.close_code

    def _clock_ms(self, at_s: float) -> float:
        return (at_s + CLOCK_OFFSET_S) * 1_000


@asynccontextmanager
async def opened(address: str, *, start_delay_s: float = 0.06, query: str = "") -> AsyncIterator[Page]:
    """A page that converses with the server at `address`."""
    async with (
        aiohttp.ClientSession() as client,
        client.ws_connect(f"{address}/ws{query}", headers={"Origin": address}) as socket,
    ):
        page = Page(socket, start_delay_s)
        tasks = [asyncio.create_task(page.read()), asyncio.create_task(page.play())]
        try:
            yield page
        finally:
            await socket.close()
            for task in tasks:
                task.cancel()
            ended = await asyncio.gather(*tasks, return_exceptions=True)
            faults = [one for one in ended if isinstance(one, Exception)]
            assert not faults, faults
