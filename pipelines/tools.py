"""Functions that the model may call.

A tool is a schema and a coroutine; when it runs is the reply's business, not its own.
"""

import json
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from pipelines.events import ToolCall, ToolSpec

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Tool:
    """What the model is told (`spec`) and what then runs (`call`, with the decoded arguments as keywords)."""

    spec: ToolSpec
    call: Callable[..., Awaitable[str]]


async def run_tool(tools: Sequence[Tool], call: ToolCall) -> str:
    """The text for the model's `tool` message; what goes wrong is told to the model, never raised."""
    tool = next((tool for tool in tools if tool.spec.name == call.name), None)
    if tool is None:
        return f"error: there is no tool '{call.name}'; the tools are: {', '.join(t.spec.name for t in tools)}"
    try:
        arguments = json.loads(call.arguments_json or "{}")
    except json.JSONDecodeError as error:
        return f"error: the arguments are not JSON: {error}"
    if not isinstance(arguments, Mapping):
        return "error: the arguments must be one JSON object"
    try:
        return await tool.call(**arguments)
    except Exception as error:
        log.warning("tool %s failed: %r", call.name, error)
        return f"error: {error}"
