"""Requests to the pacer over the raw socket: what a client's library adds or hides is not measured here."""

import asyncio
import json
from dataclasses import dataclass
from typing import Any

from pipelines.pacer.pace import Pace
from pipelines.pacer.simulator import Pacer
from tests.scripted import now
from tests.virtual_time import run_on_loopback

PROFILES = {"fast": Pace(120, 1800)}


@dataclass(frozen=True, slots=True)
class Wire:
    """What came over the socket: status, headers, events in order with their times since the request was sent."""

    status: int
    headers: dict[str, str]
    body: bytes
    events: list[dict[str, Any]]
    times_s: list[float]

    def tokens(self, key: str = "content") -> list[str]:
        deltas = [event["choices"][0]["delta"] for event in self.events if event.get("choices")]
        return [delta[key] for delta in deltas if delta.get(key)]

    def token_times_s(self) -> list[float]:
        pairs = zip(self.events, self.times_s, strict=True)
        return [at for event, at in pairs if event.get("choices") and event["choices"][0]["delta"].get("content")]


async def post(pacer: Pacer, body: bytes | dict[str, Any], path: str = "/v1/chat/completions") -> Wire:
    """One request over a socket of its own, its events timed as they arrive."""
    port = int(pacer.base_url.rpartition(":")[2].removesuffix("/v1"))
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    payload = body if isinstance(body, bytes) else json.dumps(body).encode()
    method = "POST" if payload else "GET"
    head = f"{method} {path} HTTP/1.1\r\nHost: pacer\r\nConnection: close\r\nContent-Length: {len(payload)}\r\n\r\n"
    writer.write(head.encode() + payload)
    sent_s = now()
    raw, arrivals = b"", []
    while piece := await reader.read(65536):
        arrivals += [now() - sent_s] * piece.count(b"\n\n")
        raw += piece
    writer.close()
    await writer.wait_closed()
    return _parse(raw, arrivals)


def _parse(raw: bytes, arrivals: list[float]) -> Wire:
    head, _, body = raw.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines[1:])}
    lines = [line for line in body.decode().split("\n") if line.startswith('data: {"')]
    events = [json.loads(line[6:]) for line in lines if line.endswith("}")]
    return Wire(int(head.split()[1]), headers, body, events, arrivals[: len(events)])


def ask(model: str, text: str = "Tell me a joke.", **more: Any) -> dict[str, Any]:
    return {"model": model, "stream": True, "messages": [{"role": "user", "content": text}], **more}


def exchange(*bodies: bytes | dict[str, Any]) -> list[Wire]:
    """What comes back of each request, one after the other, in driven time."""
    return run_on_loopback(posts(*bodies))


async def posts(*bodies: bytes | dict[str, Any]) -> list[Wire]:
    async with Pacer(PROFILES) as pacer:
        return [await post(pacer, body) for body in bodies]
