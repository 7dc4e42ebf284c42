"""Event loops whose clock is driven: when nothing is ready they jump to the next timer, so a test of seconds takes
milliseconds.

`run` is for tasks that wait for each other and for time; `run_on_loopback` also for sockets and threads.
"""

import asyncio
import selectors
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from typing import Any, TypeVar

import pytest

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


def spend(seconds: float) -> None:
    """Let time pass during which the running loop does nothing: what a blocking call would do to it."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualTimeLoop | LoopbackLoop)
    loop.now_s += seconds


class _PatientSelector(selectors.DefaultSelector):
    """Waits for what is on its way through the system before the clock jumps."""

    loop: "LoopbackLoop"

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready:
            return ready
        if timeout is not None and timeout <= 0:
            self.loop.now_s += _STEP_S
            return ready
        ready = super().select(_ON_ITS_WAY_S)
        while not ready and (self.loop.working or timeout is None):
            ready = super().select(1)
        if not ready and timeout:
            self.loop.now_s += timeout
        return ready


_ON_ITS_WAY_S = 0.001
"""Loopback hands over what is written at once, so this real time is more than enough; epoll counts in milliseconds."""

_STEP_S = 1e-6
"""What a turn of the loop takes of its time, for those who poll the clock."""


class LoopbackLoop(asyncio.SelectorEventLoop):
    """`time()` is virtual seconds, and stands still while a thread of the loop's works. Both ends of a socket must be
    in this loop: time does not wait for another process.
    """

    now_s = 1_000.0
    working = 0

    def __init__(self) -> None:
        selector = _PatientSelector()
        selector.loop = self
        super().__init__(selector)

    def time(self) -> float:
        return self.now_s

    def run_in_executor(self, executor: Executor | None, func: Callable[..., T], *args: Any) -> "asyncio.Future[T]":
        working = super().run_in_executor(executor, func, *args)
        self.working += 1
        working.add_done_callback(self._worked)
        return working

    def _worked(self, _: "asyncio.Future[Any]") -> None:
        self.working -= 1


def run(main: Coroutine[Any, Any, T], *, everywhere: bool = False) -> T:
    """`asyncio.run` in virtual time; fails if a task is left behind. `everywhere`: the module `time` tells it too, for
    libraries that read that.
    """
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner, pytest.MonkeyPatch.context() as patch:
        if everywhere:
            for clock in ("time", "monotonic", "perf_counter"):
                patch.setattr(time, clock, runner.get_loop().time)

        async def watched() -> T:
            result = await main
            left = [t.get_name() for t in asyncio.all_tasks() if t is not asyncio.current_task()]
            assert not left, f"tasks left behind: {left}"
            return result

        return runner.run(watched())


def run_on_loopback(main: Coroutine[Any, Any, T]) -> T:
    """`asyncio.run` in virtual time, with sockets and threads."""
    with asyncio.Runner(loop_factory=LoopbackLoop) as runner:
        return runner.run(main)
