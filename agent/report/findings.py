"""What a run says: the headline, the levers behind it, the speculation ledger, the turn that shows it best.

It reads the trace's turns and the summary rows. It computes no percentile that the rows already hold and draws nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agent.report.stages import COMPLETED, is_simulated, stage

Turn = Mapping[str, Any]
Row = Mapping[str, Any]


NEVER = "\N{EN DASH}"
"""What stands in a table for a thing that never happened or is not known."""


@dataclass(frozen=True, slots=True)
class Lever:
    """One way from the slowest cell of the grid, and the median turn latency that it reaches."""

    name: str
    what: str
    p50_ms: float


@dataclass(frozen=True, slots=True)
class LedgerLine:
    """What speculation cost and brought for one LLM and mode; sums over turns, None where no turn told."""

    llm: str
    mode: str
    turns: int
    requests: int
    hits: int
    discards: int
    saved_ms: float | None
    wasted_tokens: int
    wasted_usd: float | None
    cost_usd: float | None

    @property
    def speculated(self) -> bool:
        """Whether anything was begun before a turn was over."""
        return self.hits + self.discards > 0


def measured(rows: Sequence[Row]) -> list[Row]:
    """The rows that hold a median, fastest first."""
    return sorted((row for row in rows if row.get("p50_ms") is not None), key=lambda row: float(row["p50_ms"]))


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
    """The one finding of a grid as a sentence: from its slowest to its fastest cell, and what is left to wait for."""
    ranked = measured(rows)
    if not ranked:
        return "No turn completed, so there is no latency to report."
    best, worst = ranked[0], ranked[-1]
    wait = _largest_share(best)
    if best is worst:
        end = f"; the longest wait is {wait}" if wait else ""
        return f"The median turn takes {milliseconds(best['p50_ms'])} ms ({_cell(best)}){end}."
    end = f"; the longest wait left is {wait}" if wait else ""
    return (
        f"The median turn falls from {milliseconds(worst['p50_ms'])} ms ({_cell(worst)}) "
        f"to {milliseconds(best['p50_ms'])} ms ({_cell(best)}){end}."
    )


def levers(rows: Sequence[Row]) -> list[Lever]:
    """The grid's corners: the start, what the mode alone and the LLM alone bring, and both; nothing for one axis."""
    ranked = measured(rows)
    if not ranked:
        return []
    best, worst = ranked[0], ranked[-1]
    cells = {(row["llm"], row["mode"]): float(row["p50_ms"]) for row in ranked}
    llm_only, mode_only = cells.get((best["llm"], worst["mode"])), cells.get((worst["llm"], best["mode"]))
    if best["llm"] == worst["llm"] or best["mode"] == worst["mode"] or llm_only is None or mode_only is None:
        return []
    return [
        Lever("Slowest", _cell(worst), float(worst["p50_ms"])),
        Lever("Mode alone", f"{best['mode']}, the same LLM", mode_only),
        Lever("LLM alone", f"still {worst['mode']}, {_named(best)}", llm_only),
        Lever("Both", _cell(best), float(best["p50_ms"])),
    ]


def anatomy(turns: Sequence[Turn], rows: Sequence[Row]) -> list[Turn]:
    """The turns worth a first look: nearest the median of the fastest cell, and its recording in the slowest cell."""
    ranked = measured(rows)
    if not ranked:
        return []
    best, worst = ranked[0], ranked[-1]
    typical = min(
        _completed_of(turns, best), key=lambda turn: abs(turn["turn_latency_ms"] - best["p50_ms"]), default=None
    )
    if typical is None:
        return []
    if best is worst:
        return [typical]
    # A recording may hold several turns; the reference tells them apart.
    wanted = typical.get("recording"), typical.get("reference")
    same = [turn for turn in _completed_of(turns, worst) if (turn.get("recording"), turn.get("reference")) == wanted]
    return [*same[:1], typical]


def ledger(turns: Sequence[Turn]) -> list[LedgerLine]:
    """One line per LLM and mode over every turn whatever its outcome; those that speculated come first."""
    groups: dict[tuple[str, str], list[Turn]] = {}
    for turn in turns:
        groups.setdefault((str(turn.get("llm")), str(turn.get("mode"))), []).append(turn)
    return sorted((_ledger_line(*cell, group) for cell, group in groups.items()), key=lambda line: not line.speculated)


def completed(turns: Sequence[Turn]) -> list[Turn]:
    """The turns that percentiles are taken over."""
    return [turn for turn in turns if turn.get("outcome") == COMPLETED and turn.get("turn_latency_ms") is not None]


def _ledger_line(llm: str, mode: str, turns: Sequence[Turn]) -> LedgerLine:
    entries = [turn.get("speculation") or {} for turn in turns]
    usages = [turn.get("usage") or {} for turn in turns]
    return LedgerLine(
        llm,
        mode,
        len(turns),
        requests=int(_total(entries, "requests") or 0),
        hits=sum(bool(entry.get("hit")) for entry in entries),
        discards=int(_total(entries, "discards") or 0),
        saved_ms=_total(entries, "saved_ms"),
        wasted_tokens=int(_total(entries, "wasted_tokens") or 0),
        wasted_usd=_total(entries, "wasted_cost_usd"),
        cost_usd=_total(usages, "cost_usd"),
    )


def _total(entries: Sequence[Mapping[str, Any]], key: str) -> float | None:
    values = [entry[key] for entry in entries if entry.get(key) is not None]
    return sum(values) if values else None


def _completed_of(turns: Sequence[Turn], row: Row) -> list[Turn]:
    return [turn for turn in completed(turns) if (turn.get("llm"), turn.get("mode")) == (row["llm"], row["mode"])]


def _cell(row: Row) -> str:
    return f"{row['mode']}, {_named(row)}"


def _named(row: Row) -> str:
    return f"{'simulated ' if is_simulated(str(row['llm'])) else ''}{row['llm']}"


def _largest_share(row: Row) -> str | None:
    """`endpointing, 230 of the mean turn's 300 ms`, or None for a row without shares: they are means, whatever is said
    of the median.
    """
    shares: Mapping[str, float] = row.get("shares_ms") or {}
    if not any(shares.values()):
        return None
    key = max(shares, key=lambda name: shares[name])
    name = stage(key).name
    # An abbreviation keeps its capitals in mid-sentence.
    name = name if name[:2].isupper() else name.lower()
    return f"{name}, {milliseconds(shares[key])} of the mean turn's {milliseconds(sum(shares.values()))} ms"
