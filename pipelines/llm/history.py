"""Fits a conversation into a model's context window. Pure; it knows no provider and no tokenizer."""

from collections.abc import Sequence
from dataclasses import dataclass

from pipelines.events import ChatMessage

CHARACTERS_PER_TOKEN = 4
"""OpenAI's rule of thumb for English: "1 token ~= 4 chars" (help.openai.com, "What are tokens")."""

MESSAGE_OVERHEAD_TOKENS = 4
"""Role and separators around each message in the usual chat templates."""


def estimate_tokens(message: ChatMessage) -> int:
    """Tokens that `message` takes in a prompt, estimated from its length."""
    characters = len(message.text) + sum(len(call.name) + len(call.arguments_json) for call in message.tool_calls)
    return -(-characters // CHARACTERS_PER_TOKEN) + MESSAGE_OVERHEAD_TOKENS


@dataclass(frozen=True, slots=True)
class Window:
    """A model's context window in tokens, None if unknown, and what of it is kept free for tools and the answer."""

    tokens: int | None
    reserve_tokens: int


@dataclass(frozen=True, slots=True)
class Fitted:
    """The messages that are sent, how many of the oldest turns were left out, and the estimate for what is left."""

    messages: list[ChatMessage]
    dropped_turns: int
    estimated_tokens: int


_KEPT_OF_ROOM = 0.75
"""Once turns must go, so many go that the next ones fit without moving the beginning again: providers cache a prompt
by its prefix (OpenAI, Cerebras and Groq in blocks of 128 tokens and more), and a beginning that moved on every turn
would never be found there.
"""


def fit(messages: Sequence[ChatMessage], window: Window) -> Fitted:
    """Drop the oldest whole turns until the estimate fits the window.

    The leading system messages and the last turn (the last user message and what follows it) are always kept, even
    where they alone are too long. Tool calls and their results stay together, since a turn is dropped whole. What is
    dropped follows from the conversation alone, so a growing one keeps its beginning for several turns.
    """
    system, turns = _split(messages)
    sizes = [sum(map(estimate_tokens, turn)) for turn in turns]
    system_tokens = sum(map(estimate_tokens, system))
    first, kept_tokens = 0, 0
    room = None if window.tokens is None else window.tokens - window.reserve_tokens - system_tokens
    for last, size in enumerate(sizes):  # the conversation as it grew, turn by turn
        kept_tokens += size
        if room is not None and kept_tokens > room:
            while first < last and kept_tokens > room * _KEPT_OF_ROOM:
                kept_tokens -= sizes[first]
                first += 1
    kept = [*system, *(message for turn in turns[first:] for message in turn)]
    return Fitted(kept, first, system_tokens + kept_tokens)


def _split(messages: Sequence[ChatMessage]) -> tuple[list[ChatMessage], list[list[ChatMessage]]]:
    """The leading system messages, then the turns; a greeting before the first user message is a turn of its own."""
    start = next((i for i, message in enumerate(messages) if message.role != "system"), len(messages))
    turns: list[list[ChatMessage]] = []
    for message in messages[start:]:
        if message.role == "user" or not turns:
            turns.append([])
        turns[-1].append(message)
    return list(messages[:start]), turns
