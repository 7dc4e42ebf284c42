import asyncio
import threading
from typing import Annotated, Any, Literal

import pytest
from pydantic import Field

from pipelines.errors import InputError
from pipelines.events import ToolCall, ToolSpec
from pipelines.tools import Tool, run_tool, tool


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
    told = asyncio.run(run_tool(TOOLS, ToolCall("1", name, arguments)))
    assert told.text.startswith(result)
    assert told.failed == result.startswith("error")


def test_a_tool_that_is_cancelled_tells_nobody() -> None:
    async def cancel_it() -> None:
        task = asyncio.create_task(run_tool(TOOLS, ToolCall("1", "stuck", "{}")))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancel_it())


# ---------------------------------------------------------------- tools from functions


def book_table(
    people: Annotated[int, Field(ge=1, le=12, description="How many guests")],
    day: Literal["today", "tomorrow"] = "today",
) -> dict[str, object]:
    """Book a table
    at the restaurant.

    This is for programmers.
    """
    return {"people": people, "day": day, "thread": threading.current_thread() is threading.main_thread()}


def call_it(function: Any, arguments: str, **how: Any) -> str:
    made = tool(function, **how)
    return asyncio.run(run_tool([made], ToolCall("1", made.spec.name, arguments))).text


def test_a_typed_function_becomes_a_tool_with_its_schema() -> None:
    spec = tool(book_table).spec
    assert (spec.name, spec.description) == ("book_table", "Book a table at the restaurant.")
    assert spec.parameters == {
        "type": "object",
        "properties": {
            "people": {"type": "integer", "minimum": 1, "maximum": 12, "description": "How many guests"},
            "day": {"type": "string", "enum": ["today", "tomorrow"], "default": "today"},
        },
        "required": ["people"],
        "additionalProperties": False,
    }


def test_a_function_that_blocks_runs_off_the_event_loop_and_its_result_is_told_as_json() -> None:
    assert call_it(book_table, '{"people": 2}') == '{"people": 2, "day": "today", "thread": false}'


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ('{"people": 40}', "error: the arguments do not fit: people: input should be less than or equal to 12"),
        ('{"people": "many"}', "error: the arguments do not fit: people: input should be a valid integer"),
        ("{}", "error: the arguments do not fit: people: field required"),
        ('{"people": 2, "hour": 8}', "error: the arguments do not fit: hour: extra inputs are not permitted"),
        (
            '{"people": 2, "day": "never"}',
            "error: the arguments do not fit: day: input should be 'today' or 'tomorrow'",
        ),
    ],
)
def test_arguments_that_do_not_fit_are_told_to_the_model(arguments: str, told: str) -> None:
    assert call_it(book_table, arguments).startswith(told)


def test_a_tool_that_takes_too_long_is_stopped_and_the_model_told() -> None:
    async def forecast() -> str:
        """The weather for the next year."""
        await asyncio.Event().wait()
        return "never"

    assert call_it(forecast, "{}", timeout_s=0.01) == "error: forecast gave no result within 0.01 s"


def _undocumented(city: str) -> str:
    return city


def _untyped(city) -> str:  # type: ignore[no-untyped-def]
    """The weather."""
    return str(city)


def _unnamed(*cities: str) -> str:
    """The weather."""
    return cities[0]


def _unspeakable(lock: threading.Event) -> str:
    """The weather."""
    return str(lock)


@pytest.mark.parametrize(
    ("function", "problem"),
    [
        (_undocumented, "tool _undocumented has no docstring"),
        (_untyped, "parameter 'city' has no type, such as city: str"),
        (_unnamed, "takes \\*cities: str: a model calls by name"),
        (_unspeakable, "has a parameter of a type without a JSON schema"),
    ],
)
def test_a_function_that_no_model_could_call_is_refused(function: Any, problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        tool(function)
