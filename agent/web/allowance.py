"""How much may come how fast: a token bucket. Independent of what is counted."""

from pipelines.events import Clock


class Allowance:
    """`per_s` on average, and `burst` at once."""

    def __init__(self, per_s: float, burst: float, clock: Clock) -> None:
        self._per_s = per_s
        self._burst = burst
        self._clock = clock
        self._left = burst
        self._at_s = clock()

    def take(self, amount: float) -> bool:
        """Whether that much is still allowed now."""
        now_s = self._clock()
        self._left = min(self._burst, self._left + (now_s - self._at_s) * self._per_s) - amount
        self._at_s = now_s
        return self._left >= 0
