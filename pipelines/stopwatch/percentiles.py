"""Percentiles, and the confidence intervals without which no difference is claimed. Pure; independent of turns."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from pipelines.stopwatch.record import Record

_RESAMPLES = 2_000

Statistic = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""Reduces the last axis, as `lambda drawn: np.median(drawn, axis=-1)` does."""


class Percentiles(Record):
    """Of some values, with linear interpolation; None if there is nothing to count."""

    p50: float | None
    """The median."""
    p95: float | None
    """What 95 % do not exceed."""
    p99: float | None
    """What 99 % do not exceed."""
    n: int
    """How many values."""


def median(drawn: NDArray[np.float64]) -> NDArray[np.float64]:
    """The statistic that differences are stated in unless another is asked for."""
    return np.asarray(np.median(drawn, axis=-1))


def percentiles(values: Sequence[float | None]) -> Percentiles:
    """Those of the values that are not None, rounded to two digits."""
    known = [v for v in values if v is not None]
    if not known:
        return Percentiles(p50=None, p95=None, p99=None, n=0)
    p50, p95, p99 = (round(float(p), 2) for p in np.percentile(known, [50, 95, 99]))
    return Percentiles(p50=p50, p95=p95, p99=p99, n=len(known))


def interval_of_median(values: Sequence[float], level: float = 0.95) -> tuple[float, float] | None:
    """The percentile bootstrap of the median (Efron 1979, 2,000 resamples, fixed seed) of, say, paired differences.

    None for a single one, which says nothing about how much the next would differ.
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
