"""What a bench shows: a table on the terminal, and the page."""

from collections.abc import Sequence
from pathlib import Path

from rich.table import Table

from agent.bench.rows import BenchRow
from agent.bench.schedule import Plan, PlanOutcome
from agent.report.findings import NEVER
from agent.report.stages import llm_label
from agent.trace.files import machine

SPEED = ("p50", "p95", "p99", "1st sentence", "tokens/s", "gap p99", "p99 loaded", "vs. first LLM")
OUTCOME = ("tasks", "errors", "bad calls", "wrong", "retries", "tokens/success", "$/success")


def speed_table(rows: Sequence[BenchRow]) -> Table:
    """How fast: a line for each scenario and model."""
    return _table("time to first token and speed, ms", SPEED, [(row, speed_cells(row)) for row in rows])


def outcome_table(rows: Sequence[BenchRow]) -> Table:
    """How right and at what price."""
    return _table("tasks; costs include retries and failures", OUTCOME, [(row, outcome_cells(row)) for row in rows])


def _table(title: str, names: Sequence[str], lines: Sequence[tuple[BenchRow, list[str]]]) -> Table:
    shown = Table(title=title, title_justify="left")
    shown.add_column("scenario")
    shown.add_column("LLM")
    for name in names:
        shown.add_column(name, justify="right")
    last = None
    for row, cells in lines:
        if last not in (None, row.scenario):
            shown.add_section()
        name = row.scenario if row.scenario != last else ""
        last = row.scenario
        shown.add_row(name, llm_label(row.llm), *cells)
    return shown


def speed_cells(row: BenchRow) -> list[str]:
    """The times of a row, as people read them."""
    return [
        *(number(ms) for ms in (row.ttft_ms.p50, row.ttft_ms.p95, row.ttft_ms.p99)),
        number(row.first_sentence_ms.p50),
        _speed(row),
        number(row.stall_p99_ms),
        number(row.p99_loaded_ms),
        difference(row),
    ]


def outcome_cells(row: BenchRow) -> list[str]:
    """The errors and costs of a row, as people read them."""
    return [
        f"{row.n:,}",
        share(row.error_rate),
        share(row.structured_error_rate),
        share(row.answer_error_rate),
        f"{row.retries:,}",
        number(row.tokens_per_success),
        dollars(row),
    ]


def notes(rows: Sequence[BenchRow]) -> list[str]:
    """What the figures do not say on their own."""
    lines = [
        f"{row.llm}, {row.scenario}: {', '.join(f'{n} {fault}' for fault, n in row.errors.items())}"
        for row in rows
        if row.errors
    ]
    silent = dict.fromkeys(row.llm for row in rows if row.tokens_estimated)
    lines += [
        f"{llm} reports no token usage for a stream: its tokens/s counts one per delta, which is the least it can be; "
        "its tokens and cost per success are unknown."
        for llm in silent
    ]
    if any(row.simulated for row in rows):
        lines.append("Simulated LLMs answer from a table: their errors and answers say nothing about a real model.")
    return lines


def _speed(row: BenchRow) -> str:
    value = row.tokens_per_s.p50
    return f"≥ {number(value)}" if row.tokens_estimated and value is not None else number(value)


def number(value: float | None) -> str:
    """A figure, or a dash for what was not measured."""
    return NEVER if value is None else f"{value:,.1f}" if abs(value) < 10 else f"{value:,.0f}"


def share(value: float | None) -> str:
    """A rate in percent."""
    return NEVER if value is None else f"{value:.1%}".replace(".0%", "%")


def dollars(row: BenchRow) -> str:
    """The cost of a success: "unknown" without a price, a dash if nothing succeeded."""
    if not row.success_rate:
        return NEVER
    value = row.usd_per_success
    return "unknown" if value is None else f"${value:.6f}"


def difference(row: BenchRow) -> str:
    """The difference of the median TTFT, if it stands out from noise."""
    if row.delta_ttft_ms is None:
        return NEVER
    if row.ci95_ms is None:
        return f"{row.delta_ttft_ms:+,.0f} (too few to tell)"
    low, high = row.ci95_ms
    if low <= 0 <= high:
        return "no difference seen"
    return f"{row.delta_ttft_ms:+,.0f} ({low:+,.0f} to {high:+,.0f})"


def write_page(path: Path, rows: Sequence[BenchRow], plan: Plan, outcome: PlanOutcome) -> Path:
    """One self-contained HTML file. Raises InputError."""
    from agent.report.template import render_page, write_html

    longest = max((row.ttft_ms.p95 or 0.0 for row in rows), default=0.0) or 1.0
    groups = {
        scenario: [r for r in rows if r.scenario == scenario] for scenario in dict.fromkeys(r.scenario for r in rows)
    }
    context = {
        "groups": groups,
        "plan": plan,
        "outcome": outcome,
        "machine": machine(),
        "longest_ms": longest,
        "tables": ((SPEED, speed_cells), (OUTCOME, outcome_cells)),
        "notes": notes(rows),
        "number": number,
    }
    write_html(path, render_page("bench.html.j2", context))
    return path
