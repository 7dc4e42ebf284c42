"""How many rooms one worker process serves in real time.

    PATH=$PATH:<folder of livekit-server> python -m tests.bench.room_sessions [--most 8] [--cores 0,1]

More and more callers, each in a room of its own, ask their questions at the same time, and answers begin at moments
that nobody chose. Printed for each number of rooms: the turn latency at the callers' ears, its p95 against that of a
single room, and the CPU that the worker took. With --cores the worker is held to these cores (Linux), and the callers,
the server and the simulated LLM may have the others.
"""

import argparse
import asyncio
import os
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import psutil
import pytest

from tests.bench.room_calls import Asked, call, figures, questions
from tests.live.livekit_server import LiveKitServer, livekit_server
from tests.live.room_agent import Agent, quickturn_room

BAR = 1.5
_CONFIG = """[room]
absent_s = 2.0
full_cpu_share = 99.0  # nothing is refused: where it should be is what is measured
late_ms = 5000
new_room_cores = 0.01
"""


def one_call(server: LiveKitServer, rooms: int, number: int, each: int) -> list[Asked]:
    """In a process of its own: callers who share one would delay each other. The order of the questions is its own."""
    asked = questions()
    order = np.random.default_rng([rooms, number]).permutation(len(asked))
    return asyncio.run(call(server, f"sessions-{rooms}-{number}", [asked[i] for i in order] * each, number))


def calls(server: LiveKitServer, rooms: int, each: int) -> list[Asked]:
    """So many callers at a time."""
    known = LiveKitServer(server.url, server.api_key, server.api_secret)  # what can be sent to another process
    with ProcessPoolExecutor(rooms, get_context("spawn")) as processes:
        held = [processes.submit(one_call, known, rooms, number, each) for number in range(rooms)]
        return [one for future in held for one in future.result()]


def measure(server: LiveKitServer, agent: Agent, rooms: int, each: int) -> tuple[list[Asked], float]:
    """What the callers heard, and how many cores the worker took meanwhile."""
    worker = psutil.Process(agent.process.pid)
    began_s, began_cpu_s = time.monotonic(), sum(worker.cpu_times()[:2])
    asked = calls(server, rooms, each)
    return asked, (sum(worker.cpu_times()[:2]) - began_cpu_s) / (time.monotonic() - began_s)


def traced(agent: Agent, rooms: int) -> str:
    """What the worker itself says of these rooms: without the network, and without what delays the callers."""
    turns = [turn for turn in agent.turns() if turn["room"].startswith(f"sessions-{rooms}-")]
    p50, p95 = np.percentile([turn["turn_latency_ms"] for turn in turns if turn["turn_latency_ms"]], [50, 95])
    return f"traced p50 {p50:.0f}, p95 {p95:.0f} ms"


def hold(agent: Agent, cores: list[int]) -> None:
    """All threads of the worker to these cores; this process, and what it starts, to the others."""
    for thread in psutil.Process(agent.process.pid).threads():
        os.sched_setaffinity(thread.id, cores)
    pacers = psutil.Process(agent.process.pid).children(recursive=True)
    others = sorted(set(range(os.cpu_count() or 1)) - set(cores))
    for pid in (0, *(pacer.pid for pacer in pacers)):
        os.sched_setaffinity(pid, others)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--least", type=int, default=1)
    parser.add_argument("--most", type=int, default=8)
    parser.add_argument("--each", type=int, default=1, help="how often each caller asks all questions")
    parser.add_argument("--cores", help="such as 0,1")
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, livekit_server(Path(name)) as server:
        options = ("worker", "--health-port", "0", "--sessions", str(wanted.most * 2))
        with quickturn_room(server, Path(name), *options, config=_CONFIG) as agent:
            agent.until_line("registered")
            if wanted.cores:
                hold(agent, [int(core) for core in wanted.cores.split(",")])
            single = None
            for rooms in range(wanted.least, wanted.most + 1):
                asked, cpu = measure(server, agent, rooms, wanted.each * (2 if rooms == 1 else 1))
                heard = [one.latency_ms for one in asked if one.latency_ms is not None]
                p95 = float(np.percentile(heard, 95)) if heard else float("inf")
                single = single or p95
                over = f"p95 {p95 / single:.2f} of a single room's{'' if p95 <= BAR * single else ': too late'}"
                print(f"{rooms:2} rooms  {figures(asked)}  {over}, {cpu:.2f} cores; {traced(agent, rooms)}", flush=True)


if __name__ == "__main__":
    try:
        main()
    except pytest.skip.Exception as skipped:
        sys.exit(str(skipped))
