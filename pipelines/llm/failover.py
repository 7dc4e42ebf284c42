"""A model with a standby: whoever is healthy and first answers.

Before the first token a fault of the primary switches to the standby, and silence beyond a budget asks both (a hedged
request, Dean and Barroso, "The Tail at Scale", 2013): the first token wins and the other request is cancelled. A
circuit breaker keeps a failing primary out. After the first token a fault is passed on: what has been spoken by then,
and how to go on from there, is the reply's business.

Every decision is yielded as an event. It knows no turn, no price and no user.
"""

import asyncio
import logging
from asyncio import Task
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from pipelines.errors import LLMError, LLMFault
from pipelines.events import Answering, ChatEvent, ChatMessage, Clock, FailoverAction, FailoverDecision, ToolSpec
from pipelines.llm import ChatModel
from pipelines.llm.breaker import BreakerSettings, BreakerState, CircuitBreaker

log = logging.getLogger(__name__)

_TTFT_WINDOW = 100  # first-token times remembered: enough for a p95, few enough to follow a drifting provider
_TTFT_ENOUGH = 20  # of them are needed before one in twenty means anything

_HOPELESS = {LLMFault.UNAUTHORIZED, LLMFault.NOT_FOUND}
"""Waiting does not mend these: the operator must."""

_ACCEPTED = {LLMFault.STALLED, LLMFault.CUT, LLMFault.MALFORMED}
"""After these the provider had begun to work, and will want its money."""


class Hedge(StrEnum):
    """When the standby is asked too."""

    OFF = "off"
    P95 = "p95"
    """After the primary's own rolling p95 of the TTFT, and never later than `hedge_ms`."""
    FIXED = "fixed"
    """After `hedge_ms`."""


@dataclass(frozen=True, slots=True)
class FailoverSettings:
    """`standby` is a catalogue name, empty for none; `refresh_s` is how often its connection is kept open."""

    standby: str = ""
    hedge: Hedge = Hedge.P95
    hedge_ms: float = 400.0
    refresh_s: float = 60.0
    breaker_failures: int = 3
    breaker_window_s: float = 60.0
    breaker_cooldown_s: float = 15.0


@dataclass(frozen=True, slots=True)
class FailoverState:
    """What a console shows: the breaker of the primary, and when the standby was last found ready (process time)."""

    primary: BreakerState
    standby_ready_s: float | None
    standby_fault: str | None
    budget_ms: float | None


class Failover:
    """A `ChatModel` made of two; its name is the primary's. It closes both."""

    def __init__(self, primary: ChatModel, standby: ChatModel, settings: FailoverSettings, clock: Clock) -> None:
        self.name = primary.name
        self.standby = standby
        self._primary = primary
        self._settings = settings
        self._clock = clock
        self._breaker = CircuitBreaker(
            BreakerSettings(settings.breaker_failures, settings.breaker_window_s, settings.breaker_cooldown_s)
        )
        self._ttfts_s: deque[float] = deque(maxlen=_TTFT_WINDOW)
        self._standby_ready_s: float | None = None
        self._standby_fault: str | None = None

    # ------------------------------------------------------------ connections

    async def warm_up(self) -> None:
        """Open both connections; a primary that cannot be reached is what a standby is for. Raises LLMError if neither
        can.
        """
        try:
            await self._primary.warm_up()
        except LLMError as error:
            self._note_failure(error)
            log.warning("%s; %s answers meanwhile", error, self.standby.name)
            await self.standby.warm_up()
            self._standby_ready_s = self._clock()
        else:
            await self._refresh()

    async def keep_warm(self) -> None:
        """Keep the standby's connection open for ever; cancel it at the end."""
        while True:
            await asyncio.sleep(self._settings.refresh_s)
            await self._refresh()

    async def aclose(self) -> None:
        """Close both."""
        try:
            await self._primary.aclose()
        finally:
            await self.standby.aclose()

    @property
    def state(self) -> FailoverState:
        """How things stand."""
        budget_s = self._budget_s()
        return FailoverState(
            self._breaker.state,
            self._standby_ready_s,
            self._standby_fault,
            None if budget_s is None else budget_s * 1_000,
        )

    async def _refresh(self) -> None:
        try:
            await self.standby.warm_up()
        except LLMError as error:
            if self._standby_fault is None:
                log.warning("the standby is not ready: %s", error)
            self._standby_fault = str(error)
        else:
            self._standby_ready_s, self._standby_fault = self._clock(), None

    # ------------------------------------------------------------ one request

    async def stream(
        self, messages: Sequence[ChatMessage], tools: Sequence[ToolSpec] = ()
    ) -> AsyncGenerator[ChatEvent]:
        """Ask, and yield decisions, `Answering` and what the winner sends. Raises LLMError."""
        race = _Race(self, messages, tools)
        try:
            async for decision in race.run():
                yield decision
            winner = race.winner
            assert winner is not None
            yield Answering(winner.model.name)
            yield winner.first
            try:
                async for event in winner.events:
                    yield event
            except LLMError as error:
                if winner.model is self._primary:
                    self._note_failure(error)
                raise
            if winner.model is self._primary:
                self._breaker.succeeded()  # not at its first token: it may yet break off
        finally:
            await race.close()

    def _budget_s(self) -> float | None:
        """How long the primary may take for its first token before the standby is asked too."""
        longest_s = self._settings.hedge_ms / 1_000
        match self._settings.hedge:
            case Hedge.OFF:
                return None
            case Hedge.P95 if len(self._ttfts_s) >= _TTFT_ENOUGH:
                # Where one request in twenty stalls, the p95 itself drifts up; the bound holds it.
                return min(longest_s, float(np.percentile(self._ttfts_s, 95)))
            case _:
                return longest_s

    def _note_failure(self, error: LLMError) -> None:
        if error.fault is LLMFault.REJECTED:
            return  # the request was at fault
        hopeless = error.fault in _HOPELESS
        wish_s = error.retry_after_s if error.fault is LLMFault.RATE_LIMITED else None
        self._breaker.failed(self._clock(), hopeless=hopeless, retry_after_s=wish_s)
        if hopeless:
            log.warning("%s", error)


class _Attempt:
    """One request on its way to its first token."""

    def __init__(self, model: ChatModel, messages: Sequence[ChatMessage], tools: Sequence[ToolSpec]) -> None:
        self.model = model
        self.events = model.stream(messages, tools)
        self.task: Task[ChatEvent] = asyncio.create_task(self._first(), name=f"first token of {model.name}")

    async def _first(self) -> ChatEvent:
        return await anext(self.events)

    @property
    def error(self) -> LLMError | None:
        """Why it came to nothing; None while it may still."""
        error = self.task.exception() if self.task.done() else None
        if error is not None and not isinstance(error, LLMError):
            raise error
        return error

    @property
    def first(self) -> ChatEvent:
        """Its first event."""
        return self.task.result()

    async def close(self) -> None:
        """Cancel it, wherever it is."""
        self.task.cancel()
        await asyncio.wait([self.task])
        if not self.task.cancelled():
            self.task.exception()  # looked at, so that asyncio does not complain of it
        await self.events.aclose()


class _Race:
    """From the request to the first token: one runner or two. `close` it in any case."""

    def __init__(self, failover: Failover, messages: Sequence[ChatMessage], tools: Sequence[ToolSpec]) -> None:
        self.winner: _Attempt | None = None
        self._failover = failover
        self._request = messages, tools
        self._attempts: list[_Attempt] = []
        self._began_s = failover._clock()
        self._primary: _Attempt | None = None
        self._primary_noted = False

    async def run(self) -> AsyncGenerator[FailoverDecision]:
        """Yield each decision until there is a winner. Raises LLMError if all have failed."""
        failover = self._failover
        breaker, standby = failover._breaker, failover.standby.name
        if breaker.admits(self._began_s):
            self._primary = self._ask(failover._primary)
            if breaker.probing:
                yield self._decide(FailoverAction.PROBED, failover.name, "the cooldown of its circuit breaker is over")
        else:
            self._ask(failover.standby)
            yield self._decide(FailoverAction.KEPT_OUT, standby, f"the circuit breaker of {failover.name} is open")
        while self.winner is None:
            budget_s = None if len(self._attempts) > 1 or self._primary is None else failover._budget_s()
            running = [attempt.task for attempt in self._attempts if not attempt.task.done()]
            timeout_s = None if budget_s is None else max(0.0, self._began_s + budget_s - failover._clock())
            done, _ = await asyncio.wait(running, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
            if not done:
                self._ask(failover.standby)
                waited_ms = (failover._clock() - self._began_s) * 1_000
                yield self._decide(FailoverAction.HEDGED, standby, f"no first token within {waited_ms:.0f} ms")
                continue
            async for decision in self._settle():
                yield decision

    async def _settle(self) -> AsyncGenerator[FailoverDecision]:
        """What follows from the attempts that have come to something."""
        failover, primary = self._failover, self._primary
        if primary is not None and primary.error is not None and not self._primary_noted:
            self._primary_noted = True
            failover._note_failure(primary.error)
        answered = [attempt for attempt in self._attempts if attempt.task.done() and attempt.error is None]
        if answered:
            self.winner = primary if primary in answered else answered[0]
            for decision in self._won():
                yield decision
            return
        if primary is not None and primary.error is not None and len(self._attempts) == 1:
            error = primary.error
            if error.fault is LLMFault.REJECTED:
                raise error
            self._ask(failover.standby)
            paid = failover.name if error.fault in _ACCEPTED else None
            yield self._decide(FailoverAction.SWITCHED, failover.standby.name, str(error), paid)
        elif all(attempt.task.done() for attempt in self._attempts):
            self._give_up()

    def _won(self) -> list[FailoverDecision]:
        failover, primary, winner = self._failover, self._primary, self.winner
        assert winner is not None
        decisions: list[FailoverDecision] = []
        elapsed_s = failover._clock() - self._began_s
        if primary is not None and primary.error is None:
            # A loser's time is known to be at least this long.
            failover._ttfts_s.append(elapsed_s)
        if winner is primary and failover._breaker.probing:
            decisions.append(self._decide(FailoverAction.RECOVERED, failover.name, "the probe was answered"))
            failover._breaker.succeeded()
        losers = [attempt for attempt in self._attempts if attempt is not winner and attempt.error is None]
        for loser in losers:
            reason = f"its first token came first, after {elapsed_s * 1_000:.0f} ms"
            decisions.append(self._decide(FailoverAction.WON, winner.model.name, reason, loser.model.name))
            if loser is primary and failover._breaker.probing:
                failover._breaker.failed(failover._clock())  # slower than the budget: not back yet
        return decisions

    def _give_up(self) -> None:
        """Raise what both did."""
        primary = self._primary.error if self._primary else None
        last = next(a.error for a in reversed(self._attempts) if a.model is self._failover.standby)
        assert last is not None
        if primary is None:
            raise last
        raise LLMError(f"{last}; before that, {primary}", last.fault, last.retry_after_s)

    def _ask(self, model: ChatModel) -> _Attempt:
        attempt = _Attempt(model, *self._request)
        self._attempts.append(attempt)
        return attempt

    def _decide(self, action: FailoverAction, llm: str, reason: str, gave_up: str | None = None) -> FailoverDecision:
        return FailoverDecision(self._failover._clock(), action, llm, reason, gave_up)

    async def close(self) -> None:
        """Cancel what still runs; the winner's stream too."""
        if self.winner is None:
            self._failover._breaker.abandoned()
        for attempt in self._attempts:
            await attempt.close()
