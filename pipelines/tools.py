"""Functions that the model may call.

`tool` turns a typed Python function with a docstring into a `Tool`: pydantic writes its JSON schema and checks the
arguments. When a tool runs is the reply's business, not its own.
"""

import asyncio
import inspect
import json
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_type_hints

from pydantic import BaseModel, ConfigDict, PydanticSchemaGenerationError, ValidationError, create_model
from pydantic.errors import PydanticInvalidForJsonSchema

from pipelines.errors import InputError
from pipelines.events import ToolCall, ToolSpec
from pipelines.json_object import JsonObject

log = logging.getLogger(__name__)

DEFAULT_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class Tool:
    """What the model is told (`spec`) and what then runs (`call`, with the decoded arguments as keywords).

    A `read_only` tool changes nothing in the world, so it may run on a guess, before the user has finished.
    """

    spec: ToolSpec
    call: Callable[..., Awaitable[str]]
    read_only: bool = False
    timeout_s: float = DEFAULT_TIMEOUT_S


def tool(function: Callable[..., Any], *, read_only: bool = False, timeout_s: float = DEFAULT_TIMEOUT_S) -> Tool:
    """A tool from a function, sync or async; a sync one runs in a thread.

    Its docstring's first paragraph is what the model reads; `Annotated[str, Field(description=…)]` describes a
    parameter. What it returns is told to the model, as JSON if it is no string. Raises InputError for a function
    that a model could not call.
    """
    name = function.__name__
    description = " ".join((inspect.getdoc(function) or "").partition("\n\n")[0].split())
    if not description:
        raise InputError(f"tool {name} has no docstring: say in it what the function does, for the model to read")
    arguments = _arguments_model(function)
    try:
        schema = arguments.model_json_schema()
    except PydanticInvalidForJsonSchema as error:
        raise InputError(f"tool {name} has a parameter that JSON cannot hold: {_line(error)}") from None
    schema.pop("title", None)
    for parameter in schema.get("properties", {}).values():
        parameter.pop("title", None)  # the name again, which costs tokens

    async def call(**given: object) -> str:
        checked = arguments.model_validate(given)
        values = {field: getattr(checked, field) for field in type(checked).model_fields}
        if inspect.iscoroutinefunction(function):
            result = await function(**values)
        else:
            result = await asyncio.to_thread(function, **values)
        return result if isinstance(result, str) else json.dumps(result, default=str, ensure_ascii=False)

    return Tool(ToolSpec(name, description, schema), call, read_only, timeout_s)


def _arguments_model(function: Callable[..., Any]) -> type[BaseModel]:
    """The parameters as a pydantic model that refuses any other."""
    name = function.__name__
    hints = get_type_hints(function, include_extras=True)
    fields: JsonObject = {}
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            raise InputError(f"tool {name} takes {parameter}: a model calls by name, so give each parameter one")
        if parameter.name not in hints:
            raise InputError(f"tool {name}: parameter {parameter.name!r} has no type, such as {parameter.name}: str")
        fields[parameter.name] = (
            hints[parameter.name],
            ... if parameter.default is parameter.empty else parameter.default,
        )
    try:
        return create_model(name, __config__=ConfigDict(extra="forbid"), **fields)
    except PydanticSchemaGenerationError as error:
        raise InputError(f"tool {name} has a parameter of a type without a JSON schema: {_line(error)}") from None


@dataclass(frozen=True, slots=True)
class ToolResult:
    """The text for the model's `tool` message; `failed` where it tells of something that went wrong."""

    text: str
    failed: bool = False


async def run_tool(tools: Sequence[Tool], call: ToolCall) -> ToolResult:
    """Run what the model called; what goes wrong is told to the model, never raised."""
    found = find_tool(tools, call)
    if found is None:
        known = ", ".join(t.spec.name for t in tools)
        return ToolResult(f"error: there is no tool '{call.name}'; the tools are: {known}", failed=True)
    try:
        arguments = json.loads(call.arguments_json or "{}")
    except json.JSONDecodeError as error:
        return ToolResult(f"error: the arguments are not JSON: {error}", failed=True)
    if not isinstance(arguments, Mapping):
        return ToolResult("error: the arguments must be one JSON object", failed=True)
    try:
        async with asyncio.timeout(found.timeout_s):
            return ToolResult(await found.call(**arguments))
    except TimeoutError:
        return ToolResult(f"error: {call.name} gave no result within {found.timeout_s:g} s", failed=True)
    except ValidationError as error:
        return ToolResult(f"error: the arguments do not fit: {_problems(error)}", failed=True)
    except Exception as error:
        log.warning("tool %s failed: %r", call.name, error)
        return ToolResult(f"error: {error}", failed=True)


def find_tool(tools: Sequence[Tool], call: ToolCall) -> Tool | None:
    """The tool that a call names."""
    return next((t for t in tools if t.spec.name == call.name), None)


def _problems(error: ValidationError) -> str:
    problems = error.errors(include_url=False)
    return "; ".join(f"{'.'.join(map(str, p['loc'])) or 'arguments'}: {p['msg'].lower()}" for p in problems)


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
