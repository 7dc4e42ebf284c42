"""What is asked about (an LLM's speed, a mode, an endpointing delay) and what is predicted for it from a trace.

The graph of a turn is `pipelines.stopwatch.whatif`'s; this chooses whose turns and whose speed, and pools them. It
replays nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from agent.trace.reader import Trace, read_trace
from agent.whatif.record import Knee, PointRecord, PredictedTurn, Spread
from pipelines.errors import InputError
from pipelines.llm.catalogue import Catalogue
from pipelines.modes import Mode, Outcome
from pipelines.stopwatch.percentiles import Percentiles, percentiles
from pipelines.stopwatch.record import TurnRecord
from pipelines.stopwatch.whatif import (
    Change,
    Predicted,
    Recorded,
    Speed,
    knee_tokens_per_s,
    knee_ttft_ms,
    predict,
    read_turn,
)

CLIENT_OVERHEAD_MS = 3.0
"""What our HTTP client adds to a server's TTFT, p50 (`pytest -m bench tests/pipelines/llm/test_chat_overhead.py`); used
if the trace itself does not say.
"""


@dataclass(frozen=True, slots=True)
class Point:
    """One question: `speeds` is one speed, or the behaviours of a recorded provider, each as likely."""

    llm: str
    mode: Mode
    speeds: tuple[Speed, ...]
    endpointing_ms: float | None = None
    wordless_ms: float = 500.0

    def change(self, speed: Speed) -> Change:
        """The change that this makes to a turn."""
        return Change(self.mode, speed, self.endpointing_ms, self.wordless_ms)


@dataclass(frozen=True, slots=True)
class Prediction:
    """A point's answer: `turn_ms` by recording and reference, all samples pooled, and the mean critical path."""

    point: Point
    turn_ms: Mapping[tuple[str | None, str], float]
    latency_ms: Percentiles
    shares_ms: Mapping[str, float]
    knee: Knee


@dataclass(frozen=True, slots=True)
class Base:
    """The turns of a trace that predictions are made from."""

    trace: Trace
    turns: tuple[Recorded, ...]
    wordless_ms: float
    client_overhead_ms: float
    left_out: int

    @property
    def recordings(self) -> list[str | None]:
        """Their recordings, in order."""
        return list(dict.fromkeys(turn.recording for turn in self.turns))


def read_base(path: Path, catalogue: Catalogue) -> Base:
    """The completed turns of a trace, whatever their LLM: what was heard and synthesized does not depend on it.

    Raises InputError for a trace without a turn that can be computed anew.
    """
    trace = read_trace(path)
    turns = [turn for record in trace.turns if (turn := read_turn(record)) is not None]
    if not turns:
        raise InputError(
            f"trace {path} holds no completed turn of the streaming or speculative mode: record one, such as with "
            f"quickturn compare --llm sim/cerebras-llama3.1-8b --trace {path}"
        )
    wordless_ms = float(trace.session.config["endpointing"]["wordless_ms"])
    return Base(
        trace, tuple(turns), wordless_ms, _client_overhead_ms(trace.turns, catalogue), len(trace.turns) - len(turns)
    )


def speed_of(llm: str, catalogue: Catalogue, base: Base) -> Speed:
    """The published speed of a model, with what the client adds. Raises InputError if none is published."""
    model = catalogue.resolve(llm).model
    if model.published_ttft_ms is None or model.published_tokens_per_s is None:
        missing = "TTFT" if model.published_ttft_ms is None else "token rate"
        raise InputError(f"no {missing} of {llm} is published: give --ttft-ms and --tokens-per-s, or --llm-from TRACE")
    return Speed(model.published_ttft_ms + base.client_overhead_ms, model.published_tokens_per_s)


def recorded_speeds(path: Path, llm: str | None) -> tuple[str, tuple[Speed, ...]]:
    """How an LLM behaved in a trace, turn by turn. Raises InputError if the trace does not hold it."""
    trace = read_trace(path)
    behaved: dict[str, list[Speed]] = {}
    for record in trace.turns:
        turn = read_turn(record)
        if turn is not None:
            behaved.setdefault(record.llm, []).append(turn.speed)
    name = llm if llm is not None else next(iter(behaved), None)
    if name is None or name not in behaved:
        known = ", ".join(behaved) or "none with a completed turn"
        raise InputError(f"trace {path} holds no behaviour of {name or 'any LLM'}; it holds: {known}")
    return name, tuple(behaved[name])


def predict_point(base: Base, point: Point) -> Prediction:
    """Every turn of the base under every behaviour of the point; a recording's several turns give its median."""
    by_turn: dict[tuple[str | None, str], list[float]] = {}
    predicted: list[Predicted] = []
    for turn in base.turns:
        for speed in point.speeds:
            outcome = predict(turn, point.change(speed))
            predicted.append(outcome)
            by_turn.setdefault((turn.recording, turn.reference), []).append(outcome.latency_ms)
    middle = Speed(median(s.ttft_ms for s in point.speeds), median(s.tokens_per_s for s in point.speeds))
    one_behaviour = len(point.speeds) == 1
    turn_ms = {key: median(values) for key, values in by_turn.items()}
    return Prediction(
        point,
        turn_ms,
        percentiles(list(turn_ms.values()) if one_behaviour else [p.latency_ms for p in predicted]),
        _mean_shares(predicted),
        Knee(
            tokens_per_s=round(knee_tokens_per_s(base.turns, point.change(middle)), 1),
            ttft_ms=round(knee_ttft_ms(base.turns, point.change(middle)), 1),
        ),
    )


def point_record(base: Base, prediction: Prediction) -> PointRecord:
    """What `--json` says of one point."""
    recorded = _recorded_ms(base)
    return PointRecord(
        llm=prediction.point.llm,
        mode=prediction.point.mode.value,
        predicted=Spread(p50=prediction.latency_ms.p50, p95=prediction.latency_ms.p95),
        shares_ms=dict(prediction.shares_ms),
        turns=tuple(
            PredictedTurn(
                recording=recording,
                predicted_ms=round(ms, 2),
                recorded_ms=round(recorded[recording, said], 2),
            )
            for (recording, said), ms in prediction.turn_ms.items()
        ),
        knee=prediction.knee,
    )


def _recorded_ms(base: Base) -> dict[tuple[str | None, str], float]:
    by_turn: dict[tuple[str | None, str], list[float]] = {}
    for turn in base.turns:
        by_turn.setdefault((turn.recording, turn.reference), []).append(turn.latency_ms)
    return {key: median(values) for key, values in by_turn.items()}


def _mean_shares(predicted: Sequence[Predicted]) -> dict[str, float]:
    shares = [outcome.shares_ms() for outcome in predicted]
    stages = dict.fromkeys(stage for share in shares for stage in share)
    return {stage: round(sum(share.get(stage, 0.0) for share in shares) / len(shares), 2) for stage in stages}


def _client_overhead_ms(turns: Sequence[TurnRecord], catalogue: Catalogue) -> float:
    """What the client added to the pacer's TTFT in this trace, the median; the pacer's own is known exactly."""
    added = []
    for turn in turns:
        ttft_ms = turn.stages.llm_ttft_ms
        if turn.simulated and ttft_ms is not None and "?" not in turn.llm and turn.outcome is Outcome.COMPLETED:
            stated_ms = catalogue.resolve(turn.llm).model.published_ttft_ms
            if stated_ms is not None:
                added.append(ttft_ms - stated_ms)
    return median(added) if added else CLIENT_OVERHEAD_MS
