"""Attempts -> a row for each model and scenario (the contract of `bench --json`). It asks nobody and prints nothing."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from agent.bench.schedule import Outcome, Plan
from agent.bench.task import Attempt
from pipelines.stopwatch.percentiles import interval_of_difference, percentiles

_FEWEST = 5  # of fewer values, resampling them says nothing of others


def bench_rows(plan: Plan, outcome: Outcome, simulated: dict[str, bool]) -> list[dict[str, Any]]:
    """The rows, the scenarios in the plan's order, the first model as the baseline of each.

    `delta_ttft_ms` is the difference of the median TTFT with its bootstrap interval; a scenario measured alone and in a
    mix has the p99 of its TTFT for both.
    """
    return [
        row
        for scenario in plan.scenarios
        for llm in plan.llms
        if (row := _row(plan, outcome, llm, scenario.name, simulated[llm]))["requests"]
    ]


def _row(plan: Plan, outcome: Outcome, llm: str, scenario: str, simulated: bool) -> dict[str, Any]:
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
    return {
        "llm": llm,
        "scenario": scenario,
        "simulated": simulated,
        "n": len(tasks),
        "requests": len(attempts),
        "retries": sum(a.retry > 0 for a in attempts),
        "ttft_ms": _percentiles([a.ttft_ms for a in answered]),
        "first_sentence_ms": _percentiles([a.first_sentence_ms for a in answered]),
        "total_ms": _percentiles([a.total_ms for a in answered]),
        "tokens_per_s": _percentiles([a.tokens_per_s for a in answered]),
        "tokens_estimated": any(a.estimated for a in answered),
        "stall_p99_ms": round(float(np.percentile(gaps, 99)), 2) if gaps else None,
        "error_rate": round(1 - len(answered) / len(attempts), 4) if attempts else None,
        "errors": dict(Counter(a.fault for a in attempts if a.fault is not None)),
        "structured_error_rate": _share_wrong(structured),
        "answer_error_rate": _share_wrong(checked),
        "success_rate": round(successes / len(tasks), 4) if tasks else None,
        "tokens_per_success": _per_success([_tokens(a) for a in attempts], successes),
        "usd_per_success": _per_success(costs, successes),
        "cost_usd": None if None in costs else round(float(sum(filter(None, costs))), 8),
        "cached_tokens": _sum_told([a.cached_tokens for a in answered]),
        "p99_alone_ms": None if is_mix else _p99(answered),
        "p99_loaded_ms": _p99(answered) if is_mix else _p99(_of(plan, outcome, llm, scenario, loaded=True)),
        "delta_ttft_ms": delta,
        "ci95_ms": interval,
    }


def _of(plan: Plan, outcome: Outcome, llm: str, scenario: str, *, loaded: bool | None = None) -> list[Attempt]:
    """The attempts of a row; a mix takes all that were made under load."""
    is_mix = any(s.name == scenario and s.mix for s in plan.scenarios)
    wanted = is_mix if loaded is None else loaded
    return [a for a in outcome.attempts if a.llm == llm and a.loaded == wanted and (is_mix or a.scenario == scenario)]


def _difference(ours: Sequence[Attempt], theirs: Sequence[Attempt]) -> tuple[float | None, list[float] | None]:
    """The difference of the medians of the TTFT, and its 95 % interval; None for that of a handful."""
    mine = [a.ttft_ms for a in ours if a.ttft_ms is not None]
    base = [a.ttft_ms for a in theirs if a.error is None and a.ttft_ms is not None]
    if not mine or not base:
        return None, None
    if min(len(mine), len(base)) < _FEWEST:
        return round(float(np.median(mine) - np.median(base)), 2), None
    low, high = interval_of_difference(mine, base)
    return round(float(np.median(mine) - np.median(base)), 2), [round(low, 2), round(high, 2)]


def _percentiles(values: Sequence[float | None]) -> dict[str, float | int | None]:
    return percentiles(values).model_dump()


def _p99(attempts: Sequence[Attempt]) -> float | None:
    return percentiles([a.ttft_ms for a in attempts if a.error is None]).p99


def _share_wrong(results: Sequence[bool | None]) -> float | None:
    return round(sum(not result for result in results) / len(results), 4) if results else None


def _tokens(attempt: Attempt) -> int | None:
    if attempt.prompt_tokens is None or attempt.completion_tokens is None:
        return None if attempt.error is None else 0
    return attempt.prompt_tokens + attempt.completion_tokens


def _per_success(values: Sequence[float | None], successes: int) -> float | None:
    """The sum over all attempts by the tasks that succeeded; None where a value is unknown or nothing succeeded."""
    if not successes or None in values:
        return None
    return float(f"{sum(value for value in values if value is not None) / successes:.6g}")


def _sum_told(values: Sequence[int | None]) -> int | None:
    told = [value for value in values if value is not None]
    return sum(told) if told else None
