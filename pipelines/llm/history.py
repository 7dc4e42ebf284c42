"""Fits a conversation into a model's context window. Pure; it knows no provider and no tokenizer."""

from collections.abc import Sequence

from pipelines.events import ChatMessage

CHARACTERS_PER_TOKEN = 4
"""OpenAI's rule of thumb for English: "1 token ~= 4 chars" (help.openai.com, "What are tokens")."""

MESSAGE_OVERHEAD_TOKENS = 4
"""Role and separators around each message in the usual chat templates."""


def estimate_tokens(message: ChatMessage) -> int:
    """Tokens that `message` takes in a prompt, estimated from its length."""
    characters = len(message.text) + sum(len(call.name) + len(call.arguments_json) for call in message.tool_calls)
    return -(-characters // CHARACTERS_PER_TOKEN) + MESSAGE_OVERHEAD_TOKENS


def fit(messages: Sequence[ChatMessage], context_window_tokens: int | None, reserve_tokens: int) -> list[ChatMessage]:
    """Drop the oldest whole turns until the estimate leaves `reserve_tokens` of the window for the answer.

    The leading system messages and the last turn (the last user message and what follows it) are always kept, even
    where they alone are too long. None as window means unknown: nothing is dropped. Tool calls and their results stay
    together, since a turn is dropped whole.
    """
    if context_window_tokens is None:
        return list(messages)
    system, turns = _split(messages)
    room = context_window_tokens - reserve_tokens - sum(map(estimate_tokens, system))
    sizes = [sum(map(estimate_tokens, turn)) for turn in turns]
    first = 0
    while first < len(turns) - 1 and sum(sizes[first:]) > room:
        first += 1
    return [*system, *(message for turn in turns[first:] for message in turn)]


def _split(messages: Sequence[ChatMessage]) -> tuple[list[ChatMessage], list[list[ChatMessage]]]:
    """The leading system messages, then the turns; a greeting before the first user message is a turn of its own."""
    start = next((i for i, message in enumerate(messages) if message.role != "system"), len(messages))
    turns: list[list[ChatMessage]] = []
    for message in messages[start:]:
        if message.role == "user" or not turns:
            turns.append([])
        turns[-1].append(message)
    return list(messages[:start]), turns
