"""A circuit breaker: keeps a provider that fails out for a while, then lets one request through to see.

A table of states, driven by whoever asks; it knows no provider, no network and reads no clock (Nygard, "Release It!",
2007, chapter 5).
"""

from collections import deque
from dataclasses import dataclass
from enum import StrEnum


class BreakerState(StrEnum):
    """Whether requests go through."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


@dataclass(frozen=True, slots=True)
class BreakerSettings:
    """It opens after `failures` in a row within `window_s`, and tries again `cooldown_s` later."""

    failures: int = 3
    window_s: float = 60.0
    cooldown_s: float = 15.0


class CircuitBreaker:
    """Ask `admits` before each request; report each outcome by `succeeded` or `failed`. Times are process time."""

    def __init__(self, settings: BreakerSettings) -> None:
        self.state = BreakerState.CLOSED
        self._settings = settings
        self._failed_s: deque[float] = deque(maxlen=settings.failures)
        self._retry_s = 0.0

    def admits(self, now_s: float) -> bool:
        """Whether a request may go through; the first one after the cooldown is the probe, and goes alone."""
        if self.state is BreakerState.OPEN and now_s >= self._retry_s:
            self.state = BreakerState.HALF_OPEN
            return True
        return self.state is BreakerState.CLOSED

    @property
    def probing(self) -> bool:
        """Whether a probe is under way."""
        return self.state is BreakerState.HALF_OPEN

    def succeeded(self) -> None:
        """A request was answered."""
        self.state = BreakerState.CLOSED
        self._failed_s.clear()

    def abandoned(self) -> None:
        """A request was cancelled before anything was known; a probe is then still owed."""
        if self.state is BreakerState.HALF_OPEN:
            self.state = BreakerState.OPEN

    def failed(self, now_s: float, *, hopeless: bool = False, retry_after_s: float | None = None) -> None:
        """A request failed. `hopeless` faults, such as a refused key, open it at once; so does a provider's own wish
        to be left alone for `retry_after_s`.
        """
        self._failed_s.append(now_s)
        settings = self._settings
        many = len(self._failed_s) == settings.failures and now_s - self._failed_s[0] <= settings.window_s
        if many or hopeless or retry_after_s is not None or self.state is BreakerState.HALF_OPEN:
            self.state = BreakerState.OPEN
            self._retry_s = now_s + (settings.cooldown_s if retry_after_s is None else retry_after_s)
