"""An event loop whose clock is driven: when nothing is ready it jumps to the next timer, so a test of seconds takes
milliseconds.
"""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class _JumpingSelector(selectors.DefaultSelector):
    loop: "VirtualTimeLoop"

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self.loop.steps += 1
        if self.loop.steps == self.loop.stop_step and self.loop.to_stop is not None:
            self.loop.to_stop.cancel()
            timeout = 0
        ready = super().select(0)
        if not ready and timeout is None:
            raise RuntimeError("the test waits for something that will never happen")
        if not ready and timeout:
            self.loop.now_s += timeout
        return ready


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """`time()` is virtual seconds; threads and sockets do not fit in here. A step is one turn of the loop."""

    now_s = 1_000.0
    steps = 0
    stop_step: int | None = None
    to_stop: asyncio.Task[Any] | None = None

    def __init__(self) -> None:
        selector = _JumpingSelector()
        selector.loop = self
        super().__init__(selector)

    def time(self) -> float:
        return self.now_s


def cancel_after(steps: int, task: asyncio.Task[Any]) -> None:
    """Cancel `task` when the running loop has made so many more steps, wherever in its code it then is."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualTimeLoop)
    loop.stop_step, loop.to_stop = loop.steps + steps, task


def run(main: Coroutine[Any, Any, T]) -> T:
    """`asyncio.run` in virtual time; fails if a task is left behind."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:

        async def watched() -> T:
            result = await main
            left = [t.get_name() for t in asyncio.all_tasks() if t is not asyncio.current_task()]
            assert not left, f"tasks left behind: {left}"
            return result

        return runner.run(watched())
