"""Reads the body of a Chat Completions request as the pacer needs it. It knows the wire format, no HTTP."""

import json
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, ValidationError

from pipelines.errors import InputError
from pipelines.events import ChatMessage, ToolCall, ToolSpec
from pipelines.json_object import JsonObject


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """What was asked for; `max_tokens` is None if the client set no limit."""

    model: str
    messages: tuple[ChatMessage, ...]
    tools: tuple[ToolSpec, ...]
    stream: bool
    include_usage: bool
    max_tokens: int | None


class _Lenient(BaseModel):
    # Clients send fields of their own; a provider ignores what it does not know.
    model_config = ConfigDict(extra="ignore")


class _Function(_Lenient):
    name: str
    arguments: str = "{}"


class _ToolCall(_Lenient):
    id: str = ""
    function: _Function


class _Message(_Lenient):
    role: str
    content: str | list[JsonObject] | None = None
    tool_calls: list[_ToolCall] | None = None
    tool_call_id: str | None = None


class _OfferedFunction(_Lenient):
    name: str
    description: str = ""
    parameters: JsonObject = {}


class _Tool(_Lenient):
    function: _OfferedFunction


class _StreamOptions(_Lenient):
    include_usage: bool = False


class _Body(_Lenient):
    model: str
    messages: list[_Message]
    tools: list[_Tool] | None = None
    stream: bool = False
    stream_options: _StreamOptions | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None


def read_request(body: bytes) -> ChatRequest:
    """Read a request's JSON. Raises InputError naming the first field that is wrong."""
    try:
        read = _Body.model_validate(json.loads(body))
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        raise InputError(f"{'.'.join(map(str, problem['loc'])) or 'the body'}: {problem['msg']}") from None
    except ValueError:
        raise InputError("the body is not JSON") from None
    return ChatRequest(
        model=read.model,
        messages=tuple(_message(message) for message in read.messages),
        tools=tuple(ToolSpec(t.function.name, t.function.description, t.function.parameters) for t in read.tools or ()),
        stream=read.stream,
        include_usage=read.stream_options is not None and read.stream_options.include_usage,
        max_tokens=read.max_completion_tokens if read.max_completion_tokens is not None else read.max_tokens,
    )


def _message(message: _Message) -> ChatMessage:
    match message.content:
        case None:
            text = ""
        case str(content):
            text = content
        case parts:
            text = " ".join(str(part.get("text", "")) for part in parts)
    calls = tuple(ToolCall(c.id, c.function.name, c.function.arguments) for c in message.tool_calls or ())
    return ChatMessage(message.role, text, calls, message.tool_call_id)
