"""A stage that runs ahead of the one that reads it, by a bounded number of items."""

from asyncio import TaskGroup
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import TypeVar

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

T = TypeVar("T")


@asynccontextmanager
async def ahead(source: AsyncGenerator[T], bound: int, name: str) -> AsyncIterator[MemoryObjectReceiveStream[T]]:
    """Run `source` in a task of its own, which may be `bound` items ahead of what is read here.

    When the reader leaves, the task is cancelled and `source` closed. `source` must handle its own faults.
    """
    send, receive = anyio.create_memory_object_stream[T](bound)
    async with send, TaskGroup() as tasks:  # closed here too: the task may be cancelled before it has begun
        task = tasks.create_task(_pass_on(source, send), name=name)
        try:
            async with receive:
                yield receive
        finally:
            task.cancel()


async def _pass_on(source: AsyncGenerator[T], send: MemoryObjectSendStream[T]) -> None:
    async with send, aclosing(source):
        async for item in source:
            await send.send(item)
