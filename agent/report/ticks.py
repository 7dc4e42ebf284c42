"""Round numbers along an axis."""

import math
from collections.abc import Sequence


def linear_ticks(start: float, end: float, parts: int) -> list[int]:
    """The multiples of 1, 2 or 5 times a power of ten from `start` to `end`, at most `parts` steps."""
    step = _step((end - start) / parts)
    return [step * number for number in range(math.ceil(start / step), math.floor(end / step) + 1)]


def ticks_beyond(longest: float, parts: int) -> list[int]:
    """The same from 0 to the first at or above `longest`, which is above 0."""
    step = _step(longest / parts)
    return [step * number for number in range(math.ceil(longest / step) + 1)]


def log_ticks(values: Sequence[float]) -> list[int]:
    """1, 2, 5, 10, ... from at or below the smallest value to at or above the largest."""
    scale = [factor * 10**power for power in range(8) for factor in (1, 2, 5)]
    below = [tick for tick in scale if tick <= min(values)]
    first = scale.index(below[-1]) if below else 0
    last = next((index for index, tick in enumerate(scale) if tick >= max(values)), len(scale) - 1)
    return scale[first : max(last, first + 1) + 1]


def _step(at_least: float) -> int:
    magnitude = int(10 ** (len(str(int(at_least))) - 1))
    return next(factor * magnitude for factor in (1, 2, 5, 10) if factor * magnitude >= at_least)
