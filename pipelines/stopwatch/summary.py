"""What many turns come to: the summary of a run, and the rows of a comparison.

It computes over records, independent of files, terminals and charts. Percentiles are over completed turns only:
interrupted, tool and failed ones are counted beside them.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from pipelines.llm.failover import FailoverState
from pipelines.modes import Mode, Outcome
from pipelines.stopwatch.percentiles import Percentiles, interval_of_median, percentiles
from pipelines.stopwatch.record import Record, TurnRecord
from pipelines.stopwatch.timeline import Stage
from pipelines.stt.wer import word_error_rate
from pipelines.text import normalise


class SpeculationSummary(Record):
    """What speculation came to, over the completed turns of the speculative mode."""

    turns: int
    """How many those are."""
    hits: int
    """Answers that were begun before the turn was over."""
    requests: int
    """Replies that were begun early."""
    discards: int
    """Those that were thrown away."""
    saved_ms: Percentiles
    """What each hit saved, in ms."""
    wasted_tokens: int
    """Completion tokens of what was thrown away."""


class FailoverSummary(Record):
    """How often failover decided what, and what it paid for requests that it gave up."""

    decisions: dict[str, int]
    """How often each, by its action."""
    abandoned_requests: int
    """Requests that were given up and paid for nonetheless."""
    abandoned_cost_usd: float | None
    """Their price in US dollars; None if one is unknown."""
    states: dict[str, FailoverState]
    """How things stood at the end with each model that has a standby, by the model's name."""


class Summary(Record):
    """A run."""

    turn_latency_ms: Percentiles
    """End of the user's speech to the first audible sample, completed turns, ms."""
    endpointing_ms: Percentiles
    """End of the user's speech to the decision that the turn is over, completed turns, ms."""
    overhead_ms: Percentiles
    """What of the critical path belongs to no stage, completed turns, ms."""
    event_loop_lag_ms: Percentiles
    """How much later than asked for a sleeping task was woken, ms."""
    wer: float | None
    """Word error rate over all words of the voices that were tuned on; None if nothing was scored."""
    wer_held_out: float | None
    """The same for held-out voices."""
    outcomes: dict[str, int]
    """How many turns ended in each way."""
    early_commits: int
    """Turns taken to be over before they were, whether heard or withdrawn in time."""
    false_cut_ins: int
    """Those of them that were heard."""
    starved_ms: float
    """Silence within answers for want of speech, ms in all."""
    speculation: SpeculationSummary
    """What was begun early."""
    failover: FailoverSummary
    """What failover did."""
    cost_usd: float | None
    """US dollars for everything that was asked, including what came to nothing; None if a price is unknown."""


class Row(Record):
    """The turns of one LLM and mode; figures over its completed ones."""

    llm: str
    """The model, by its name in the catalogue."""
    mode: str
    """The turn mode."""
    simulated: bool
    """Whether the model is the pacer."""
    p50_ms: float | None
    """The median turn latency."""
    p95_ms: float | None
    """Its 95th percentile."""
    n: int
    """How many turns completed."""
    shares_ms: dict[str, float]
    """The mean critical path, ms by stage, in the order of a turn."""
    llm_leg_ms: float | None
    """What the median turn waited for the LLM."""
    saved_ms: float | None
    """What speculation saved, median."""
    hits: int
    """Answers that were begun before the turn was over."""
    requests: int
    """Replies that were begun early."""
    wasted_tokens: int
    """Completion tokens of replies that were thrown away."""
    cost_usd: float | None
    """US dollars for everything that was asked; None if a price is unknown."""
    delta_ms: float | None
    """The median difference to the baseline's turns, turn by turn; None for the baseline itself."""
    ci95_ms: tuple[float, float] | None
    """Its 95 % interval; None if there are too few pairs."""
    failed: int
    """How many turns failed."""


def summarise(
    turns: Sequence[TurnRecord], loop_lag_ms: Sequence[float], states: Mapping[str, FailoverState] | None = None
) -> Summary:
    """Percentiles, error counts and the invariants of a run; `states` are the failovers' at its end."""
    completed = [turn for turn in turns if turn.is_completed]
    scored = [turn for turn in turns if turn.wer is not None]
    return Summary(
        turn_latency_ms=percentiles([turn.turn_latency_ms for turn in completed]),
        endpointing_ms=percentiles([turn.stages.endpointing_ms for turn in completed]),
        overhead_ms=percentiles([turn.share_ms(Stage.OVERHEAD) for turn in completed]),
        event_loop_lag_ms=percentiles(loop_lag_ms),
        wer=_pooled_wer([turn for turn in scored if not turn.held_out]),
        wer_held_out=_pooled_wer([turn for turn in scored if turn.held_out]),
        outcomes={o.value: n for o in Outcome if (n := sum(turn.outcome is o for turn in turns))},
        early_commits=sum(bool(turn.resumed_ms or turn.false_cut_in) for turn in turns),
        false_cut_ins=sum(turn.false_cut_in for turn in turns),
        starved_ms=round(sum(turn.starved_ms or 0.0 for turn in turns), 1),
        speculation=_speculation(completed),
        failover=_failover(turns, states or {}),
        cost_usd=_total_cost(turns),
    )


def _pooled_wer(turns: Sequence[TurnRecord]) -> float | None:
    if not turns:
        return None
    references, heard = [turn.reference or "" for turn in turns], [turn.scored_transcript or "" for turn in turns]
    return round(word_error_rate(references, heard), 4)


def _speculation(completed: Sequence[TurnRecord]) -> SpeculationSummary:
    entries = [turn.speculation for turn in completed if turn.mode == Mode.SPECULATIVE]
    return SpeculationSummary(
        turns=len(entries),
        hits=sum(entry.hit for entry in entries),
        requests=sum(entry.requests for entry in entries),
        discards=sum(entry.discards for entry in entries),
        saved_ms=percentiles([entry.saved_ms for entry in entries if entry.hit]),
        wasted_tokens=sum(entry.wasted_tokens for entry in entries),
    )


def _total_cost(turns: Iterable[TurnRecord]) -> float | None:
    """Dollars for everything that was asked, including in vain; None as soon as one price is unknown."""
    return _sum_usd(
        cost
        for turn in turns
        if turn.usage
        for cost in (turn.usage.cost_usd, turn.usage.abandoned_cost_usd, turn.speculation.wasted_cost_usd)
    )


def _sum_usd(costs: Iterable[float | None]) -> float | None:
    known = list(costs)
    return None if None in known else round(sum(cost or 0.0 for cost in known), 8)


def _failover(turns: Sequence[TurnRecord], states: Mapping[str, FailoverState]) -> FailoverSummary:
    usages = [turn.usage for turn in turns if turn.usage]
    return FailoverSummary(
        decisions=Counter(decision.action.value for turn in turns for decision in turn.failover),
        abandoned_requests=sum(usage.abandoned_requests for usage in usages),
        abandoned_cost_usd=_sum_usd(usage.abandoned_cost_usd for usage in usages),
        states=dict(states),
    )


# ---------------------------------------------------------------- comparison


def rows(turns: Sequence[TurnRecord], baseline: str) -> list[Row]:
    """A row for each LLM and mode; `delta_ms` is against the LLM `baseline` in the same mode, turn by turn.

    `ci95_ms` bounds the median of those differences by the percentile bootstrap (Efron 1979, 2,000 resamples, fixed
    seed).
    """
    found = cells(turns)
    return [_row(llm, mode, cell, found.get((baseline, mode), [])) for (llm, mode), cell in found.items()]


def cells(turns: Iterable[TurnRecord]) -> dict[tuple[str, str], list[TurnRecord]]:
    """The turns by LLM and mode, in the order in which these first come."""
    found: dict[tuple[str, str], list[TurnRecord]] = {}
    for turn in turns:
        found.setdefault((turn.llm, turn.mode), []).append(turn)
    return found


def _row(llm: str, mode: str, cell: Sequence[TurnRecord], baseline: Sequence[TurnRecord]) -> Row:
    completed = [turn for turn in cell if turn.is_completed]
    latency = percentiles([turn.turn_latency_ms for turn in completed])
    found = {segment.stage for turn in completed for segment in turn.critical_path}
    delta, interval = _paired(completed, baseline)
    speculation = _speculation(completed)
    return Row(
        llm=llm,
        mode=mode,
        simulated=any(turn.simulated for turn in cell),
        p50_ms=latency.p50,
        p95_ms=latency.p95,
        n=latency.n,
        shares_ms={
            stage.value: round(float(np.mean([turn.share_ms(stage) for turn in completed])), 2)
            for stage in Stage
            if stage in found
        },
        llm_leg_ms=percentiles([turn.llm_leg_ms for turn in completed]).p50,
        saved_ms=percentiles([turn.speculation.saved_ms for turn in completed]).p50,
        hits=speculation.hits,
        requests=speculation.requests,
        wasted_tokens=speculation.wasted_tokens,
        cost_usd=_total_cost(cell),
        delta_ms=delta,
        ci95_ms=interval,
        failed=sum(turn.outcome is Outcome.FAILED for turn in cell),
    )


def _paired(
    turns: Sequence[TurnRecord], baseline: Sequence[TurnRecord]
) -> tuple[float | None, tuple[float, float] | None]:
    """The median difference over turns that both have, and its interval, None if only one has; (None, None) for the
    baseline itself.
    """
    reference = {key: turn.turn_latency_ms for key, turn in numbered(baseline)}
    differences = [
        turn.turn_latency_ms - before
        for key, turn in numbered(turns)
        if turn.turn_latency_ms is not None and (before := reference.get(key)) is not None
    ]
    if not differences or (turns and baseline and turns[0].llm == baseline[0].llm):
        return None, None
    interval = interval_of_median(differences)
    return round(float(np.median(differences)), 2), interval and (round(interval[0], 2), round(interval[1], 2))


def numbered(turns: Iterable[TurnRecord]) -> list[tuple[tuple[str | None, str, int], TurnRecord]]:
    """Completed turns by what they answer: the recording, its reference, and how often that was replayed before."""
    seen: Counter[tuple[str | None, str]] = Counter()
    numbered = []
    for turn in turns:
        if turn.outcome is not Outcome.COMPLETED:
            continue
        key = (turn.recording, normalise(turn.reference or turn.transcript))
        seen[key] += 1
        numbered.append(((*key, seen[key]), turn))
    return numbered
