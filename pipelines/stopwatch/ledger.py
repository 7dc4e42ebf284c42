"""Tokens and money: what an answer took, what speculation threw away, what failover paid twice.

Counts are the provider's own if it reported them, otherwise estimates. Cached prompt tokens are reported and not made
cheaper: the catalogue holds no price for them. If a price is unknown, the cost is None, never 0.
"""

from collections.abc import Iterable, Mapping, Sequence

from pipelines.events import FailoverAction, Usage
from pipelines.llm.catalogue import Model
from pipelines.stopwatch.marks import Request
from pipelines.stopwatch.record import Speculation, TokenUsage
from pipelines.stopwatch.spans import TurnTrace
from pipelines.stopwatch.turn_marks import ReplyMarks

Prices = Mapping[str, Model]
"""The models by catalogue name."""


def usage_of(reply: ReplyMarks, prices: Prices) -> TokenUsage:
    """The tokens and the price of an answer; `abandoned_…` is what failover gave up and pays for nonetheless."""
    abandoned = [given_up for request in reply.requests for given_up in _abandoned(request)]
    cached = [r.usage.cached_tokens for r in reply.requests if r.usage and r.usage.cached_tokens is not None]
    return TokenUsage(
        prompt_tokens=sum(map(_prompt_tokens, reply.requests)),
        completion_tokens=sum(map(_completion_tokens, reply.requests)),
        cached_tokens=sum(cached) if cached else None,
        cost_usd=_cost_usd(map(_spent, reply.requests), prices),
        estimated=any(None in _told(r) for r in reply.requests),
        abandoned_requests=len(abandoned),
        abandoned_tokens=sum(prompt for _, prompt, _ in abandoned),
        abandoned_cost_usd=_cost_usd(abandoned, prices),
    )


def speculation_of(trace: TurnTrace, prices: Prices) -> Speculation:
    """The ledger of what was begun early."""
    marks = trace.marks
    requests = [request for reply in marks.discards for request in reply.requests]
    given_up = [lost for request in requests for lost in _abandoned(request)]
    return Speculation(
        requests=len(marks.early),
        hit=marks.hit,
        discards=len(marks.discards),
        saved_ms=round(trace.saved_ms, 2),
        wasted_prompt_tokens=sum(map(_prompt_tokens, requests)) + sum(prompt for _, prompt, _ in given_up),
        wasted_tokens=sum(map(_completion_tokens, requests)),
        wasted_cost_usd=_cost_usd([*map(_spent, requests), *given_up], prices),
    )


def answer_tokens(request: Request) -> int:
    """Completion tokens without reasoning: by the provider's usage, else one a delta."""
    usage = request.usage
    if usage is None or usage.completion_tokens is None:
        return request.deltas
    return usage.completion_tokens - (usage.reasoning_tokens or 0)


_Spent = tuple[str, int, int]
"""A model's catalogue name, prompt tokens, completion tokens."""


def _cost_usd(spent: Iterable[_Spent], prices: Prices) -> float | None:
    """The sum; None as soon as one model's price is unknown."""
    costs = []
    for llm, prompt, completion in spent:
        model = prices.get(llm)
        cost = model.cost_usd(Usage(prompt, completion)) if model else None
        if cost is None:
            return None
        costs.append(cost)
    return sum(costs)


def _spent(request: Request) -> _Spent:
    return request.llm, _prompt_tokens(request), _completion_tokens(request)


def _abandoned(request: Request) -> Sequence[_Spent]:
    """Requests beside this one that were accepted and came to nothing: the prompt is paid, no token had come."""
    lost = [d.gave_up for d in request.decisions if d.gave_up and d.action is not FailoverAction.FINISHED]
    hedged = [d.llm for d in request.decisions if d.action is FailoverAction.HEDGED]
    if request.first_token_s is None and not lost:
        lost = hedged  # cancelled while both were being waited for
    return [(llm, _prompt_tokens(request), 0) for llm in lost]


def _told(request: Request) -> tuple[int | None, int | None]:
    """Prompt and completion tokens as the provider counted them."""
    return (request.usage.prompt_tokens, request.usage.completion_tokens) if request.usage else (None, None)


def _prompt_tokens(request: Request) -> int:
    told, _ = _told(request)
    return request.context.estimated_tokens if told is None else told


def _completion_tokens(request: Request) -> int:
    _, told = _told(request)
    return request.deltas if told is None else told
