"""The load that a worker tells, from readings and from the real counters."""

import asyncio
import os
from dataclasses import replace
from pathlib import Path

import pytest

from agent.room.worker.admission import Admission, Readings, Used, load, why_full
from agent.setup.config import load_config
from agent.system.cores import cores
from tests.virtual_time import run_on_loopback

SETTINGS = load_config().room


FOUR = replace(SETTINGS, sessions=4, full_cpu_share=0.8, new_room_cores=0.5, late_ms=50)


@pytest.mark.parametrize(
    ("readings", "expected", "why"),
    [
        (Readings(0, 0, 0.0, 0.0), 0.0, "0 of 4 rooms"),
        (Readings(3, 0, 0.1, 1.0), 0.75, "3 of 4 rooms"),
        (Readings(4, 0, 0.1, 1.0), 1.0, "4 of 4 rooms"),
        # 4 cores, of which 3.2 may be busy; one more room needs 0.5, so it is full from 2.7 on
        (Readings(1, 0, 2.7, 1.0), 1.0, "2.7 of 4 cores busy"),
        (Readings(2, 2, 1.7, 1.0), 1.0, "1.7 of 4 cores busy, 1 reserved"),
        (Readings(2, 0, 1.35, 1.0), 0.5, ""),
        (Readings(1, 0, 0.2, 50.0), 1.0, "event loop 50 ms late"),
        (Readings(1, 0, 0.2, 25.0), 0.5, ""),
    ],
)
def test_the_scarcest_of_places_cpu_and_lateness_is_the_load(readings: Readings, expected: float, why: str) -> None:
    assert load(readings, 4, FOUR) == pytest.approx(expected)
    assert why in why_full(readings, 4, FOUR)


def test_a_machine_with_less_cpu_than_one_room_needs_still_has_a_scale() -> None:
    assert load(Readings(0, 0, 0.0, 0.0), 0.25, FOUR) == 0
    assert load(Readings(0, 0, 0.2, 0.0), 0.25, FOUR) > 1


class Machine:
    """A clock and counters that are driven."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.used = Used(0.0, 0.0)
        self.began: list[float] = []
        self.admission = Admission(FOUR, lambda: self.began, lambda: self.now_s, 4, lambda: self.used)

    def run(self, seconds: float, busy: float, late_ms: float = 0.0) -> None:
        for _ in range(round(seconds / 0.5)):
            self.now_s += 0.5
            self.used = Used(self.used.process_s + busy / 2, self.used.machine_s)
            self.admission.sample()
            for _ in range(10):
                self.admission.late(late_ms)


def test_load_follows_the_measured_cpu_of_the_last_seconds() -> None:
    machine = Machine()
    machine.run(10, 2.7)
    assert machine.admission.load == pytest.approx(1)
    assert "2.7 of 4 cores busy" in machine.admission.why
    machine.run(6, 0.27)
    assert machine.admission.load == pytest.approx(0.1)


def test_cpu_is_reserved_for_a_room_until_its_own_shows() -> None:
    machine = Machine()
    machine.run(5, 0.2)
    machine.began = [machine.now_s]
    assert machine.admission.readings().new_sessions == 1
    machine.run(11, 0.2)
    assert machine.admission.readings() == Readings(1, 0, pytest.approx(0.2), 0.0)


def test_lateness_counts_by_its_p95_and_is_forgotten() -> None:
    machine = Machine()
    machine.run(10, 0)
    machine.admission.late(900)  # once: the others are on time
    assert machine.admission.readings().late_ms == 0
    machine.run(2, 0, late_ms=60)
    assert machine.admission.load >= 1
    machine.now_s += 6
    assert machine.admission.readings().late_ms == 0


@pytest.mark.parametrize(
    ("cpu_max", "expected"), [("50000 100000", 0.5), ("99900000 100000", None), ("max 100000", None)]
)
def test_cores_are_those_of_the_process_within_its_cgroups_quota(
    tmp_path: Path, cpu_max: str, expected: float | None
) -> None:
    (tmp_path / "cpu.max").write_text(f"{cpu_max}\n")
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    assert cores(tmp_path / "cpu.max") == (bound if expected is None else expected)
    assert cores(tmp_path / "none") == bound


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system cannot bind a process to a core")
def test_a_process_that_is_bound_to_one_core_has_one(tmp_path: Path) -> None:
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        assert cores(tmp_path / "none") == 1
    finally:
        os.sched_setaffinity(0, before)


def test_the_real_counters_are_sampled_by_a_task() -> None:
    async def main() -> Readings:
        admission = Admission(FOUR, list, asyncio.get_running_loop().time, 4)
        sampling = asyncio.create_task(admission.run())
        while not admission.readings().busy_cores:  # noqa: ASYNC110 - the counters count in steps of 10 ms
            await asyncio.sleep(0.1)
        sampling.cancel()
        return admission.readings()

    readings = run_on_loopback(main())
    assert readings.busy_cores > 0
    assert readings.late_ms >= 0
