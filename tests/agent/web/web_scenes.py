"""What the tests of web share."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, cast

from agent.setup.engines import Engines
from agent.web.server import Server
from tests.agent.scripted_engines import scripted_engines
from tests.agent.web.web_page import Page, opened, serving
from tests.scripted import ScriptedTTS, silence, voice
from tests.virtual_time import run_on_loopback

QUESTION = silence(96), voice(704)


def quick_engines(**stages: Any) -> Engines:
    """One that speaks fast."""
    engines = scripted_engines(**stages)
    cast(ScriptedTTS, engines.tts).letter_ms = 15
    return engines


async def ask(address: str, rest: Callable[[Page], Awaitable[Any]] | None = None, **options: Any) -> dict[str, Any]:
    """One whole turn; `rest` goes on with the same page."""
    async with opened(address, **options) as page:
        await page.speak(*QUESTION)
        turn = await page.told("turn")
        if rest is not None:
            await rest(page)
        return turn


async def emptied(server: Server) -> None:
    """Until the last session is over."""
    while server.sessions:  # noqa: ASYNC110 - nobody tells
        await asyncio.sleep(0.01)


def in_a_conversation(do: Callable[[Page], Awaitable[Any]], engines: Engines | None = None) -> None:
    """Do something with one page."""

    async def main() -> None:
        async with serving(engines or quick_engines()) as (_, address), opened(address) as page:
            await page.told("welcome")
            await do(page)

    run_on_loopback(main())
