"""The pacer: a local HTTP server that speaks Chat Completions at a stated time to first token and token rate.

It is a simulated provider and says so in every answer, fingerprint and model list. Tokens follow an absolute schedule
counted from the request's arrival, so lateness never adds up; those due together go out in one write, as fast
providers do. Independent of the agent; it serves any client.

    POST /v1/chat/completions   streaming (SSE) or not; `model` is a profile or TTFT_MS:TOK_PER_S, perhaps with a fault
    behind
                                it (`pipelines.pacer.faults`)
    GET  /v1/models             the profiles
    GET  /requests              what was asked of it lately: model, tokens sent, cancelled or not
"""

import asyncio
import errno
import itertools
import logging
import time
from bisect import bisect_right
from collections import deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Self

from aiohttp import web

from pipelines.errors import InputError
from pipelines.pacer.chat_reply import SIMULATED, ChunkWriter, Script, due_times_s, write_script
from pipelines.pacer.chat_request import ChatRequest, read_request
from pipelines.pacer.faults import Misbehaviour, SimulatedFault, parse_misbehaviour
from pipelines.pacer.pace import Pace, parse_pace

log = logging.getLogger(__name__)

DEFAULT_PORT = 8377

_REMEMBERED_REQUESTS = 1000
"""Enough for any test run; older ones are forgotten, so that a pacer that runs for days does not grow."""

_LARGEST_BODY_BYTES = 16 * 2**20

_PAGE = (
    "<!doctype html><html><head><title>Sign in</title></head><body><h1>Please sign in (simulated)</h1></body></html>"
)


@dataclass(slots=True)
class ServedRequest:
    """What happened to one request, filled in while it runs; `client_port` tells connections apart."""

    model: str
    client_port: int
    fault: str | None = None
    status: int = 200
    prompt_tokens: int = 0
    tokens_sent: int = 0
    finished: bool = False
    cancelled: bool = False


class Pacer:
    """The server as an async context manager; with port 0 the system chooses one. Raises InputError if the port is
    taken."""

    def __init__(self, profiles: Mapping[str, Pace], host: str = "127.0.0.1", port: int = 0) -> None:
        self._profiles = profiles
        self._host = host
        self._port = port
        self._records: deque[ServedRequest] = deque(maxlen=_REMEMBERED_REQUESTS)
        self._numbers: dict[str, itertools.count[int]] = {}
        # A client that hangs up must stop its request at once; aiohttp does that only when asked.
        self._runner = web.AppRunner(self._app(), access_log=None, handler_cancellation=True, shutdown_timeout=0.1)

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self._host, self._port).start()
        except OSError as error:
            await self._runner.cleanup()
            if error.errno == errno.EADDRINUSE:
                raise InputError(
                    f"port {self._port} of {self._host} is in use: stop what listens there, "
                    "choose another with --port, or take --port 0 for any free one"
                ) from None
            raise InputError(f"cannot listen on {self._host} port {self._port}: {error.strerror}") from None
        self._port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    @property
    def base_url(self) -> str:
        """What an OpenAI client takes as base URL."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._port}/v1"

    @property
    def requests(self) -> list[ServedRequest]:
        """The latest requests, oldest first."""
        return list(self._records)

    @property
    def connections(self) -> int:
        """How many connections are open now."""
        return len(self._runner.server.connections) if self._runner.server is not None else 0

    def _app(self) -> web.Application:
        app = web.Application(client_max_size=_LARGEST_BODY_BYTES)
        app.router.add_post("/v1/chat/completions", self._complete)
        app.router.add_get("/v1/models", self._list_models)
        app.router.add_get("/v1/models/{id:.+}", self._describe_model)
        app.router.add_get("/requests", self._list_requests)
        return app

    async def _list_models(self, _: web.Request) -> web.Response:
        return web.json_response({"object": "list", "data": [_model_json(name) for name in self._profiles]})

    async def _describe_model(self, request: web.Request) -> web.Response:
        name = request.match_info["id"]
        try:
            self._pace_and_fault(name)
        except InputError as error:
            return _refusal(404, str(error))
        return web.json_response(_model_json(name))

    async def _list_requests(self, _: web.Request) -> web.Response:
        return web.json_response([asdict(record) for record in self._records])

    def _pace_and_fault(self, model: str) -> tuple[Pace, Misbehaviour]:
        stem, _, fault = model.partition("?")
        pace = self._profiles.get(stem) or parse_pace(stem)
        if pace is None:
            known = ", ".join(repr(name) for name in self._profiles)
            raise InputError(f"simulated model {stem!r} is not one of: {known}, nor TTFT_MS:TOK_PER_S such as 120:1800")
        return pace, parse_misbehaviour(fault)

    async def _complete(self, http: web.Request) -> web.StreamResponse:
        arrival_s = asyncio.get_running_loop().time()
        try:
            request = read_request(await http.read())
        except InputError as error:
            return _refusal(400, str(error))
        record = ServedRequest(request.model, http.transport.get_extra_info("peername")[1] if http.transport else 0)
        self._records.append(record)
        try:
            response = await self._answer(http, request, record, arrival_s)
        except asyncio.CancelledError:
            _hung_up(record)
            raise
        except ConnectionResetError:
            # The same, noticed by a write before the server was told; there is nobody left to answer.
            _hung_up(record)
            return web.Response(status=499)
        record.status = response.status
        return response

    async def _answer(
        self, http: web.Request, request: ChatRequest, record: ServedRequest, arrival_s: float
    ) -> web.StreamResponse:
        try:
            pace, misbehaviour = self._pace_and_fault(request.model)
        except InputError as error:
            return _refusal(404, str(error))
        number = next(self._numbers.setdefault(request.model, itertools.count()))
        fault = misbehaviour.strikes(number)
        record.fault = fault
        if fault is not None and fault.isdigit():
            return _refusal(int(fault), "refused on request (simulated)", misbehaviour.seconds)
        if fault == SimulatedFault.HTML:
            return web.Response(text=_PAGE, content_type="text/html")
        script = write_script(request, misbehaviour.reasoning)
        record.prompt_tokens = script.prompt_tokens
        due_s = [arrival_s + at for at in due_times_s(len(script.deltas), pace, misbehaviour, fault)]
        writer = ChunkWriter(number, request.model, int(time.time()))
        if not request.stream:
            await _sleep_until(due_s[-1] if due_s else arrival_s)
            record.tokens_sent, record.finished = len(script.deltas), True
            return web.json_response(writer.whole(script))
        stop_at = misbehaviour.after if fault in _BREAKS else None
        response = await _stream(http, script, due_s, writer, record, stop_at)
        if fault in _BREAKS:
            await _break_off(http, response, writer, fault)
            return response
        await response.write(_ending(writer, script, request.include_usage))
        record.finished = True
        return response


def _hung_up(record: ServedRequest) -> None:
    record.cancelled = True
    log.info("request for %s cancelled by its client after %s tokens", record.model, record.tokens_sent)


_BREAKS = (SimulatedFault.CUT, SimulatedFault.HALF_CHUNK, SimulatedFault.MALFORMED, SimulatedFault.ERROR_CHUNK)


async def _stream(
    http: web.Request,
    script: Script,
    due_s: list[float],
    writer: ChunkWriter,
    record: ServedRequest,
    stop_at: int | None,
) -> web.StreamResponse:
    """Write the tokens when they are due, on the event loop's clock; at most `stop_at` of them."""
    loop = asyncio.get_running_loop()
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-cache"})
    await response.prepare(http)
    chunks = [writer.delta(delta) for delta in script.deltas[:stop_at]]
    if chunks:
        chunks[0] = writer.delta({"role": "assistant", "content": ""}) + chunks[0]
    await _wake_exactly_at(due_s[0] if chunks else loop.time())
    sent = 0
    while sent < len(chunks):
        await _sleep_until(due_s[sent])
        due = min(max(bisect_right(due_s, loop.time()), sent + 1), len(chunks))
        await response.write(b"".join(chunks[sent:due]))
        record.tokens_sent = sent = due
    return response


async def _wake_exactly_at(due_s: float) -> None:
    """For the first token, on which every TTFT is measured: epoll counts in milliseconds, so the last one is polled."""
    await _sleep_until(due_s - 0.001)
    loop = asyncio.get_running_loop()
    while loop.time() < due_s:  # noqa: ASYNC110 - there is no event but the time
        await asyncio.sleep(0)


async def _sleep_until(due_s: float) -> None:
    # Up to a millisecond late, which the next token does not inherit.
    await asyncio.sleep(max(0.0, due_s - asyncio.get_running_loop().time()))


def _ending(writer: ChunkWriter, script: Script, include_usage: bool) -> bytes:
    usage = writer.event({"choices": [], "usage": script.usage()}) if include_usage else b""
    return writer.delta({}, script.finish_reason) + usage + b"data: [DONE]\n\n"


async def _break_off(
    http: web.Request, response: web.StreamResponse, writer: ChunkWriter, fault: SimulatedFault | None
) -> None:
    match fault:
        case SimulatedFault.MALFORMED:
            await response.write(b"data: {'this': is not JSON}\n\n")
        case SimulatedFault.ERROR_CHUNK:
            await response.write(
                writer.event({"error": {"message": "broke down on request (simulated)", "code": "500"}})
            )
        case SimulatedFault.HALF_CHUNK:
            chunk = writer.delta({"content": " half"})
            await response.write(chunk[: len(chunk) // 2])
    if fault in (SimulatedFault.CUT, SimulatedFault.HALF_CHUNK) and http.transport is not None:
        http.transport.close()


def _refusal(status: int, message: str, retry_after_s: float | None = None) -> web.Response:
    headers = {"Retry-After": f"{retry_after_s:g}"} if status == 429 and retry_after_s is not None else None
    body = {"error": {"message": message, "type": SIMULATED, "code": str(status)}}
    return web.json_response(body, status=status, headers=headers)


def _model_json(name: str) -> dict[str, str]:
    return {"id": name, "object": "model", "owned_by": f"quickturn ({SIMULATED})"}
