"""The two shipped tools, so that a conversation can be tried without any service: a weather table and a timer.

They are examples: the weather is made up from the city's name and says so; the timer really runs, within this process.
"""

import asyncio
import logging
import zlib
from typing import Annotated

from pydantic import Field

from pipelines.tools import tool

log = logging.getLogger(__name__)

_SKIES = ("sunny", "cloudy", "rainy", "windy", "clear")


async def get_weather(city: Annotated[str, Field(description="City name, such as Paris")]) -> str:
    """The weather in a city today."""
    seed = zlib.crc32(city.lower().encode())
    return f"{_SKIES[seed % len(_SKIES)]}, {8 + seed // 7 % 20} degrees in {city} (example data)"


async def set_timer(minutes: Annotated[float, Field(gt=0, description="How many minutes from now")]) -> str:
    """Set a timer."""
    asyncio.get_running_loop().call_later(minutes * 60, log.warning, "the timer of %g minutes rings", minutes)
    return f"timer set for {minutes:g} minutes"


SHIPPED_TOOLS = (tool(get_weather, read_only=True), tool(set_timer))
