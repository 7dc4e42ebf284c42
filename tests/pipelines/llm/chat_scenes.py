"""The client of chat completions with a server that sends what a test says."""

import json
from collections.abc import Sequence
from contextlib import aclosing

import pytest

from pipelines.errors import LLMError, LLMFault
from pipelines.events import ChatEvent, ChatMessage, TextDelta, ToolSpec
from pipelines.llm.catalogue import Endpoint, Model
from pipelines.llm.chat import ChatCompletions, ChatSettings
from tests.pipelines.llm.raw_server import raw_server
from tests.virtual_time import run_on_loopback

KEY = "sk-very-secret-0123456789"
JOKE = [ChatMessage("system", "You are brief."), ChatMessage("user", "Tell me a joke.")]
WEATHER = ToolSpec(
    "get_weather",
    "The weather in a city.",
    {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
)


def endpoint(base_url: str, model: str = "m", **more: object) -> Endpoint:
    return Endpoint(f"some/{model}", "some", base_url, "SOME_API_KEY", Model(model, **more))  # type: ignore[arg-type]


async def listen(
    base_url: str,
    model: str = "m",
    settings: ChatSettings | None = None,
    messages: Sequence[ChatMessage] = JOKE,
    tools: Sequence[ToolSpec] = (),
) -> list[ChatEvent]:
    llm = ChatCompletions(endpoint(base_url, model), settings)
    try:
        async with aclosing(llm.stream(messages, tools)) as events:
            return [event async for event in events]
    finally:
        await llm.aclose()


def heard_from(*pieces: bytes, settings: ChatSettings | None = None, hold_open: bool = False) -> list[ChatEvent]:
    """What the client makes of a server that sends exactly these bytes."""

    async def run() -> list[ChatEvent]:
        async with raw_server(*pieces, hold_open=hold_open) as server:
            return await listen(server.base_url, settings=settings)

    return run_on_loopback(run())


def chunk(delta: dict[str, object], finish_reason: str | None = None) -> bytes:
    return b"data: " + json.dumps({"choices": [{"delta": delta, "finish_reason": finish_reason}]}).encode() + b"\n\n"


def text_of(events: Sequence[ChatEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


def fault_of(
    *pieces: bytes, settings: ChatSettings | None = None, hold_open: bool = False
) -> tuple[LLMFault, str, LLMError]:
    with pytest.raises(LLMError) as caught:
        heard_from(*pieces, settings=settings, hold_open=hold_open)
    message = str(caught.value)
    assert KEY not in message
    assert "\n" not in message
    assert "some/m" in message
    return caught.value.fault, message, caught.value
