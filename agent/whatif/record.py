"""The JSON of `whatif --json` as types; times in ms."""

from pipelines.stopwatch.record import Record


class Spread(Record):
    """The middle and the upper end of some latencies."""

    p50: float | None
    """The median."""
    p95: float | None
    """What 95 % do not exceed."""


class ErrorSpread(Spread):
    """The same of absolute errors."""

    n: int
    """How many turns."""


class Knee(Record):
    """Where more speed gains less than 5 ms."""

    tokens_per_s: float
    """The token rate, at the TTFT that was asked about."""
    ttft_ms: float
    """The TTFT, at the token rate that was asked about."""


class PredictedTurn(Record):
    """One turn of the trace."""

    recording: str | None
    """The name of the recording."""
    predicted_ms: float
    """The turn latency as predicted, the median of a recording's several turns."""
    recorded_ms: float
    """The same as recorded."""


class PointRecord(Record):
    """What is predicted for one LLM and mode."""

    llm: str
    """The LLM that was asked about."""
    mode: str
    """The turn mode that was asked about."""
    predicted: Spread
    """The turn latency."""
    shares_ms: dict[str, float]
    """The mean critical path by stage."""
    turns: tuple[PredictedTurn, ...]
    """Turn by turn."""
    knee: Knee
    """Past which speed nothing is gained."""
    verified: bool = False
    """Whether it was replayed for real."""


class VerifiedRecord(PointRecord):
    """The same with what was measured."""

    verified: bool = True
    measured: Spread
    """The turn latency as measured."""
    error_ms: ErrorSpread
    """The absolute error of a turn."""
    errors_ms: tuple[float, ...]
    """Predicted less measured, turn by turn."""
