"""The tools that a conversation offers: the two shipped ones and those of the user's own Python file.

The shipped ones are examples that need no service: the weather is made up from the city's name and says so; the timer
really runs, within this process.
"""

import asyncio
import logging
import runpy
import zlib
from pathlib import Path
from typing import Annotated

from pydantic import Field

from pipelines.errors import InputError
from pipelines.tools import Tool, tool

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


def load_tools(path: Path) -> tuple[Tool, ...]:
    """The tools of a Python file: its `TOOLS`, a list of functions or of what `pipelines.tools.tool` made of them.

    The file is run, as any Python file that is imported. Raises InputError.
    """
    if not path.is_file():
        raise InputError(f"agent.tools_file {str(path)!r} does not exist; expected a Python file that sets TOOLS")
    try:
        named = runpy.run_path(str(path)).get("TOOLS")
    except InputError:
        raise
    except Exception as error:  # it is the user's own code
        raise InputError(f"agent.tools_file {path} cannot be run: {error!r}") from error
    if not isinstance(named, list | tuple) or not all(isinstance(one, Tool) or callable(one) for one in named):
        raise InputError(f"agent.tools_file {path}: TOOLS is {named!r}; expected a list of functions")
    return tuple(one if isinstance(one, Tool) else tool(one) for one in named)
