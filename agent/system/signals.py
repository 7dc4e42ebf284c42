"""Ctrl-C and SIGTERM, for whatever runs until it is told to stop."""

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager

_STOP = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def stop_signals() -> Iterator[tuple[asyncio.Event, asyncio.Event]]:
    """Two events: the first is set by the first SIGINT or SIGTERM, the second by any further one."""
    loop, told, told_again = asyncio.get_running_loop(), asyncio.Event(), asyncio.Event()

    def signalled() -> None:
        (told_again if told.is_set() else told).set()

    for number in _STOP:
        loop.add_signal_handler(number, signalled)
    try:
        yield told, told_again
    finally:
        for number in _STOP:
            loop.remove_signal_handler(number)


async def until_told_to_stop() -> None:
    """Wait for SIGINT (Ctrl-C) or SIGTERM."""
    with stop_signals() as (told, _):
        await told.wait()
