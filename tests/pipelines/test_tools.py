import asyncio

import pytest

from pipelines.events import ToolCall, ToolSpec
from pipelines.tools import Tool, run_tool


async def weather(city: str) -> str:
    if city == "Atlantis":
        raise ValueError("no such city")
    return f"sunny in {city}"


async def stuck() -> str:
    await asyncio.Event().wait()
    return "never"


TOOLS = [
    Tool(ToolSpec("get_weather", "The weather.", {"type": "object"}), weather),
    Tool(ToolSpec("stuck", "Never ends.", {"type": "object"}), stuck),
]


@pytest.mark.parametrize(
    ("name", "arguments", "result"),
    [
        ("get_weather", '{"city": "Paris"}', "sunny in Paris"),
        ("get_time", "{}", "error: there is no tool 'get_time'; the tools are: get_weather, stuck"),
        ("get_weather", '{"city": ', "error: the arguments are not JSON: "),
        ("get_weather", '["Paris"]', "error: the arguments must be one JSON object"),
        ("get_weather", '"Paris"', "error: the arguments must be one JSON object"),
        ("get_weather", '{"town": "Paris"}', "error: weather() got an unexpected keyword argument 'town'"),
        ("get_weather", "", "error: weather() missing 1 required positional argument: 'city'"),
        ("get_weather", '{"city": "Atlantis"}', "error: no such city"),
    ],
)
def test_what_goes_wrong_in_a_tool_is_told_to_the_model(name: str, arguments: str, result: str) -> None:
    assert asyncio.run(run_tool(TOOLS, ToolCall("1", name, arguments))).startswith(result)


def test_a_tool_that_is_cancelled_tells_nobody() -> None:
    async def cancel_it() -> None:
        task = asyncio.create_task(run_tool(TOOLS, ToolCall("1", "stuck", "{}")))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancel_it())
