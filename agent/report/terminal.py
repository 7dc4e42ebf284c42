"""What a run prints for people.

Progress while it works, tables and one sentence when it is done. All of it goes to the console given.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from agent.report.stages import llm_label
from pipelines.llm.breaker import BreakerState
from pipelines.modes import Mode, Outcome
from pipelines.stopwatch.timeline import Stage

if TYPE_CHECKING:
    from pipelines.llm.failover import FailoverState
    from pipelines.stopwatch.record import TurnRecord
    from pipelines.stopwatch.summary import Row, Summary


class Advance(Protocol):
    """Moves the progress bar on by one."""

    def __call__(self, what: str) -> None:
        """`what` has just been done."""
        ...


@contextmanager
def progress(console: Console, title: str, total: int) -> Iterator[Advance]:
    """A progress bar on stderr; nothing at all if that is not a terminal."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(title, total=total)

        def advance(what: str) -> None:
            bar.update(task, advance=1, description=f"{title} · {what}")

        yield advance


def grid(rows: "Sequence[Row]") -> Table:
    """Modes x LLMs: p50 and p95 turn latency, the LLM leg, what speculation saved."""
    table = Table(title="turn latency: end of the user's speech to first audible sample, ms", title_justify="left")
    for name in ("mode", "LLM"):
        table.add_column(name)
    for name in ("p50", "p95", "n", "LLM leg", "saved", "vs. first LLM"):
        table.add_column(name, justify="right")
    last = None
    for row in rows:
        if last not in (None, row.mode):
            table.add_section()
        mode = row.mode if row.mode != last else ""
        last = row.mode
        table.add_row(
            mode,
            llm_label(row.llm),
            _number(row.p50_ms),
            _number(row.p95_ms),
            str(row.n),
            _number(row.llm_leg_ms),
            _number(row.saved_ms) if row.mode == Mode.SPECULATIVE else "–",
            _difference(row),
        )
    return table


def turns_table(turns: "Sequence[TurnRecord]") -> Table:
    """A line per turn: what was heard, what was answered, and how long it took."""
    table = Table(title="turns", title_justify="left")
    for name in ("recording", "heard", "outcome"):
        table.add_column(name)
    table.add_column("latency ms", justify="right")
    for turn in turns:
        outcome = turn.outcome + (" (cut in)" if turn.false_cut_in else "")
        latency_ms = None if turn.outcome is Outcome.FAILED else turn.turn_latency_ms  # that of an apology
        table.add_row(turn.recording, turn.transcript, outcome, _number(latency_ms))
    return table


def shares(rows: "Sequence[Row]") -> Table:
    """The critical path, mean ms: a line per stage, by the names that --fail-if takes, a column per LLM and mode."""
    found = {stage for row in rows for stage in row.shares_ms}
    table = Table(title="critical path, mean ms", title_justify="left")
    table.add_column("stage")
    for row in rows:
        table.add_column(f"{llm_label(row.llm)}\n{row.mode}", justify="right")
    for stage in (stage.value for stage in Stage if stage.value in found):
        table.add_row(stage, *(_number(row.shares_ms.get(stage, 0.0)) for row in rows))
    return table


def summary_lines(summary: "Summary", cells: int) -> list[str]:
    """The run in a few plain lines; over several `cells` of LLM and mode a pooled latency would describe no agent."""
    latency, ledger = summary.turn_latency_ms, summary.speculation
    lines = [
        f"outcomes: {', '.join(f'{n} {name}' for name, n in summary.outcomes.items())}; "
        f"false cut-ins: {summary.false_cut_ins} heard, "
        f"{summary.early_commits - summary.false_cut_ins} taken back in time"
    ]
    if latency.n and cells == 1:
        lines.append(
            f"turn latency p50 {_number(latency.p50)} ms, p95 {_number(latency.p95)} ms, "
            f"p99 {_number(latency.p99)} ms, n = {latency.n}; "
            f"endpointing delay p50 {_number(summary.endpointing_ms.p50)} ms"
        )
    if latency.n:
        lines.append(
            f"overhead p50 {summary.overhead_ms.p50} ms, p99 {summary.overhead_ms.p99} ms; "
            f"event-loop lag p99 {summary.event_loop_lag_ms.p99} ms"
        )
    if summary.wer is not None or summary.wer_held_out is not None:
        lines.append(f"word error rate {_rates(summary.wer, summary.wer_held_out)}")
    if ledger.requests:
        lines.append(
            f"speculation: {ledger.hits} of {ledger.turns} turns hit, {ledger.requests} requests, "
            f"{ledger.discards} discarded, {ledger.wasted_tokens} tokens wasted"
        )
    if summary.failover.decisions:
        lines.append(_failover_line(summary))
    lines += [standby_line(llm, state) for llm, state in summary.failover.states.items()]
    return lines


def standby_line(llm: str, state: "FailoverState") -> str:
    """How things stand between a model and its standby, at the end or in mid-conversation."""
    fault, budget = state.standby_fault, state.budget_ms
    ready = "ready" if fault is None else f"not ready: {fault}"
    kept_out = "" if state.primary is BreakerState.CLOSED else f"; {llm} is kept out (breaker {state.primary})"
    hedge = "not hedged" if budget is None else f"asked too after {_number(budget)} ms"
    return f"standby of {llm}: {ready}, {hedge}{kept_out}"


def _failover_line(summary: "Summary") -> str:
    """What failover did, and what it cost beside the answers."""
    failover = summary.failover
    decisions = ", ".join(f"{n} {action.replace('_', ' ')}" for action, n in failover.decisions.items())
    extra, total = failover.abandoned_cost_usd, summary.cost_usd
    if extra is None or total is None:
        cost = "unknown"
    else:
        cost = f"${extra:.6f} of ${total:.6f}" + (f" ({extra / total:.1%})" if total else "")
    return f"failover: {decisions}; {failover.abandoned_requests} requests paid twice, extra cost {cost}"


def failure_lines(turns: "Sequence[TurnRecord]") -> list[str]:
    """What failed and why: a line for each turn with an error, the same error once."""
    failures: dict[str, list[str]] = {}
    for turn in turns:
        if turn.error:
            failures.setdefault(turn.error, []).append(turn.recording or "live")
    return [f"failed: {error} ({', '.join(dict.fromkeys(names))})" for error, names in failures.items()]


def _rates(tuned: float | None, held_out: float | None) -> str:
    if held_out is None:
        return f"{tuned:.1%}"
    return f"{held_out:.1%} (held-out voices)" if tuned is None else f"{tuned:.1%} (held-out voices: {held_out:.1%})"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:,.0f}"


def _difference(row: "Row") -> str:
    if row.delta_ms is None:
        return "–"
    if row.ci95_ms is None:
        return f"{row.delta_ms:+,.0f} (too few to tell)"
    low, high = (round(bound) for bound in row.ci95_ms)
    if low <= 0 <= high:
        return "no difference seen"
    return f"{row.delta_ms:+,.0f} ({low:+,} to {high:+,})"
