"""Worker threads that take the most urgent work first. Independent of speech."""

import heapq
import itertools
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")


class UrgentFirstPool:
    """Threads for blocking work, shared by several conversations.

    Its queue is bounded by its callers: each conversation has at most one decode waiting.
    """

    def __init__(self, workers: int, name: str) -> None:
        """Start with no thread; up to `workers` come with the work."""
        self._executor = ThreadPoolExecutor(workers, thread_name_prefix=name)
        self._lock = threading.Lock()
        self._order = itertools.count()
        self._waiting: list[tuple[bool, int, Future[Any], Callable[[], Any]]] = []

    def submit(self, work: Callable[[], T], *, urgent: bool) -> Future[T]:
        """Run `work` before all waiting work that is not urgent; a future cancelled while it waits is never run."""
        future: Future[T] = Future()
        with self._lock:
            heapq.heappush(self._waiting, (not urgent, next(self._order), future, work))
        self._executor.submit(self._run_next)
        return future

    def _run_next(self) -> None:
        with self._lock:
            _, _, future, work = heapq.heappop(self._waiting)
        if not future.set_running_or_notify_cancel():
            return
        try:
            future.set_result(work())
        except BaseException as error:  # whatever it was, it belongs to the one who waits for the result
            future.set_exception(error)
