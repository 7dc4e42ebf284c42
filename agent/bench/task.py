"""One task against one model: its requests, the checks of its answers, and what they took.

A request that is refused for the moment (429, 5xx) is asked again, at most twice; every attempt is paid for.
Independent of other tasks and of the schedule.
"""

import asyncio
import json
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import asdict, dataclass, field

import jsonschema

from agent.bench.scenarios import Scenario, Task
from pipelines.errors import LLMError, LLMFault
from pipelines.events import ChatMessage, Clock, ReasoningDelta, TextDelta, ToolCall, ToolSpec, Usage
from pipelines.llm import ChatModel
from pipelines.llm.catalogue import Model
from pipelines.llm.history import CHARACTERS_PER_TOKEN, estimate_tokens
from pipelines.spoken.sentences import SentenceSplitter

_RETRIED = {LLMFault.RATE_LIMITED, LLMFault.SERVER_ERROR}
_ACCEPTED = {LLMFault.STALLED, LLMFault.CUT, LLMFault.MALFORMED}
_RETRIES = 2
_SPEED_TOKENS = 16
_LONGEST_WAIT_S = 5.0  # a provider that asks for more is recorded as failed: a bench does not queue


@dataclass(slots=True)
class Attempt:
    """One request. Times in ms after it was sent; `gap_ms` are the pauses between two deltas of the answer.

    `structured_ok` is whether the tool call kept its schema, `answer_ok` whether the answer is right; None if the task
    does not check that. `cost_usd` is None if the price or the count is unknown. `estimated` means that the server sent
    no usage: `tokens_per_s` then counts one token per delta, though a delta may hold more.
    """

    llm: str
    scenario: str
    task: str
    turn: int
    loaded: bool
    retry: int
    ttft_ms: float | None = None
    first_sentence_ms: float | None = None
    total_ms: float | None = None
    tokens_per_s: float | None = None
    gap_ms: list[float] = field(default_factory=list)
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cached_tokens: int | None = None
    estimated: bool = False
    cost_usd: float | None = None
    fault: str | None = None
    error: str | None = None
    structured_ok: bool | None = None
    answer_ok: bool | None = None
    text: str = ""
    tool_calls: list[tuple[str, str]] = field(default_factory=list)

    def document(self) -> dict[str, object]:
        """Its line in bench.jsonl."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Connected:
    """A model that is connected, with its prices."""

    name: str
    chat: ChatModel
    model: Model
    simulated: bool


async def run_task(
    connected: Connected, scenario: Scenario, task: Task, clock: Clock, note: Callable[[Attempt], None], *, loaded: bool
) -> bool:
    """Hold the conversation; `note` is called with each attempt. Returns whether the task succeeded."""
    messages = [ChatMessage("system", scenario.system)] if scenario.system else []
    succeeded = True
    for number, words in enumerate(task.ask):
        messages.append(ChatMessage("user", words))
        last = number == len(task.ask) - 1
        attempt = await _ask(connected, scenario, task, number, messages, clock, note, loaded=loaded, checked=last)
        if attempt.error is not None:
            return False
        succeeded = attempt.structured_ok is not False and attempt.answer_ok is not False
        messages.append(ChatMessage("assistant", attempt.text))
    return succeeded


async def _ask(
    connected: Connected,
    scenario: Scenario,
    task: Task,
    number: int,
    messages: list[ChatMessage],
    clock: Clock,
    note: Callable[[Attempt], None],
    *,
    loaded: bool,
    checked: bool,
) -> Attempt:
    for retry in range(_RETRIES + 1):
        attempt = Attempt(connected.name, scenario.name, task.name, number, loaded, retry)
        wait_s = 0.5 * 2**retry
        try:
            await measure_request(connected, scenario.tools, messages, clock, attempt)
        except LLMError as error:
            attempt.fault, attempt.error = error.fault.value, str(error)
            attempt.cost_usd = connected.model.cost_usd(_paid_for(error, messages, attempt))
            wait_s = error.retry_after_s if error.retry_after_s is not None else wait_s
        else:
            if not attempt.text and not attempt.tool_calls:
                attempt.fault, attempt.error = "empty", "the answer holds neither text nor a tool call"
            elif checked:
                _check(task, scenario.tools, attempt)
        note(attempt)
        if attempt.fault not in _RETRIED or retry == _RETRIES or wait_s > _LONGEST_WAIT_S:
            break
        await asyncio.sleep(wait_s)
    return attempt


async def measure_request(
    connected: Connected, tools: tuple[ToolSpec, ...], messages: list[ChatMessage], clock: Clock, attempt: Attempt
) -> None:
    """Send one request and note its times and tokens in `attempt`. Raises LLMError."""
    splitter, sent_s = SentenceSplitter(), clock()
    last_s: float | None = None
    first_s: float | None = None
    usage = Usage(None, None)
    async with aclosing(connected.chat.stream(messages, tools)) as events:
        async for event in events:
            now_s = clock()
            match event:
                case TextDelta(text):
                    first_s = now_s if first_s is None else first_s
                    if last_s is not None:
                        attempt.gap_ms.append(round((now_s - last_s) * 1_000, 3))
                    last_s = now_s
                    attempt.text += text
                    if splitter.push(text) and attempt.first_sentence_ms is None:
                        attempt.first_sentence_ms = (now_s - sent_s) * 1_000
                case ToolCall(_, name, arguments):
                    first_s = now_s if first_s is None else first_s
                    last_s = now_s
                    attempt.tool_calls.append((name, arguments))
                case Usage():
                    usage = event
                case ReasoningDelta():
                    pass
    attempt.total_ms = (clock() - sent_s) * 1_000
    if attempt.first_sentence_ms is None and attempt.text:
        attempt.first_sentence_ms = attempt.total_ms
    attempt.ttft_ms = None if first_s is None else (first_s - sent_s) * 1_000
    _count(attempt, usage, connected.model, None if first_s is None or last_s is None else last_s - first_s)


def _paid_for(error: LLMError, messages: list[ChatMessage], attempt: Attempt) -> Usage:
    """What a failed request costs: nothing if it was refused, else what had been sent and written, estimated."""
    if error.fault not in _ACCEPTED:
        return Usage(0, 0)
    return Usage(sum(map(estimate_tokens, messages)), len(attempt.text) // CHARACTERS_PER_TOKEN)


def _count(attempt: Attempt, usage: Usage, model: Model, writing_s: float | None) -> None:
    """Tokens as the server counts them; the speed is that of the answer, without its reasoning and its first token."""
    attempt.prompt_tokens, attempt.completion_tokens = usage.prompt_tokens, usage.completion_tokens
    attempt.cached_tokens = usage.cached_tokens
    attempt.cost_usd = model.cost_usd(usage)
    answer_tokens = len(attempt.gap_ms) + 1
    if usage.completion_tokens is not None:
        answer_tokens = usage.completion_tokens - (usage.reasoning_tokens or 0)
    attempt.estimated = usage.completion_tokens is None
    if writing_s and attempt.text:
        # A few tokens that came in one packet would pass for any speed.
        attempt.tokens_per_s = (answer_tokens - 1) / writing_s if answer_tokens >= _SPEED_TOKENS else None


def _check(task: Task, tools: tuple[ToolSpec, ...], attempt: Attempt) -> None:
    if task.expect:
        attempt.answer_ok = any(pattern.search(attempt.text) for pattern in task.expect)
    if task.expect_tool is None:
        return
    schemas = {tool.name: tool.parameters for tool in tools}
    calls = [(name, _arguments(arguments)) for name, arguments in attempt.tool_calls]
    attempt.structured_ok = bool(calls) and all(
        name in schemas
        and isinstance(arguments, dict)
        and jsonschema.Draft202012Validator(schemas[name]).is_valid(arguments)
        for name, arguments in calls
    )
    wanted = task.expect_arguments or {}
    attempt.answer_ok = any(
        name == task.expect_tool
        and isinstance(arguments, dict)
        and all(_same(arguments.get(key), value) for key, value in wanted.items())
        for name, arguments in calls
    )


def _arguments(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:
        return None


def _same(given: object, wanted: object) -> bool:
    """Whether they are equal; texts, apart from case."""
    if isinstance(given, str) and isinstance(wanted, str):
        return given.strip().casefold() == wanted.casefold()
    return given == wanted
