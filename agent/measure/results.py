"""The documents of a run: a turn's, the summary, the rows of a comparison.

It computes and knows no file, terminal or chart.

Percentiles are over completed turns only: interrupted, tool and failed turns are counted beside them (DESIGN of the
trace).
"""

import os
import platform
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from agent.measure.replay import Replayed, ReplayedTurn
from agent.measure.statistics import interval_of_median, percentiles
from agent.setup.rig import Rig
from pipelines.listening import Utterance
from pipelines.session import TurnFinished
from pipelines.stopwatch.ledger import Prices
from pipelines.stopwatch.spans import TurnTrace
from pipelines.stopwatch.timeline import Stage
from pipelines.stopwatch.trace import turn_document
from pipelines.stt.wer import normalise, word_error_rate
from pipelines.turn import Mode, Outcome, Turn

Document = dict[str, Any]


def turn_documents(replayed: Replayed, rig: Rig, llm: str, mode: Mode) -> list[Document]:
    """One document a turn, and one for a recording in which nobody spoke to the agent."""
    recording, prices = replayed.recording, rig.prices
    names = {"mode": mode.value, "llm": llm, "simulated": rig.models[llm].endpoint.simulated}
    engines = {"stt": rig.stt.name, "tts": rig.tts.name}
    about: Document = {"recording": recording.name, "kind": recording.kind, "held_out": recording.held_out}
    now = rig.clock(), datetime.now(UTC)
    said = _scored([(turn, _placed(turn, replayed, prices, now)) for turn in replayed.turns], recording.labelled)
    if not said:
        unscored = {"reference": None, "scored_transcript": None, "wer": None, "false_cut_in": False}
        said = [{"speech_end_s": None, "speech_end_at": None, **_nobody_spoke(prices), **unscored}]
    return [{**about, **names, **engines, **document, "labelled": recording.labelled} for document in said]


def _placed(turn: ReplayedTurn, replayed: Replayed, prices: Prices, now: tuple[float, datetime]) -> Document:
    """The turn's document, with the end of its speech, from which its times count: in seconds of the two-track WAV,
    and by the wall clock, which was the second of `now` when the process clock was the first.
    """
    end_s, (clock_s, wall) = turn.trace.origin_s, now
    at = (wall - timedelta(seconds=clock_s - end_s)).isoformat(timespec="milliseconds")
    return {
        "speech_end_s": round(end_s - replayed.epoch_s, 4),
        "speech_end_at": at,
        **turn_document(turn.trace, prices),
    }


def _nobody_spoke(prices: Prices) -> Document:
    """The document of a turn in which nothing happened."""
    turn = Turn(Utterance(0), lambda: 0.0)
    return turn_document(TurnTrace(TurnFinished(turn, Outcome.NO_SPEECH, None, "", None), 0.0), prices)


def _scored(turns: Sequence[tuple[ReplayedTurn, Document]], labelled: bool) -> list[Document]:
    """Add reference, WER and false cut-ins.

    Where a false cut-in split an utterance, its last turn is scored, on what all of them heard (`scored_transcript`).
    """
    scored = []
    for index, (turn, document) in enumerate(turns):
        reference = turn.label.text if turn.label and labelled else None
        parts = [d["transcript"] for t, d in turns[: index + 1] if t.label is turn.label]
        split = any(t.label is turn.label for t, _ in turns[index + 1 :])
        heard = " ".join(filter(None, parts)) if reference and not split else None
        wer = None if reference is None or heard is None else round(word_error_rate(reference, heard), 4)
        names = {"reference": reference, "scored_transcript": heard, "wer": wer, "false_cut_in": turn.false_cut_in}
        scored.append({**document, **names})
    return scored


def summarise(turns: Sequence[Mapping[str, Any]], loop_lag_ms: Sequence[float]) -> Document:
    """Percentiles, error counts and the invariants of a run."""
    completed = [t for t in turns if t["outcome"] == Outcome.COMPLETED and t["turn_latency_ms"] is not None]
    heard = [t for t in turns if t.get("wer") is not None]
    return {
        "turn_latency_ms": percentiles([t["turn_latency_ms"] for t in completed]),
        "endpointing_ms": percentiles([t["stages"]["endpointing_ms"] for t in completed]),
        "overhead_ms": percentiles([share_ms(t, "overhead") for t in completed]),
        "event_loop_lag_ms": percentiles(loop_lag_ms),
        "wer": _pooled_wer([t for t in heard if not t["held_out"]]),
        "wer_held_out": _pooled_wer([t for t in heard if t["held_out"]]),
        "outcomes": {o.value: n for o in Outcome if (n := sum(t["outcome"] == o for t in turns))},
        "early_commits": sum(bool(t.get("resumed_ms") or t.get("false_cut_in")) for t in turns),
        "false_cut_ins": sum(bool(t.get("false_cut_in")) for t in turns),
        "starved_ms": round(sum(t.get("starved_ms") or 0.0 for t in turns), 1),
        "speculation": _ledger(completed),
        "failover": _failover(turns),
        "cost_usd": _total_cost(turns),
    }


def _pooled_wer(turns: Sequence[Mapping[str, Any]]) -> float | None:
    if not turns:
        return None
    return round(word_error_rate([t["reference"] for t in turns], [t["scored_transcript"] for t in turns]), 4)


def _ledger(turns: Sequence[Mapping[str, Any]]) -> Document:
    entries = [t["speculation"] for t in turns if t["mode"] == Mode.SPECULATIVE]
    return {
        "turns": len(entries),
        "hits": sum(e["hit"] for e in entries),
        "requests": sum(e["requests"] for e in entries),
        "discards": sum(e["discards"] for e in entries),
        "saved_ms": percentiles([e["saved_ms"] for e in entries if e["hit"]]),
        "wasted_tokens": sum(e["wasted_tokens"] for e in entries),
    }


def _total_cost(turns: Iterable[Mapping[str, Any]]) -> float | None:
    """Dollars for all that was asked, also in vain; None as soon as one price is unknown."""
    costs = [c for t in turns if t.get("usage") for c in _costs(t)]
    return None if any(c is None for c in costs) else round(sum(costs), 8)


def _costs(turn: Mapping[str, Any]) -> tuple[Any, Any, Any]:
    usage = turn["usage"]
    return usage["cost_usd"], usage.get("abandoned_cost_usd", 0.0), turn["speculation"]["wasted_cost_usd"]


def _failover(turns: Sequence[Mapping[str, Any]]) -> Document:
    """How often failover decided what, and what it paid for requests that it gave up."""
    actions = Counter(decision["action"] for turn in turns for decision in turn.get("failover") or ())
    usages = [turn["usage"] for turn in turns if turn.get("usage")]
    extra = [usage.get("abandoned_cost_usd", 0.0) for usage in usages]
    return {
        "decisions": dict(actions),
        "abandoned_requests": sum(usage.get("abandoned_requests", 0) for usage in usages),
        "abandoned_cost_usd": None if None in extra else round(sum(extra), 8),
    }


def share_ms(turn: Mapping[str, Any], stage: str) -> float:
    """A stage's part of a turn's critical path."""
    return float(sum(segment["ms"] for segment in turn["critical_path"] if segment["stage"] == stage))


# ---------------------------------------------------------------- comparison


def rows(turns: Sequence[Mapping[str, Any]], baseline: str) -> list[Document]:
    """A row for each LLM and mode; `delta_ms` is against the LLM `baseline` in the same mode, turn by turn.

    `ci95_ms` bounds the median of those differences by the percentile bootstrap (Efron 1979, 2,000 resamples, fixed
    seed).
    """
    cells: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for turn in turns:
        cells.setdefault((turn["llm"], turn["mode"]), []).append(turn)
    return [_row(llm, mode, cell, cells.get((baseline, mode), [])) for (llm, mode), cell in cells.items()]


def _row(llm: str, mode: str, cell: Sequence[Mapping[str, Any]], baseline: Sequence[Mapping[str, Any]]) -> Document:
    completed = [t for t in cell if t["outcome"] == Outcome.COMPLETED and t["turn_latency_ms"] is not None]
    latency = percentiles([t["turn_latency_ms"] for t in completed])
    found = {s["stage"] for t in completed for s in t["critical_path"]}
    stages = [stage.value for stage in Stage if stage.value in found]
    delta, interval = _paired(completed, baseline)
    ledger = _ledger(completed)
    return {
        "llm": llm,
        "mode": mode,
        "simulated": any(t["simulated"] for t in cell),
        "p50_ms": latency["p50"],
        "p95_ms": latency["p95"],
        "n": latency["n"],
        "shares_ms": {s: round(float(np.mean([share_ms(t, s) for t in completed])), 2) for s in stages},
        "llm_leg_ms": percentiles([t["llm_leg_ms"] for t in completed])["p50"],
        "saved_ms": percentiles([t["speculation"]["saved_ms"] for t in completed])["p50"],
        "hits": ledger["hits"],
        "requests": ledger["requests"],
        "wasted_tokens": ledger["wasted_tokens"],
        "cost_usd": _total_cost(cell),
        "delta_ms": delta,
        "ci95_ms": interval,
        "failed": sum(t["outcome"] == Outcome.FAILED for t in cell),
    }


def _paired(
    turns: Sequence[Mapping[str, Any]], baseline: Sequence[Mapping[str, Any]]
) -> tuple[float | None, list[float] | None]:
    """The median difference over turns that both have, and its interval, None where only one has; (None, None) for the
    baseline itself.
    """
    reference = {key: t["turn_latency_ms"] for key, t in numbered(baseline) if t["turn_latency_ms"] is not None}
    differences = [t["turn_latency_ms"] - reference[key] for key, t in numbered(turns) if key in reference]
    if not differences or (turns and baseline and turns[0]["llm"] == baseline[0]["llm"]):
        return None, None
    interval = interval_of_median(differences)
    return round(float(np.median(differences)), 2), [round(bound, 2) for bound in interval] if interval else None


def numbered(turns: Iterable[Mapping[str, Any]]) -> list[tuple[tuple[str, str, int], Mapping[str, Any]]]:
    """Turns by what they answer: the recording, its reference, and the how-many-eth time that was replayed."""
    seen: dict[tuple[str, str], int] = {}
    numbered = []
    for turn in turns:
        if turn["outcome"] != Outcome.COMPLETED:
            continue
        key = (turn["recording"], normalise(turn.get("reference") or turn["transcript"]))
        seen[key] = seen.get(key, 0) + 1
        numbered.append(((*key, seen[key]), turn))
    return numbered


# ---------------------------------------------------------------- the session line


def machine() -> Document:
    """What the run ran on."""
    return {
        "system": platform.platform(),
        "processor": platform.machine(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "python": platform.python_version(),
    }
