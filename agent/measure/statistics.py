"""Percentiles, and the confidence intervals without which no difference is claimed. Pure; it knows no turn."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

_RESAMPLES = 2_000

Statistic = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""Reduces the last axis, as `lambda drawn: np.median(drawn, axis=-1)` does."""


def median(drawn: NDArray[np.float64]) -> NDArray[np.float64]:
    """The statistic that differences are stated in unless another is asked for."""
    return np.asarray(np.median(drawn, axis=-1))


def percentiles(values: Sequence[float | None]) -> dict[str, float | int | None]:
    """`p50`, `p95`, `p99` with linear interpolation, and `n`; None where there is nothing to count."""
    known = [v for v in values if v is not None]
    if not known:
        return {"p50": None, "p95": None, "p99": None, "n": 0}
    p50, p95, p99 = (round(float(p), 2) for p in np.percentile(known, [50, 95, 99]))
    return {"p50": p50, "p95": p95, "p99": p99, "n": len(known)}


def interval_of_median(values: Sequence[float], level: float = 0.95) -> tuple[float, float] | None:
    """The percentile bootstrap of the median (Efron 1979, 2,000 resamples, fixed seed) of, say, paired differences.

    None for a single one, which tells nothing of how much the next would differ.
    """
    if len(values) < 2:
        return None
    drawn = np.random.default_rng(0).choice(np.asarray(values, float), (_RESAMPLES, len(values)))
    return _bounds(median(drawn), level)


def interval_of_difference(
    values: Sequence[float], reference: Sequence[float], statistic: Statistic = median, level: float = 0.95
) -> tuple[float, float]:
    """The same for `statistic(values) - statistic(reference)` of two samples that are not paired."""
    random = np.random.default_rng(0)
    ours, theirs = (random.choice(np.asarray(s, float), (_RESAMPLES, len(s))) for s in (values, reference))
    return _bounds(statistic(ours) - statistic(theirs), level)


def _bounds(drawn: NDArray[np.float64], level: float) -> tuple[float, float]:
    tail = (1 - level) / 2 * 100
    low, high = np.percentile(drawn, [tail, 100 - tail])
    return float(low), float(high)
