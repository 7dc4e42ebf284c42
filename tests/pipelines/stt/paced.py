"""Audio that comes as slowly as it is decoded, so that what is made of it does not hang on the machine's speed."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from concurrent.futures import Future
from typing import Any, TypeVar

from pipelines.events import Heard
from pipelines.stt.pool import UrgentFirstPool
from pipelines.stt.streaming import StreamingWhisper

T = TypeVar("T")


class WatchedPool(UrgentFirstPool):
    """One can wait until all that it was given is done."""

    def __init__(self, workers: int = 2) -> None:
        super().__init__(workers, "stt")
        self._given: list[Future[Any]] = []

    def submit(self, work: Callable[[], T], *, urgent: bool) -> Future[T]:
        given = super().submit(work, urgent=urgent)
        self._given.append(given)
        return given

    async def idle(self) -> None:
        if under_way := [asyncio.wrap_future(given) for given in self._given if not given.done()]:
            await asyncio.wait(under_way)


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110  # a decoder's thread makes it true, and knows no event loop
        await asyncio.sleep(0)


async def settled() -> None:
    """Until all that can go on without a thread has done so."""
    for _ in range(20):
        await asyncio.sleep(0)


async def paced(events: Sequence[Heard], stt: StreamingWhisper, *, at_once: int = 1) -> AsyncGenerator[Heard]:
    """So many events at once, and the next when those are decoded; the pool of `stt` must be a watched one."""
    assert isinstance(stt._pool, WatchedPool)
    for number, event in enumerate(events):
        if number % at_once == 0:
            await settled()
            await stt._pool.idle()
        yield event
