import threading
from functools import partial

import pytest

from pipelines.stt.pool import UrgentFirstPool


def test_urgent_work_goes_before_what_waits() -> None:
    pool = UrgentFirstPool(1, "test")
    gate = threading.Event()
    order: list[str] = []
    pool.submit(gate.wait, urgent=False)
    futures = [pool.submit(partial(order.append, n), urgent=n == "final") for n in ("partial", "second", "final")]
    gate.set()
    for future in futures:
        future.result(5)
    assert order == ["final", "partial", "second"]


def test_cancelled_work_is_never_run() -> None:
    pool = UrgentFirstPool(1, "test")
    gate = threading.Event()
    ran: list[str] = []
    first = pool.submit(gate.wait, urgent=False)
    dropped = pool.submit(lambda: ran.append("dropped"), urgent=True)
    kept = pool.submit(lambda: ran.append("kept"), urgent=False)
    assert dropped.cancel()
    gate.set()
    first.result(5)
    kept.result(5)
    assert ran == ["kept"]


def test_a_fault_reaches_the_one_who_waits_and_spares_the_thread() -> None:
    pool = UrgentFirstPool(1, "test")
    with pytest.raises(ZeroDivisionError):
        pool.submit(lambda: 1 // 0, urgent=False).result(5)
    assert pool.submit(lambda: 7, urgent=False).result(5) == 7
