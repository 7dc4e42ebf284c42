"""Between our events and the JSON of Chat Completions: requests out, stream chunks in.

It knows the wire format and how providers bend it; it opens no connection. Reference: OpenAI's API pages on
Chat Completions streaming. Beside it, Cerebras, Groq and OpenRouter send `reasoning`; DeepSeek, vLLM and llama.cpp send
`reasoning_content`; servers without a reasoning parser leave `<think>` in the text.
"""

from collections.abc import Iterator, Sequence

from pipelines.events import ChatEvent, ChatMessage, ReasoningDelta, TextDelta, ToolCall, ToolSpec, Usage
from pipelines.json_object import JsonObject

_THINK, _END_THINK = "<think>", "</think>"


def message_json(message: ChatMessage) -> JsonObject:
    """`message` as Chat Completions takes it."""
    body: JsonObject = {"role": message.role, "content": message.text}
    if message.tool_calls:
        # Several servers refuse an empty string beside tool calls, all take null.
        body["content"] = message.text or None
        body["tool_calls"] = [
            {"id": call.call_id, "type": "function", "function": {"name": call.name, "arguments": call.arguments_json}}
            for call in message.tool_calls
        ]
    if message.tool_call_id is not None:
        body["tool_call_id"] = message.tool_call_id
    return body


def tools_json(tools: Sequence[ToolSpec]) -> list[JsonObject]:
    """`tools` as Chat Completions takes them."""
    return [
        {"type": "function", "function": {"name": t.name, "description": t.description, "parameters": t.parameters}}
        for t in tools
    ]


class Assembly:
    """Puts the chunks of one stream together; `finished` once the provider has given a reason for stopping."""

    def __init__(self) -> None:
        self.finished = False
        self._text = _ThinkSplitter()
        self._call: _PartialCall | None = None
        self._usage = Usage(None, None)

    def take(self, chunk: JsonObject) -> Iterator[ChatEvent]:
        """Yield what `chunk` brings: text, reasoning, and tool calls that are now whole.

        Raises AttributeError, KeyError or TypeError for a chunk of another shape.
        """
        if chunk.get("usage"):
            self._usage = _usage(chunk["usage"])
        # The chunk that carries the usage has no choice; some servers send null instead of an empty list.
        for choice in (chunk.get("choices") or ())[:1]:
            yield from self._delta(choice.get("delta") or {})
            if choice.get("finish_reason") is not None:
                self.finished = True
                yield from self._text.rest()
                yield from self._whole_call()

    def usage(self) -> Usage:
        """The provider's count so far."""
        return self._usage

    def _delta(self, delta: JsonObject) -> Iterator[ChatEvent]:
        reasoning = delta.get("reasoning") or delta.get("reasoning_content")
        if isinstance(reasoning, str):
            yield ReasoningDelta(reasoning)
        if content := delta.get("content"):
            yield from self._text.split(content)
        for part in delta.get("tool_calls") or ():
            if self._call is None or not self._call.continued_by(part):
                yield from self._whole_call()
                self._call = _PartialCall(part.get("index"))
            self._call.add(part)

    def _whole_call(self) -> Iterator[ToolCall]:
        if self._call is not None:
            yield self._call.whole()
            self._call = None


class _PartialCall:
    """A tool call whose chunks are still coming."""

    def __init__(self, index: int | None) -> None:
        self._index = index
        self._id = ""
        self._name = ""
        self._arguments: list[str] = []

    def continued_by(self, part: JsonObject) -> bool:
        # Some servers number every call 0 and tell them apart by id alone.
        return part.get("index") == self._index and part.get("id") in (None, "", self._id)

    def add(self, part: JsonObject) -> None:
        function = part.get("function") or {}
        self._id = self._id or part.get("id") or ""
        self._name = self._name or function.get("name") or ""
        self._arguments.append(function.get("arguments") or "")

    def whole(self) -> ToolCall:
        return ToolCall(self._id or f"call_{self._index or 0}", self._name, "".join(self._arguments) or "{}")


class _ThinkSplitter:
    """Takes a leading `<think>…</think>` out of the text: servers without a reasoning parser leave it there."""

    def __init__(self) -> None:
        self._held = ""
        self._waiting_for: str | None = _THINK

    def split(self, text: str) -> Iterator[ChatEvent]:
        if self._waiting_for is None:
            yield TextDelta(text)
            return
        self._held += text
        if self._waiting_for == _THINK:
            opening = self._held.lstrip()
            if opening.startswith(_THINK):
                self._held, self._waiting_for = opening.removeprefix(_THINK), _END_THINK
            elif not _THINK.startswith(opening):
                yield from self.rest()
        if self._waiting_for == _END_THINK:
            yield from self._thought()

    def rest(self) -> Iterator[ChatEvent]:
        """What was held back because it might have become a tag."""
        held, thinking = self._held, self._waiting_for == _END_THINK
        self._held, self._waiting_for = "", None
        if held:
            yield ReasoningDelta(held) if thinking else TextDelta(held)

    def _thought(self) -> Iterator[ChatEvent]:
        thought, end, answer = self._held.partition(_END_THINK)
        if end:
            self._held, self._waiting_for = answer.lstrip(), None
            if thought:
                yield ReasoningDelta(thought)
            yield from self.rest()
            return
        keep = max((n for n in range(1, len(_END_THINK)) if thought.endswith(_END_THINK[:n])), default=0)
        self._held = thought[len(thought) - keep :]
        if len(thought) > keep:
            yield ReasoningDelta(thought[: len(thought) - keep])


def _usage(usage: JsonObject) -> Usage:
    return Usage(
        prompt_tokens=usage.get("prompt_tokens"),
        completion_tokens=usage.get("completion_tokens"),
        reasoning_tokens=(usage.get("completion_tokens_details") or {}).get("reasoning_tokens"),
        cached_tokens=(usage.get("prompt_tokens_details") or {}).get("cached_tokens"),
    )
