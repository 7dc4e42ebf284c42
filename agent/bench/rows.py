"""Attempts -> a row for each model and scenario (the contract of `bench --json`). It sends and prints nothing."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from agent.bench.schedule import Plan, PlanOutcome
from agent.bench.task import Attempt
from pipelines.stopwatch.percentiles import Percentiles, interval_of_difference, percentiles
from pipelines.stopwatch.record import Record

_FEWEST = 5  # resampling fewer values says nothing about others


class BenchRow(Record):
    """One model in one scenario; rates from 0 to 1, None for what was not measured."""

    llm: str
    """The model, by its name in the catalogue."""
    scenario: str
    """The scenario, by name."""
    simulated: bool
    """Whether the model is the pacer."""
    n: int
    """How many tasks were tried."""
    requests: int
    """How many requests that took."""
    retries: int
    """How many of these were asked again."""
    ttft_ms: Percentiles
    """Request sent to the first token; a tool call counts when it is whole."""
    first_sentence_ms: Percentiles
    """Request sent to the first sentence."""
    total_ms: Percentiles
    """Request sent to the end of the answer."""
    tokens_per_s: Percentiles
    """The answer's speed, without reasoning and the first token."""
    tokens_estimated: bool
    """Whether a server reported no usage for a stream, so that its pieces are counted."""
    stall_p99_ms: float | None
    """The pause between two pieces of an answer that 99 % do not exceed."""
    error_rate: float | None
    """Requests that failed."""
    errors: dict[str, int]
    """How often each fault occurred."""
    structured_error_rate: float | None
    """Answers that broke their tool's schema."""
    answer_error_rate: float | None
    """Answers that were wrong."""
    success_rate: float | None
    """Tasks that were done."""
    tokens_per_success: float | None
    """All tokens divided by the tasks that were done."""
    usd_per_success: float | None
    """All US dollars divided by the tasks that were done, retries and failures included; None if a price is unknown."""
    cost_usd: float | None
    """US dollars in all; None if a price is unknown."""
    cached_tokens: int | None
    """Prompt tokens that came from a cache."""
    p99_alone_ms: float | None
    """The TTFT that 99 % do not exceed, with no other request under way."""
    p99_loaded_ms: float | None
    """The same under load."""
    delta_ttft_ms: float | None
    """The difference of the median TTFT to the first model's."""
    ci95_ms: tuple[float, float] | None
    """Its 95 % interval; None for a handful of requests."""


def bench_rows(plan: Plan, outcome: PlanOutcome, simulated: dict[str, bool]) -> list[BenchRow]:
    """The rows, the scenarios in the plan's order, the first model as the baseline of each.

    `delta_ttft_ms` is the difference of the median TTFT with its bootstrap interval; a scenario measured alone and in a
    mix has the p99 of its TTFT for both.
    """
    return [
        row
        for scenario in plan.scenarios
        for llm in plan.llms
        if (row := _row(plan, outcome, llm, scenario.name, simulated[llm])).requests
    ]


def _row(plan: Plan, outcome: PlanOutcome, llm: str, scenario: str, simulated: bool) -> BenchRow:
    is_mix = any(s.name == scenario and s.mix for s in plan.scenarios)
    attempts = _of(plan, outcome, llm, scenario)
    tasks = [
        done
        for (model, name, loaded), results in outcome.tasks.items()
        if model == llm and (loaded if is_mix else name == scenario and not loaded)
        for done in results
    ]
    answered = [a for a in attempts if a.error is None]
    costs = [a.cost_usd for a in attempts]
    successes = sum(tasks)
    structured = [a.structured_ok for a in answered if a.structured_ok is not None]
    checked = [a.answer_ok for a in answered if a.answer_ok is not None]
    gaps = [gap for a in answered for gap in a.gap_ms]
    delta, interval = (
        _difference(answered, _of(plan, outcome, plan.llms[0], scenario)) if llm != plan.llms[0] else (None, None)
    )
    return BenchRow(
        llm=llm,
        scenario=scenario,
        simulated=simulated,
        n=len(tasks),
        requests=len(attempts),
        retries=sum(a.retry > 0 for a in attempts),
        ttft_ms=percentiles([a.ttft_ms for a in answered]),
        first_sentence_ms=percentiles([a.first_sentence_ms for a in answered]),
        total_ms=percentiles([a.total_ms for a in answered]),
        tokens_per_s=percentiles([a.tokens_per_s for a in answered]),
        tokens_estimated=any(a.estimated for a in answered),
        stall_p99_ms=round(float(np.percentile(gaps, 99)), 2) if gaps else None,
        error_rate=round(1 - len(answered) / len(attempts), 4) if attempts else None,
        errors=dict(Counter(a.fault for a in attempts if a.fault is not None)),
        structured_error_rate=_share_wrong(structured),
        answer_error_rate=_share_wrong(checked),
        success_rate=round(successes / len(tasks), 4) if tasks else None,
        tokens_per_success=_per_success([_tokens(a) for a in attempts], successes),
        usd_per_success=_per_success(costs, successes),
        cost_usd=None if None in costs else round(float(sum(filter(None, costs))), 8),
        cached_tokens=_sum_reported([a.cached_tokens for a in answered]),
        p99_alone_ms=None if is_mix else _p99(answered),
        p99_loaded_ms=_p99(answered) if is_mix else _p99(_of(plan, outcome, llm, scenario, loaded=True)),
        delta_ttft_ms=delta,
        ci95_ms=interval,
    )


def _of(plan: Plan, outcome: PlanOutcome, llm: str, scenario: str, *, loaded: bool | None = None) -> list[Attempt]:
    """The attempts of a row; a mix takes all that were made under load."""
    is_mix = any(s.name == scenario and s.mix for s in plan.scenarios)
    wanted = is_mix if loaded is None else loaded
    return [a for a in outcome.attempts if a.llm == llm and a.loaded == wanted and (is_mix or a.scenario == scenario)]


def _difference(ours: Sequence[Attempt], theirs: Sequence[Attempt]) -> tuple[float | None, tuple[float, float] | None]:
    """The difference of the medians of the TTFT, and its 95 % interval; None for a handful."""
    mine = [a.ttft_ms for a in ours if a.ttft_ms is not None]
    base = [a.ttft_ms for a in theirs if a.error is None and a.ttft_ms is not None]
    if not mine or not base:
        return None, None
    if min(len(mine), len(base)) < _FEWEST:
        return round(float(np.median(mine) - np.median(base)), 2), None
    low, high = interval_of_difference(mine, base)
    return round(float(np.median(mine) - np.median(base)), 2), (round(low, 2), round(high, 2))


def _p99(attempts: Sequence[Attempt]) -> float | None:
    return percentiles([a.ttft_ms for a in attempts if a.error is None]).p99


def _share_wrong(results: Sequence[bool | None]) -> float | None:
    return round(sum(not result for result in results) / len(results), 4) if results else None


def _tokens(attempt: Attempt) -> int | None:
    if attempt.prompt_tokens is None or attempt.completion_tokens is None:
        return None if attempt.error is None else 0
    return attempt.prompt_tokens + attempt.completion_tokens


def _per_success(values: Sequence[float | None], successes: int) -> float | None:
    """The sum over all attempts per task that succeeded; None if a value is unknown or nothing succeeded."""
    if not successes or None in values:
        return None
    return float(f"{sum(value for value in values if value is not None) / successes:.6g}")


def _sum_reported(values: Sequence[int | None]) -> int | None:
    reported = [value for value in values if value is not None]
    return sum(reported) if reported else None
