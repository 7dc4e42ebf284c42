"""From a request to its first token, with one model running or two (a hedged request, Dean and Barroso, "The Tail at
Scale", 2013).

It decides who is asked and who has won, and tells each decision; independent of the answer behind the first token.
"""

import asyncio
from asyncio import Task
from collections.abc import AsyncGenerator, Sequence

from pipelines.errors import LLMError, LLMFault
from pipelines.events import ChatEvent, ChatMessage, Clock, FailoverAction, FailoverDecision, ToolSpec, Usage
from pipelines.llm import ChatModel
from pipelines.llm.health import Health

_ACCEPTED = {LLMFault.STALLED, LLMFault.CUT, LLMFault.MALFORMED}
"""After these the provider had begun to work, and will want its money."""


class RacingRequest:
    """One request on its way to its first token."""

    def __init__(self, model: ChatModel, messages: Sequence[ChatMessage], tools: Sequence[ToolSpec]) -> None:
        self.model = model
        self.events = model.stream(messages, tools)
        self.task: Task[ChatEvent] = asyncio.create_task(self._first(), name=f"first token of {model.name}")
        self._closing: Task[None] | None = None

    async def _first(self) -> ChatEvent:
        event = await anext(self.events, None)
        if event is None or isinstance(event, Usage):
            raise LLMError(f"{self.model.name} sent no answer; try again or choose another LLM", LLMFault.MALFORMED)
        return event

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

    def give_up(self) -> None:
        """Begin to close it, wherever it is, without waiting for that."""
        self.task.cancel()
        if self._closing is None:
            self._closing = asyncio.create_task(self._close(), name=f"closing {self.model.name}")

    async def closed(self) -> None:
        """Close it, and wait until that is done."""
        self.give_up()
        assert self._closing is not None
        await asyncio.wait([self._closing])  # not the task itself: whoever is cancelled here must not cancel it
        self._closing.result()

    async def _close(self) -> None:
        await asyncio.wait([self.task])
        if not self.task.cancelled():
            self.task.exception()  # looked at, so that asyncio does not complain of it
        await self.events.aclose()


class Race:
    """Between `primary` and `standby` for one request; `run` it, read the `winner`'s answer, `close` it in any case."""

    def __init__(
        self,
        primary: ChatModel,
        standby: ChatModel,
        health: Health,
        clock: Clock,
        request: tuple[Sequence[ChatMessage], Sequence[ToolSpec]],
    ) -> None:
        self.winner: RacingRequest | None = None
        self._models = primary, standby
        self._health = health
        self._clock = clock
        self._request = request
        self._attempts: list[RacingRequest] = []
        self._began_s = clock()
        self._primary: RacingRequest | None = None
        self._primary_noted = False
        self._switched = False
        self._probing = False

    async def run(self) -> AsyncGenerator[FailoverDecision]:
        """Yield each decision until there is a winner. Raises LLMError if all have failed."""
        primary, standby = self._models
        if self._health.breaker.admits(self._began_s):
            self._primary = self._ask(primary)
            self._probing = self._health.breaker.probing
            if self._probing:
                yield self._decide(FailoverAction.PROBED, primary.name, "the cooldown of its circuit breaker is over")
        else:
            self._ask(standby)
            yield self._decide(FailoverAction.KEPT_OUT, standby.name, f"the circuit breaker of {primary.name} is open")
        while self.winner is None:
            running = [attempt.task for attempt in self._attempts if not attempt.task.done()]
            done, _ = await asyncio.wait(running, timeout=self._wait_s(), return_when=asyncio.FIRST_COMPLETED)
            if not done:
                self._ask(standby)
                waited_ms = (self._clock() - self._began_s) * 1_000
                yield self._decide(FailoverAction.HEDGED, standby.name, f"no first token within {waited_ms:.0f} ms")
                continue
            async for decision in self._settle():
                yield decision

    def _wait_s(self) -> float | None:
        """How much longer the primary may run alone; None if nobody else would be asked."""
        if len(self._attempts) > 1 or self._primary is None:
            return None
        budget_s = self._health.probe_budget_s() if self._probing else self._health.budget_s()
        return None if budget_s is None else max(0.0, self._began_s + budget_s - self._clock())

    async def _settle(self) -> AsyncGenerator[FailoverDecision]:
        """What follows from the attempts that have come to something."""
        primary, (_, standby) = self._primary, self._models
        if primary is not None and primary.error is not None and not self._primary_noted:
            self._primary_noted = True
            self._health.failed(primary.error)
            if primary.error.fault is not LLMFault.REJECTED:
                self._probing = False  # the breaker knows; a probe that says nothing of the primary is still owed
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
            self._ask(standby)
            self._switched = True
            paid = primary.model.name if error.fault in _ACCEPTED else None
            yield self._decide(FailoverAction.SWITCHED, standby.name, str(error), paid)
        elif all(attempt.task.done() for attempt in self._attempts):
            self._give_up()

    def _won(self) -> list[FailoverDecision]:
        primary, winner = self._primary, self.winner
        assert winner is not None
        decisions: list[FailoverDecision] = []
        elapsed_s = self._clock() - self._began_s
        if primary is not None and primary.error is None:
            # A loser's time is known to be at least this long.
            self._health.ttfts_s.append(elapsed_s)
        if winner is primary and self._probing:
            self._probing = False
            decisions.append(self._decide(FailoverAction.RECOVERED, winner.model.name, "the probe was answered"))
            self._health.breaker.succeeded()
        for loser in self._attempts:
            unpaid = loser.error is not None and (self._switched or loser.error.fault not in _ACCEPTED)
            if loser is winner or unpaid:
                continue  # what was switched from has been told already
            reason = f"its first token came first, after {elapsed_s * 1_000:.0f} ms"
            decisions.append(self._decide(FailoverAction.WON, winner.model.name, reason, loser.model.name))
            if loser is primary and loser.error is None:
                self._probing = False
                self._health.lost()
            loser.give_up()  # at once: what it writes from here on would be paid
        return decisions

    def _give_up(self) -> None:
        """Raise what both did."""
        primary = self._primary.error if self._primary else None
        last = next(a.error for a in reversed(self._attempts) if a is not self._primary)
        assert last is not None
        if primary is None:
            raise last
        raise LLMError(f"{last}; before that, {primary}", last.fault, last.retry_after_s)

    def _ask(self, model: ChatModel) -> RacingRequest:
        attempt = RacingRequest(model, *self._request)
        self._attempts.append(attempt)
        return attempt

    def _decide(self, action: FailoverAction, llm: str, reason: str, gave_up: str | None = None) -> FailoverDecision:
        return FailoverDecision(self._clock(), action, llm, reason, gave_up)

    async def close(self) -> None:
        """Cancel what still runs; the winner's stream too."""
        if self._probing:
            self._health.breaker.abandoned()
        for attempt in self._attempts:
            attempt.give_up()
        for attempt in self._attempts:
            await attempt.closed()
