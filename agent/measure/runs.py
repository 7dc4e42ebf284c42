"""Runs of many replays: several lanes at a time over one set of engines, with the event loop's lag measured meanwhile.

Replays are in real time, so lanes save time; they share two cores, so too many of them would measure each other. It
prints nothing.
"""

import asyncio
import gc
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from agent.measure.recordings import Recording
from agent.measure.replay import Replay, Replayed
from agent.measure.results import turn_records
from agent.setup.engines import Engines
from agent.system.cores import cores
from pipelines.modes import Mode
from pipelines.stopwatch.record import TurnRecord

_CORES_A_LANE = 2
"""At the end of a question the final decode, the turn detector and the voice keep two cores busy at once: a second
replay on them makes both slower (README, Numbers).
"""

_LAG_PERIOD_S = 0.01


@dataclass(frozen=True, slots=True)
class Job:
    """One recording through one model in one mode."""

    recording: Recording
    llm: str
    mode: Mode


@dataclass(slots=True)
class Run:
    """What came of the jobs, in their order."""

    turns: list[TurnRecord] = field(default_factory=list)
    loop_lag_ms: list[float] = field(default_factory=list)


OnDone = Callable[[Job, Replayed, list[TurnRecord]], None]


def default_lanes() -> int:
    """How many replays run at a time without slowing each other down."""
    return max(1, round(cores()) // _CORES_A_LANE)


async def run_jobs(engines: Engines, jobs: Sequence[Job], lanes: int, on_done: OnDone) -> Run:
    """Replay all jobs; `on_done` is called for each as it ends."""
    results: dict[int, list[TurnRecord]] = {}
    run = Run()
    waiting = iter(enumerate(jobs))
    gc.collect()
    gc.freeze()  # keeps the garbage collector out of the loaded models, which would stop everything for milliseconds
    try:
        async with asyncio.TaskGroup() as tasks:
            watch = tasks.create_task(_watch_lag(run.loop_lag_ms), name="lag")
            workers = [
                tasks.create_task(_lane(engines, waiting, results, on_done), name=f"lane {n}") for n in range(lanes)
            ]
            await asyncio.wait(workers)
            watch.cancel()
    finally:
        gc.unfreeze()
    run.turns = [turn for index in sorted(results) for turn in results[index]]
    return run


async def _lane(
    engines: Engines, jobs: Iterator[tuple[int, Job]], results: dict[int, list[TurnRecord]], on_done: OnDone
) -> None:
    for index, job in jobs:
        replayed = await Replay(job.recording, engines.clock).run(engines.session_builder(job.llm, job.mode))
        results[index] = turn_records(replayed, engines, job.llm, job.mode)
        on_done(job, replayed, results[index])


async def _watch_lag(lags_ms: list[float]) -> None:
    """Note how much later than asked a sleeping task is woken: what every stage's marks may be off by."""
    clock = asyncio.get_running_loop().time
    while True:
        due_s = clock() + _LAG_PERIOD_S
        await asyncio.sleep(_LAG_PERIOD_S)
        lags_ms.append((clock() - due_s) * 1_000)
