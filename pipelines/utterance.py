"""An utterance: what the user says in one turn, as a stream of updates that several may read."""

import asyncio
from collections.abc import AsyncIterator

from pipelines.events import TurnEnded, UtteranceUpdate


class Utterance:
    """What the user says in one turn: iterate it for its transcripts, its ends and resumptions, until it is closed.

    Each iteration begins at the beginning, so one reader may look at what is said before another takes it.
    """

    def __init__(self, started_samples: int) -> None:
        self.started_samples = started_samples
        self.is_sounding = True  # by voice activity, which is known before any words are
        self._updates: list[UtteranceUpdate] = []
        self._changed = asyncio.Event()
        self._is_closed = False

    def __aiter__(self) -> AsyncIterator[UtteranceUpdate]:
        return _Reading(self)

    async def update(self, number: int) -> UtteranceUpdate:
        """The update of that number, as soon as it is there. Raises StopAsyncIteration after the last."""
        while number >= len(self._updates):
            if self._is_closed:
                raise StopAsyncIteration
            self._changed.clear()
            await self._changed.wait()
        return self._updates[number]

    @property
    def has_ended(self) -> bool:
        """Whether the turn is over by what is known so far."""
        return bool(self._updates) and isinstance(self._updates[-1], TurnEnded)

    @property
    def is_closed(self) -> bool:
        """Whether it is listened to no further: what is said from now on is another utterance."""
        return self._is_closed

    def close(self) -> None:
        """Listen no further: what still comes is dropped."""
        self._is_closed = True
        self._changed.set()

    def close_if_ended(self) -> bool:
        """Close, unless the user has gone on. The agent asks this right before its first sample, and the listener
        notes a resumption at once, so only one of the two can be first.
        """
        if not self._is_closed and not self.has_ended:
            return False
        self.close()
        return True

    def tell(self, update: UtteranceUpdate) -> None:
        """Pass an update on; a turn that was cancelled no longer wants it."""
        if not self._is_closed:
            self._updates.append(update)
            self._changed.set()


class _Reading:
    """One iteration over an utterance."""

    def __init__(self, utterance: Utterance) -> None:
        self._utterance = utterance
        self._number = 0

    def __aiter__(self) -> "_Reading":
        return self

    async def __anext__(self) -> UtteranceUpdate:
        update = await self._utterance.update(self._number)
        self._number += 1
        return update
