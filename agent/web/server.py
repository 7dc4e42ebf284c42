"""The server behind the page: its files, one socket a conversation, the downloads.

All conversations share the engines and models; how many there may be at once is limited. It decides nothing
about turns.
"""

import asyncio
import errno
import logging
import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict
from datetime import datetime
from importlib.metadata import version
from itertools import count
from pathlib import Path
from typing import Any

from aiohttp import web

from agent.exports.telemetry import Numbered, TurnSink
from agent.live.fixture import write_fixture
from agent.live.tape import Tape
from agent.report.stages import ALL_STAGES, MODE_MEANINGS, OUTCOMES, STAGES, llm_label
from agent.setup.engines import Engines
from agent.trace.files import session_line, session_text, turn_text
from agent.web.access_policy import AccessPolicy
from agent.web.messages import GOING_AWAY, OUR_FAULT, TRY_LATER
from agent.web.web_session import PageOptions, WebSession
from pipelines.errors import InputError

log = logging.getLogger(__name__)

_PAGE = Path(__file__).parent / "page"
_LARGEST_MESSAGE_BYTES = 16_384  # an audio frame is 1 KiB, a text less
_HEARTBEAT_S = 20.0  # a page that went without a word gives its place back
_CLOSE_S = 2.0  # a page that does not answer a goodbye must not keep its place
_PATIENCE_S, _LOOK_S = 1.0, 0.05
_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'",
    "Referrer-Policy": "no-referrer",  # the address may hold the token
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}


class Server:
    """Serves the page over open engines; `limit` is how many conversations there may be at once.

    With `record`, each conversation is kept in a folder of its own in there.
    """

    def __init__(
        self,
        engines: Engines,
        offer: PageOptions,
        access: AccessPolicy,
        limit: int,
        sinks: Sequence[TurnSink] = (),
        record: Path | None = None,
    ) -> None:
        self._engines = engines
        self._offer = offer
        self._access = access
        self._limit = limit
        self._sinks = (Numbered(sinks),)
        self._record = record
        self._recorded = count(1)
        self._started = session_line(engines)
        self.sessions: dict[str, WebSession] = {}

    def app(self) -> web.Application:
        """The application."""
        app = web.Application(middlewares=[self._guard])
        app.router.add_get("/", self._page)
        app.router.add_get("/setup", self._setup)
        app.router.add_get("/ws", self._converse)
        app.router.add_get("/sessions/{name}/trace.jsonl", self._trace)
        app.router.add_get("/sessions/{name}/conversation.wav", self._wav)
        app.router.add_static("/page/", _PAGE)
        app.on_shutdown.append(self._end_all)
        return app

    @web.middleware
    async def _guard(self, request: web.Request, handler: Any) -> web.StreamResponse:
        self._access.check_host(request)
        if not request.path.startswith("/page/"):  # what anybody may read in the package
            self._access.check_token(request)
        response: web.StreamResponse = await handler(request)
        if not response.prepared:
            response.headers.update(_HEADERS)
        return response

    async def _page(self, _: web.Request) -> web.StreamResponse:
        return web.FileResponse(_PAGE / "index.html")

    async def _setup(self, _: web.Request) -> web.Response:
        """What the page needs to know before a conversation takes one of the places."""
        return web.json_response(
            {
                "version": version("quickturn"),
                "llms": [{"name": name, "label": llm_label(name)} for name in self._offer.llms],
                "speeds": list(self._offer.speeds),
                "llm": self._offer.llm,
                "modes": MODE_MEANINGS,
                "mode": self._offer.mode,
                "stages": {stage.key: asdict(stage) for stage in ALL_STAGES},
                "legend": [stage.key for stage in STAGES],
                "outcomes": OUTCOMES,
                "engines": f"speech to text {self._engines.stt.name}, text to speech {self._engines.tts.name}",
            }
        )

    # ------------------------------------------------------------ conversations

    async def _converse(self, request: web.Request) -> web.WebSocketResponse:
        self._access.check_origin(request)
        socket = web.WebSocketResponse(
            timeout=_CLOSE_S, max_msg_size=_LARGEST_MESSAGE_BYTES, heartbeat=_HEARTBEAT_S, compress=False
        )
        await socket.prepare(request)
        if not await self._has_place():
            text = f"{self._limit} conversations are going on, and this server takes no more; try again later"
            await socket.close(code=TRY_LATER, message=text.encode())
            return socket
        try:
            await self._hold(socket)
        except InputError as error:
            log.error("a conversation is not recorded: %s", error)
            await socket.close(code=OUR_FAULT, message=b"the server cannot record; its log says why")
        return socket

    async def _hold(self, socket: web.WebSocketResponse) -> None:
        """One conversation, from its place to its recording. Raises InputError if that cannot be written."""
        folder = None
        if self._record is not None:
            folder = self._record / f"{datetime.now():%Y%m%d-%H%M%S}-{next(self._recorded)}"
        name = secrets.token_urlsafe(16)
        with Tape(folder) as tape:
            self.sessions[name] = session = WebSession(self._engines, self._offer, socket, self._sinks, tape)
            try:
                await session.run(name)
            finally:
                del self.sessions[name]
        if folder is not None:
            await asyncio.to_thread(write_fixture, folder, self._started, session.conversation.turns)

    async def _has_place(self) -> bool:
        """A page that is loaded anew comes back before its old conversation is quite over."""
        for _ in range(round(_PATIENCE_S / _LOOK_S)):
            if len(self.sessions) < self._limit:
                return True
            await asyncio.sleep(_LOOK_S)
        return len(self.sessions) < self._limit

    async def _end_all(self, _: web.Application) -> None:
        for session in self.sessions.values():
            session.end(GOING_AWAY, "the server was stopped")

    # ------------------------------------------------------------ downloads

    def _session(self, request: web.Request) -> WebSession:
        session = self.sessions.get(request.match_info["name"])
        if session is None:
            raise web.HTTPNotFound(text="this conversation is over: its recording was not kept\n")
        return session

    async def _trace(self, request: web.Request) -> web.Response:
        turns = self._session(request).conversation.turns
        text = session_text(self._started) + "".join(turn_text(index, turn) for index, turn in enumerate(turns))
        return web.Response(text=text, content_type="application/x-ndjson", headers=_attachment("jsonl"))

    async def _wav(self, request: web.Request) -> web.StreamResponse:
        size, blocks = self._session(request).tape.wav()
        response = web.StreamResponse(headers={**_HEADERS, **_attachment("wav"), "Content-Type": "audio/wav"})
        response.content_length = size
        await response.prepare(request)
        for block in blocks:
            await response.write(block)
        return response


def _attachment(suffix: str) -> Mapping[str, str]:
    name = f"quickturn-{datetime.now():%Y%m%d-%H%M%S}.{suffix}"
    return {"Content-Disposition": f'attachment; filename="{name}"'}


@asynccontextmanager
async def listening(app: web.Application, host: str, port: int) -> AsyncIterator[int]:
    """Serve and yield the port; with port 0 the system chooses one. Raises InputError if it cannot be had."""
    # No access log: addresses may hold the token.
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError as error:
            why = "it is in use" if error.errno == errno.EADDRINUSE else error.strerror
            raise InputError(
                f"cannot listen on {host} port {port}: {why}; choose another with --port, or --port 0 for any free one"
            ) from None
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()
