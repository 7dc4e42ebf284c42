"""A server that answers every connection with given bytes, for what no well-behaved server would send."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

SSE = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
"""A stream that ends with its connection."""


@dataclass(slots=True)
class RawServer:
    base_url: str = ""
    requests: list[str] = field(default_factory=list)
    """The requests as they came, head and body."""


@asynccontextmanager
async def raw_server(*pieces: bytes, hold_open: bool = False) -> AsyncIterator[RawServer]:
    """Serve `pieces` one write at a time; with `hold_open` say nothing more and wait for the client to leave."""
    server = RawServer()
    handlers: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            server.requests.append(await _request(reader))
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0.001)
            if hold_open:
                await reader.read()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        handlers.add(asyncio.create_task(serve(reader, writer), name="raw server"))

    listening = await asyncio.start_server(accept, "127.0.0.1")
    try:
        server.base_url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/v1"
        yield server
    finally:
        listening.close()
        await asyncio.gather(*handlers)
        # One more turn of the loop closes the sockets.
        await asyncio.sleep(0)


async def _request(reader: asyncio.StreamReader) -> str:
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    length = next((int(line[15:]) for line in head.split("\r\n") if line.lower().startswith("content-length:")), 0)
    return head + (await reader.readexactly(length)).decode()


def response(status: str, body: str, content_type: str = "application/json", headers: str = "") -> bytes:
    """A whole HTTP response."""
    head = f"HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\n{headers}"
    return f"{head}Connection: close\r\n\r\n{body}".encode()
