"""The two shipped tools, so that a conversation can be tried without any service: a weather table and a timer.

They are examples: the weather is made up from the city's name and says so; the timer really runs, within this process.
"""

import asyncio
import logging
import zlib

from pipelines.events import ToolSpec
from pipelines.tools import Tool

log = logging.getLogger(__name__)

_SKIES = ("sunny", "cloudy", "rainy", "windy", "clear")


async def get_weather(city: str) -> str:
    """Made-up weather that is the same for a city every time."""
    seed = zlib.crc32(city.lower().encode())
    return f"{_SKIES[seed % len(_SKIES)]}, {8 + seed // 7 % 20} degrees in {city} (example data)"


async def set_timer(minutes: float) -> str:
    """Start a timer; the log rings it."""
    asyncio.get_running_loop().call_later(minutes * 60, log.warning, "the timer of %g minutes rings", minutes)
    return f"timer set for {minutes:g} minutes"


def _parameters(name: str, kind: str, description: str) -> dict[str, object]:
    return {"type": "object", "properties": {name: {"type": kind, "description": description}}, "required": [name]}


SHIPPED_TOOLS = (
    Tool(
        ToolSpec(
            "get_weather", "The weather in a city today.", _parameters("city", "string", "City name, such as Paris")
        ),
        get_weather,
    ),
    Tool(
        ToolSpec("set_timer", "Set a timer.", _parameters("minutes", "number", "How many minutes from now")),
        set_timer,
    ),
)
