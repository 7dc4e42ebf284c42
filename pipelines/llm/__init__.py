"""The LLM side: the chat stream, the provider catalogue, the pacer. Independent of audio."""

from collections.abc import AsyncGenerator, Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:  # whoever wants a name of this package alone need not load numpy
    from pipelines.events import ChatEvent, ChatMessage, ToolSpec


class ChatModel(Protocol):
    """A streaming Chat Completions model; `name` is its catalogue name, such as `sim/cerebras-llama3.1-8b`."""

    name: str

    def stream(
        self, messages: "Sequence[ChatMessage]", tools: "Sequence[ToolSpec]" = ()
    ) -> "AsyncGenerator[ChatEvent]":
        """Send one request and yield what comes back; closing the iterator cancels the request. Raises LLMError."""
        ...

    async def warm_up(self) -> None:
        """Open the connection, so that no turn pays for a handshake. Raises LLMError."""
        ...

    async def aclose(self) -> None:
        """Close the connection."""
        ...
