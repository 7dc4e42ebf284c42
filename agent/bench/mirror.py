"""The same prompts to an incumbent and a candidate: how much faster, and how different the answers.

Prompts are lines of JSON with `messages`, or the turns of a trace. Both models are asked for each prompt, in
alternating order. Answers are compared word by word (normalised Levenshtein similarity); no model judges which of
them is better.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rapidfuzz.distance import Levenshtein

from agent.bench.task import Attempt, Connected, measure_request
from agent.pacer.pacer_process import at_pacer
from agent.trace.reader import Trace, read_trace
from pipelines.errors import InputError, LLMError
from pipelines.events import ChatMessage, Clock
from pipelines.json_object import JsonObject
from pipelines.llm.catalogue import Endpoint
from pipelines.llm.chat import ChatCompletions, ChatSettings
from pipelines.stopwatch.percentiles import interval_of_median, percentiles
from pipelines.stopwatch.record import Record
from pipelines.text import normalise

_ROLES = ("system", "user", "assistant")


@dataclass(frozen=True, slots=True)
class Prompt:
    """A conversation that waits for an answer."""

    name: str
    messages: tuple[ChatMessage, ...]


@dataclass(frozen=True, slots=True)
class Pair:
    """Both answers to one prompt; `similarity` of their words from 0 to 1, None if one of them failed."""

    prompt: Prompt
    incumbent: Attempt
    candidate: Attempt

    @property
    def same(self) -> str | None:
        """`exact`, `normalised` (but for case and punctuation) or `different`; None if one of them failed."""
        if self.incumbent.error or self.candidate.error:
            return None
        ours, theirs = self.candidate.text.strip(), self.incumbent.text.strip()
        if ours == theirs:
            return "exact"
        return "normalised" if normalise(ours) == normalise(theirs) else "different"

    @property
    def similarity(self) -> float | None:
        """Share of the words that need not be changed to make one answer the other."""
        if self.same is None:
            return None
        words = (normalise(attempt.text).split() for attempt in (self.incumbent, self.candidate))
        return float(Levenshtein.normalized_similarity(*words))


def read_prompts(path: Path, limit: int | None = None) -> list[Prompt]:
    """The prompts of a JSONL file or a trace. Raises InputError naming file and line."""
    try:
        lines = [line for line in path.read_text("utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise InputError(f"prompts {path} cannot be read: {reason}") from None
    if not lines:
        raise InputError(f'prompts {path} is empty: each line should be {{"messages": [{{"role": …, "content": …}}]}}')
    if '"session"' in lines[0] and _object(path, 1, lines[0]).get("type") == "session":
        return _from_trace(read_trace(path))[:limit]
    return [_prompt(path, number, _object(path, number, line)) for number, line in enumerate(lines, start=1)][:limit]


def _object(path: Path, number: int, line: str) -> JsonObject:
    try:
        value = json.loads(line)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise InputError(f"prompts {path}, line {number} is not a JSON object")
    return value


def _prompt(path: Path, number: int, document: JsonObject) -> Prompt:
    here = f"prompts {path}, line {number}"
    messages = document.get("messages")
    if not isinstance(messages, list) or not messages:
        raise InputError(f'{here}: "messages" must be a list of messages')
    read = []
    for message in messages:
        if not isinstance(message, dict) or not isinstance(message.get("content"), str):
            raise InputError(f'{here}: every message needs a "role" and a text as "content"')
        if message.get("role") not in _ROLES:
            raise InputError(f"{here}: role {message.get('role')!r} is not one of: {', '.join(_ROLES)}")
        read.append(ChatMessage(message["role"], message["content"]))
    if read[-1].role != "user":
        raise InputError(f"{here}: the last message is the {read[-1].role}'s, so there is nothing to answer")
    return Prompt(str(document.get("id") or number), tuple(read))


def _from_trace(trace: Trace) -> list[Prompt]:
    """Each turn that was answered, with the turns before it in the same replay."""
    system = trace.session.config["agent"]["system_prompt"].strip()
    prompts: list[Prompt] = []
    said: dict[tuple[str | None, str, str], list[ChatMessage]] = {}
    for turn in trace.turns:
        if not turn.transcript or not turn.reply:
            continue
        history = said.setdefault((turn.recording, turn.llm, turn.mode), [])
        history.append(ChatMessage("user", turn.transcript))
        prompt = Prompt(turn.recording or "live", (ChatMessage("system", system), *history))
        if prompt.messages not in [known.messages for known in prompts]:
            prompts.append(prompt)
        history.append(ChatMessage("assistant", turn.reply))
    return prompts


async def mirror(
    prompts: Sequence[Prompt],
    incumbent: Endpoint,
    candidate: Endpoint,
    settings: ChatSettings,
    clock: Clock,
    advance: Callable[[str], None],
) -> list[Pair]:
    """Ask both. A request that fails is kept as such. Raises InputError for a missing key."""
    pairs = []
    async with AsyncExitStack() as stack:
        old, new = [
            await _connect(endpoint, settings, stack) for endpoint in await at_pacer([incumbent, candidate], stack)
        ]
        for number, prompt in enumerate([prompts[0], *prompts]):  # the first once more, to warm up
            order = (old, new) if number % 2 else (new, old)
            answers = [await _ask(model, prompt, clock) for model in order]
            if number:
                pairs.append(Pair(prompt, *(answers if order[0] is old else reversed(answers))))
                advance(prompt.name)
    return pairs


async def _connect(endpoint: Endpoint, settings: ChatSettings, stack: AsyncExitStack) -> Connected:
    chat = ChatCompletions(endpoint, settings)
    stack.push_async_callback(chat.aclose)
    return Connected(endpoint.name, chat, endpoint.model, endpoint.simulated)


async def _ask(model: Connected, prompt: Prompt, clock: Clock) -> Attempt:
    attempt = Attempt(model.name, "mirror", prompt.name, 0, loaded=False, retry=0)
    try:
        await measure_request(model, (), list(prompt.messages), clock, attempt)
    except LLMError as error:
        attempt.fault, attempt.error = error.fault.value, str(error)
    return attempt


class Difference(Record):
    """One time of both models, over the prompts that both answered; in ms."""

    incumbent_p50: float
    """The incumbent's median."""
    candidate_p50: float
    """The candidate's median."""
    delta: float
    """The median difference, candidate - incumbent, prompt by prompt."""
    ci95: tuple[float, float] | None
    """Its 95 % bootstrap interval; None for a single prompt."""


class MirrorSummary(Record):
    """How the two compare."""

    prompts: int
    """How many were asked."""
    failed: dict[str, int]
    """How many requests failed, of the `incumbent` and of the `candidate`."""
    ttft_ms: Difference | None
    """Request sent to the first token."""
    first_sentence_ms: Difference | None
    """Request sent to the first sentence."""
    total_ms: Difference | None
    """Request sent to the end of the answer."""
    same: dict[str, int]
    """How many answers are alike: `exact`, `normalised`, `different`."""
    similarity: float | None
    """The median share of words in common."""


def summary(pairs: Sequence[Pair]) -> MirrorSummary:
    """Differences (candidate - incumbent) with their bootstrap intervals, and how alike the answers are."""
    whole = [pair for pair in pairs if pair.same is not None]
    return MirrorSummary(
        prompts=len(pairs),
        failed={
            "incumbent": sum(pair.incumbent.error is not None for pair in pairs),
            "candidate": sum(pair.candidate.error is not None for pair in pairs),
        },
        ttft_ms=_difference((pair.incumbent.ttft_ms, pair.candidate.ttft_ms) for pair in whole),
        first_sentence_ms=_difference(
            (pair.incumbent.first_sentence_ms, pair.candidate.first_sentence_ms) for pair in whole
        ),
        total_ms=_difference((pair.incumbent.total_ms, pair.candidate.total_ms) for pair in whole),
        same={kind: sum(pair.same == kind for pair in whole) for kind in ("exact", "normalised", "different")},
        similarity=percentiles([pair.similarity for pair in whole]).p50,
    )


def _difference(times: Iterable[tuple[float | None, float | None]]) -> Difference | None:
    both = [(old, new) for old, new in times if old is not None and new is not None]
    if not both:
        return None
    interval = interval_of_median([new - old for old, new in both])
    return Difference(
        incumbent_p50=round(float(np.median([old for old, _ in both])), 2),
        candidate_p50=round(float(np.median([new for _, new in both])), 2),
        delta=round(float(np.median([new - old for old, new in both])), 2),
        ci95=interval and (round(interval[0], 2), round(interval[1], 2)),
    )
