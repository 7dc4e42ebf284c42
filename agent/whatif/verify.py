"""The predicted points replayed for real: the same recordings at the same speed through the pacer.

It compares what was predicted with what was measured and judges neither.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np
from rich.console import Console

from agent.measure.measurement import Measurement, measure
from agent.measure.recordings import Recording
from agent.setup.config import Config
from agent.whatif.points import Prediction
from agent.whatif.record import ErrorSpread, PointRecord, Spread, VerifiedRecord
from pipelines.errors import InputError
from pipelines.modes import Outcome
from pipelines.pacer import is_simulated
from pipelines.stopwatch.percentiles import Percentiles, percentiles
from pipelines.stopwatch.record import TurnRecord


@dataclass(frozen=True, slots=True)
class Verified:
    """A prediction, what was measured for each of its turns (the median of the repeats), and the errors in ms."""

    prediction: Prediction
    measured_ms: dict[tuple[str | None, str], float]
    errors_ms: list[float]

    @property
    def measured(self) -> Percentiles:
        """The turn latency as measured, in ms."""
        return percentiles(list(self.measured_ms.values()))

    @property
    def error(self) -> Percentiles:
        """The absolute error of a turn, in ms."""
        return percentiles([abs(error) for error in self.errors_ms])

    def record(self, of: PointRecord) -> VerifiedRecord:
        """What `--json` says of the point, `of` being what it says without `--verify`."""
        return VerifiedRecord(
            **dict(of) | {"verified": True},
            measured=Spread(p50=self.measured.p50, p95=self.measured.p95),
            error_ms=_spread(self.errors_ms),
            errors_ms=tuple(self.errors_ms),
        )


def error_of_all(verified: Sequence[Verified]) -> ErrorSpread:
    """The absolute error over the turns of all points, in ms."""
    return _spread([error for point in verified for error in point.errors_ms])


def _spread(errors_ms: Sequence[float]) -> ErrorSpread:
    found = percentiles([abs(error) for error in errors_ms])
    return ErrorSpread(p50=found.p50, p95=found.p95, n=found.n)


async def verify(
    predictions: Sequence[Prediction],
    recordings: Sequence[Recording],
    config: Config,
    *,
    lanes: int | None,
    repeat: int,
    console: Console,
) -> list[Verified]:
    """Replay every point. Raises InputError for a point that the pacer cannot play."""
    for prediction in predictions:
        if not is_simulated(prediction.point.llm) or len(prediction.point.speeds) != 1:
            raise InputError(
                f"{prediction.point.llm} cannot be verified: the pacer plays one stated speed, such as sim/120:1800"
            )
        if prediction.point.endpointing_ms is not None:
            raise InputError("--endpointing-ms cannot be verified: it moves a decision that is made from the words")
    llms = list(dict.fromkeys(p.point.llm for p in predictions))
    modes = list(dict.fromkeys(p.point.mode for p in predictions))
    measured = await measure(
        Measurement(config, recordings, llms, modes, "Verification", lanes=lanes, repeat=repeat), console
    )
    return [_compare(prediction, measured.turns) for prediction in predictions]


def _compare(prediction: Prediction, turns: Sequence[TurnRecord]) -> Verified:
    point = prediction.point
    by_turn: dict[tuple[str | None, str], list[float]] = {}
    for turn in turns:
        ours = (turn.llm, turn.mode) == (point.llm, point.mode)
        if ours and turn.outcome is Outcome.COMPLETED and turn.turn_latency_ms is not None:
            by_turn.setdefault((turn.recording, turn.reference or turn.transcript), []).append(turn.turn_latency_ms)
    measured_ms = {key: median(values) for key, values in by_turn.items() if key in prediction.turn_ms}
    errors = [prediction.turn_ms[key] - ms for key, ms in measured_ms.items()]
    return Verified(prediction, measured_ms, [round(float(e), 2) for e in np.asarray(errors)])
