"""A model with a standby: whoever is healthy and first answers.

Before the first token a fault of the primary switches to the standby, and silence beyond a budget asks both: the first
token wins and the other request is cancelled. A circuit breaker keeps a failing primary out. After the first token a
fault is passed on: what has been spoken by then, and how to go on from there, is the reply's business.

Every decision is yielded as an event. Independent of turns, prices and users.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from pipelines.errors import LLMError
from pipelines.events import Answering, ChatEvent, ChatMessage, Clock, ToolSpec
from pipelines.llm import ChatModel
from pipelines.llm.breaker import BreakerState
from pipelines.llm.health import FailoverSettings, Health
from pipelines.llm.race import Race

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class FailoverState:
    """What a console shows: the breaker of the primary, and when the standby was last found ready (process time)."""

    primary: BreakerState
    standby_ready_s: float | None
    standby_fault: str | None
    budget_ms: float | None


class Failover:
    """A `ChatModel` made of two; its name is the primary's."""

    def __init__(self, primary: ChatModel, standby: ChatModel, settings: FailoverSettings, clock: Clock) -> None:
        self.name = primary.name
        self.standby = standby
        self._primary = primary
        self._settings = settings
        self._clock = clock
        self._health = Health(settings, clock)
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
            self._health.failed(error)
            log.warning("%s; %s answers meanwhile", error, self.standby.name)
            await self.standby.warm_up()
            self._standby_ready_s = self._clock()
        else:
            await self._refresh()

    @asynccontextmanager
    async def kept_warm(self) -> AsyncIterator[None]:
        """Warm up, and keep the standby's connection open within the block."""
        await self.warm_up()
        # Not a task group: that would wrap whatever the block raises.
        keeper = asyncio.create_task(self._keep_warm(), name=f"standby of {self.name}")
        try:
            yield
        finally:
            keeper.cancel()
            await asyncio.wait([keeper])
            if not keeper.cancelled():
                log.error("the standby was not kept warm", exc_info=keeper.exception())

    async def _keep_warm(self) -> None:
        while True:
            await asyncio.sleep(self._settings.refresh_s)
            await self._refresh()

    async def aclose(self) -> None:
        """Close the primary; the standby, which several may share, belongs to whoever made it."""
        await self._primary.aclose()

    @property
    def state(self) -> FailoverState:
        """How things stand."""
        budget_s = self._health.budget_s()
        return FailoverState(
            self._health.breaker.state,
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
        race = Race(self._primary, self.standby, self._health, self._clock, (messages, tools))
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
                    self._health.failed(error)
                raise
            if winner.model is self._primary:
                self._health.breaker.succeeded()  # not at its first token: it may yet break off
        finally:
            await race.close()
