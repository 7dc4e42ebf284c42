"""What is known of a primary: how fast it answers, whether it works, and so how long to wait for it.

It sends no request and takes no decision.
"""

import logging
from collections import deque
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from pipelines.errors import LLMError, LLMFault
from pipelines.events import Clock
from pipelines.llm.breaker import BreakerSettings, CircuitBreaker

log = logging.getLogger(__name__)

_TTFT_WINDOW = 100  # first-token times remembered: enough for a p95, few enough to follow a drifting provider
_TTFT_ENOUGH = 20  # of them are needed before one in twenty means anything

_HOPELESS = {LLMFault.UNAUTHORIZED, LLMFault.NOT_FOUND}
"""Waiting does not mend these: the operator must."""


class Hedge(StrEnum):
    """When the standby is asked too."""

    OFF = "off"
    P95 = "p95"
    """After the primary's own rolling p95 of the TTFT, and never later than `hedge_ms`."""
    FIXED = "fixed"
    """After `hedge_ms`."""


@dataclass(frozen=True, slots=True)
class FailoverSettings:
    """`standby` is a catalogue name, empty for none; its connection is refreshed every `refresh_s`.

    `stall_s` is the primary's time between two tokens, shorter than without a standby, which then finishes the answer.
    The breaker is `pipelines.llm.breaker`'s.
    """

    standby: str = ""
    hedge: Hedge = Hedge.P95
    hedge_ms: float = 400.0
    stall_s: float = 1.5
    refresh_s: float = 60.0
    breaker_failures: int = 3
    breaker_window_s: float = 60.0
    breaker_cooldown_s: float = 15.0


class Health:
    """Its circuit breaker, and its last times to a first token (`ttfts_s`; a lost race counts with its length)."""

    def __init__(self, settings: FailoverSettings, clock: Clock) -> None:
        self.breaker = CircuitBreaker(
            BreakerSettings(settings.breaker_failures, settings.breaker_window_s, settings.breaker_cooldown_s)
        )
        self.ttfts_s: deque[float] = deque(maxlen=_TTFT_WINDOW)
        self._settings = settings
        self._clock = clock

    def budget_s(self) -> float | None:
        """How long the primary may take for its first token before the standby is asked too."""
        longest_s = self._settings.hedge_ms / 1_000
        match self._settings.hedge:
            case Hedge.OFF:
                return None
            case Hedge.P95 if len(self.ttfts_s) >= _TTFT_ENOUGH:
                # Where one request in twenty stalls, the p95 itself drifts up; the bound holds it.
                return min(longest_s, float(np.percentile(self.ttfts_s, 95)))
            case _:
                return longest_s

    def probe_budget_s(self) -> float:
        """The same for a probe, which is always hedged: it must not cost the user the patience that a healthy primary
        gets. It is not raced from the start, since a primary that is only slower than its standby would then never come
        back.
        """
        budget_s = self.budget_s()
        return self._settings.hedge_ms / 1_000 if budget_s is None else budget_s

    def failed(self, error: LLMError) -> None:
        """A request of the primary failed, before its first token or after."""
        if error.fault is LLMFault.REJECTED:
            return  # the request was at fault
        hopeless = error.fault in _HOPELESS
        wish_s = error.retry_after_s if error.fault is LLMFault.RATE_LIMITED else None
        self.breaker.failed(self._clock(), hopeless=hopeless, retry_after_s=wish_s)
        if hopeless:
            log.warning("%s", error)

    def lost(self) -> None:
        """A request was outrun by the standby's, which was sent later: once is chance, several in a row are a primary
        to be kept out.
        """
        self.breaker.failed(self._clock())
