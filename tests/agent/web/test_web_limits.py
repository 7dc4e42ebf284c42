"""What a page must not do: each ends its own session with a reason."""

import logging
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from agent.web.access_policy import AccessPolicy
from agent.web.server import listening
from pipelines.errors import InputError
from tests.agent.web.web_page import Page, opened, serving
from tests.agent.web.web_scenes import QUESTION, ask, in_a_conversation, quick_engines
from tests.scripted import silence
from tests.virtual_time import run_on_loopback


async def flood_of_audio(page: Page) -> None:
    for _ in range(200):
        await page.socket.send_bytes(bytes(3_200))


async def flood_of_text(page: Page) -> None:
    for number in range(400):
        await page.send(type="pong", number=number, at_ms=1.0)


def text(message: str) -> Callable[[Page], Awaitable[None]]:
    return lambda page: page.socket.send_str(message)


def audio(size: int) -> Callable[[Page], Awaitable[None]]:
    return lambda page: page.socket.send_bytes(bytes(size))


@pytest.mark.parametrize(
    ("misbehave", "code"),
    [
        (text("{"), 1007),
        (text('{"type": "played", "first": NaN, "end": 1, "at_ms": 1}'), 1008),
        (text("[]"), 1008),
        (text('{"type": "reboot"}'), 1008),
        (text('{"type": "switch", "llm": 7}'), 1008),
        (text('{"type": "switch", "speed": "fast"}'), 1008),
        (text('{"type": "played", "first": -1, "end": 5, "at_ms": 1}'), 1008),
        (text('{"type": "pong", "number": 1, "at_ms": 1e400}'), 1008),
        (audio(0), 1003),
        (audio(1_023), 1003),
        (audio(3_202), 1003),
        (audio(20_000), 1009),
        (text(" " * 20_000), 1009),
        (flood_of_audio, 1008),
        (flood_of_text, 1008),
    ],
)
def test_what_a_page_must_not_send_ends_its_session_and_no_other(
    misbehave: Callable[[Page], Awaitable[None]], code: int
) -> None:
    async def main() -> None:
        async with serving(quick_engines()) as (server, address), opened(address) as good, opened(address) as bad:
            await bad.told("welcome")
            with suppress(aiohttp.ClientConnectionError):  # closed in the middle of it
                await misbehave(bad)
            assert await bad.closed() == code
            await good.send(type="switch", mode="streaming")
            assert (await good.told("switched"))["mode"] == "streaming"
            assert len(server.sessions) == 1

    run_on_loopback(main())


@pytest.mark.parametrize(
    "report",
    [
        {"first": 0, "end": 10**9, "at_ms": 0.0},
        {"first": 10**9, "end": 10**9 + 1, "at_ms": 1.0},
        {"first": 5, "end": 2, "at_ms": 1.0},
        {"first": 0, "end": 2**52, "at_ms": 9e11},
    ],
)
def test_a_page_that_lies_about_its_playout_harms_nobody(report: dict[str, Any]) -> None:
    async def lie(page: Page) -> None:
        await page.send(type="played", **report)
        await page.speak(*QUESTION)
        while not page.sound:
            await page.speak(silence(32))
        await page.send(type="played", **report)
        assert (await page.told("turn"))["outcome"] == "completed"

    in_a_conversation(lie)


@pytest.mark.parametrize(
    ("headers", "query", "status"),
    [
        ({"Origin": "http://evil.example"}, "", 403),
        ({"Origin": "null"}, "", 403),
        ({}, "", 403),
        ({"Origin": "http://rebound.example", "Host": "rebound.example"}, "", 403),
    ],
)
def test_only_the_servers_own_page_may_converse(headers: dict[str, str], query: str, status: int) -> None:
    async def main() -> None:
        async with serving(quick_engines()) as (server, address), aiohttp.ClientSession() as client:
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await client.ws_connect(f"{address}/ws{query}", headers=headers)
            assert refused.value.status == status
            assert not server.sessions

    run_on_loopback(main())


def test_a_rebound_name_is_given_no_page() -> None:
    async def main() -> list[int]:
        async with serving(quick_engines()) as (_, address), aiohttp.ClientSession() as client:
            hosts = ["rebound.example", "localhost:9", "[::1]:9"]
            return [(await client.get(f"{address}/setup", headers={"Host": host})).status for host in hosts]

    assert run_on_loopback(main()) == [403, 200, 200]


def test_the_token_is_asked_for_everywhere_and_never_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)

    async def main() -> None:
        async with serving(quick_engines(), token="open-sesame") as (_, address), aiohttp.ClientSession() as client:
            for path in ("/", "/setup", "/ws", "/sessions/x/trace.jsonl", "/sessions/x/conversation.wav"):
                for query in ("", "?token=", "?token=open-sesam", "?token=%C3%A9"):
                    assert (await client.get(f"{address}{path}{query}")).status == 401, (path, query)
            assert (await client.get(f"{address}/?token=open-sesame")).status == 200
            assert (await client.get(f"{address}/page/app.js")).status == 200
            assert (await ask(address, query="?token=open-sesame"))["outcome"] == "completed"

    run_on_loopback(main())
    assert "sesam" not in caplog.text


@pytest.mark.parametrize(
    ("host", "token", "says"),
    [("0.0.0.0", None, "give --token"), ("192.168.1.5", "", "give --token"), ("127.0.0.1", " ", "--token is empty")],
)
def test_other_machines_need_a_token(host: str, token: str | None, says: str) -> None:
    with pytest.raises(InputError, match=says):
        AccessPolicy(host, token).check_setting()


def test_the_command_refuses_other_machines_without_a_token_at_once() -> None:
    command = [sys.executable, "-c", "from agent.cli import main; main()", "web", "--host", "0.0.0.0"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=15, env=os.environ, check=False)
    assert ended.returncode == 2
    assert ended.stderr.startswith("quickturn: --host 0.0.0.0 lets other machines in: give --token")


def test_a_port_in_use_is_an_input_error() -> None:
    async def main() -> None:
        async with listening(web.Application(), "127.0.0.1", 0) as port:
            with pytest.raises(InputError, match=rf"port {port}: it is in use; choose another"):
                async with listening(web.Application(), "127.0.0.1", port):
                    pass

    run_on_loopback(main())
