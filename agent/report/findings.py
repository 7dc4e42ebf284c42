"""What a run says: the headline, the levers behind it, the speculation ledger, the turn that shows it best.

It reads the trace's turns and the summary rows. It computes no percentile that the rows already hold and draws nothing.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from agent.report.stages import stage
from pipelines.pacer import is_simulated
from pipelines.stopwatch.record import TurnRecord
from pipelines.stopwatch.summary import Row, cells

NEVER = "\N{EN DASH}"
"""Shown in a table for what never happened or is unknown."""


@dataclass(frozen=True, slots=True)
class Lever:
    """One way from the slowest cell of the grid, and the median turn latency that it reaches."""

    name: str
    what: str
    p50_ms: float


@dataclass(frozen=True, slots=True)
class LedgerLine:
    """What speculation cost and saved for one LLM and mode: sums over turns; dollars are None if no price is known."""

    llm: str
    mode: str
    turns: int
    requests: int
    hits: int
    discards: int
    saved_ms: float
    wasted_tokens: int
    wasted_usd: float | None
    cost_usd: float | None

    @property
    def speculated(self) -> bool:
        """Whether anything was begun before a turn was over."""
        return self.hits + self.discards > 0


def measured(rows: Sequence[Row]) -> list[Row]:
    """The rows that hold a median, fastest first."""
    return sorted((row for row in rows if row.p50_ms is not None), key=lambda row: row.p50_ms or 0.0)


def milliseconds(value: float | None) -> str:
    """A duration as people read it: `312`, `5,120`, below ten with one decimal, a dash for what never happened."""
    if value is None:
        return NEVER
    if abs(value) < 0.05:
        return "0"
    return f"{value:.1f}" if abs(value) < 9.95 else f"{value:,.0f}"


def moment(ms: float) -> str:
    """A point in time in whole milliseconds: `2,046`, and with a minus sign what was before the end of speech."""
    return f"{ms:z,.0f}".replace("-", "\N{MINUS SIGN}")


def headline(rows: Sequence[Row]) -> str:
    """The main finding of a grid as a sentence: from its slowest to its fastest cell, and what is left to wait for."""
    ranked = measured(rows)
    if not ranked:
        return "No turn completed, so there is no latency to report."
    best, worst = ranked[0], ranked[-1]
    wait = _largest_share(best)
    if best is worst:
        end = f"; the longest wait is {wait}" if wait else ""
        return f"The median turn takes {milliseconds(best.p50_ms)} ms ({_cell(best)}){end}."
    end = f"; the longest wait left is {wait}" if wait else ""
    return (
        f"The median turn falls from {milliseconds(worst.p50_ms)} ms ({_cell(worst)}) "
        f"to {milliseconds(best.p50_ms)} ms ({_cell(best)}){end}."
    )


def levers(rows: Sequence[Row]) -> list[Lever]:
    """The grid's corners: the start, what the mode alone and the LLM alone bring, and both; nothing for one axis."""
    ranked = measured(rows)
    if not ranked:
        return []
    best, worst = ranked[0], ranked[-1]
    p50_ms = {(row.llm, row.mode): row.p50_ms or 0.0 for row in ranked}
    llm_only, mode_only = p50_ms.get((best.llm, worst.mode)), p50_ms.get((worst.llm, best.mode))
    if best.llm == worst.llm or best.mode == worst.mode or llm_only is None or mode_only is None:
        return []
    return [
        Lever("Slowest", _cell(worst), worst.p50_ms or 0.0),
        Lever("Mode alone", f"{best.mode}, the same LLM", mode_only),
        Lever("LLM alone", f"still {worst.mode}, {_named(best)}", llm_only),
        Lever("Both", _cell(best), best.p50_ms or 0.0),
    ]


def anatomy(turns: Sequence[TurnRecord], rows: Sequence[Row]) -> list[TurnRecord]:
    """The turns worth a first look: nearest the median of the fastest cell, and its recording in the slowest cell."""
    ranked = measured(rows)
    if not ranked:
        return []
    best, worst = ranked[0], ranked[-1]
    typical_ms = best.p50_ms or 0.0
    typical = min(
        _completed_of(turns, best), key=lambda turn: abs((turn.turn_latency_ms or 0.0) - typical_ms), default=None
    )
    if typical is None:
        return []
    if best is worst:
        return [typical]
    # A recording may hold several turns; the reference tells them apart.
    wanted = typical.recording, typical.reference
    same = [turn for turn in _completed_of(turns, worst) if (turn.recording, turn.reference) == wanted]
    return [*same[:1], typical]


def ledger(turns: Sequence[TurnRecord]) -> list[LedgerLine]:
    """One line per LLM and mode over every turn whatever its outcome; those that speculated come first."""
    lines = (_ledger_line(llm, mode, cell) for (llm, mode), cell in cells(turns).items())
    return sorted(lines, key=lambda line: not line.speculated)


def completed(turns: Sequence[TurnRecord]) -> list[TurnRecord]:
    """The turns that percentiles are taken over."""
    return [turn for turn in turns if turn.is_completed]


def _ledger_line(llm: str, mode: str, turns: Sequence[TurnRecord]) -> LedgerLine:
    entries = [turn.speculation for turn in turns]
    return LedgerLine(
        llm,
        mode,
        len(turns),
        requests=sum(entry.requests for entry in entries),
        hits=sum(entry.hit for entry in entries),
        discards=sum(entry.discards for entry in entries),
        saved_ms=sum(entry.saved_ms for entry in entries),
        wasted_tokens=sum(entry.wasted_tokens for entry in entries),
        wasted_usd=_known_sum(entry.wasted_cost_usd for entry in entries),
        cost_usd=_known_sum(turn.usage.cost_usd for turn in turns if turn.usage),
    )


def _known_sum(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _completed_of(turns: Sequence[TurnRecord], row: Row) -> list[TurnRecord]:
    return [turn for turn in completed(turns) if (turn.llm, turn.mode) == (row.llm, row.mode)]


def _cell(row: Row) -> str:
    return f"{row.mode}, {_named(row)}"


def _named(row: Row) -> str:
    return f"{'simulated ' if is_simulated(row.llm) else ''}{row.llm}"


def _largest_share(row: Row) -> str | None:
    """`endpointing, 230 of the mean turn's 300 ms`, or None for a row without shares: they are means, unlike the median
    they stand beside.
    """
    shares = row.shares_ms
    if not any(shares.values()):
        return None
    key = max(shares, key=lambda name: shares[name])
    name = stage(key).name
    # An abbreviation keeps its capitals in mid-sentence.
    name = name if name[:2].isupper() else name.lower()
    return f"{name}, {milliseconds(shares[key])} of the mean turn's {milliseconds(sum(shares.values()))} ms"
