"""Does memory grow with the turns? `python -m tests.bench.soak [TURNS]` (300 unless given: about four minutes).

Recorded questions are replayed through the real models in eight lanes at once, so turns come eight times as fast as a
conversation brings them. Printed: after each sixth of them the memory of the process, what of it malloc has given out,
and the number of Python's objects; then turn latency at the beginning and at the end.
"""

import asyncio
import ctypes
import gc
import math
import statistics
import sys
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path

from agent.measure.recordings import Recording, shipped
from agent.measure.replay import Replay
from agent.setup.config import load_config
from agent.setup.engines import Engines, open_engines
from pipelines.modes import Mode

LLM = "sim/cerebras-llama3.1-8b"
LANES = 8


class MallInfo(ctypes.Structure):
    """What glibc's mallinfo2 answers."""

    _fields_ = tuple(
        (name, ctypes.c_size_t)
        for name in "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost".split()
    )


def resident_mb() -> float:
    """Memory of this process by /proc."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4_096 / 1e6


def given_out_mb() -> float:
    """What malloc has given out and not got back."""
    ask = ctypes.CDLL(None).mallinfo2
    ask.restype = MallInfo
    told = ask()
    return float(told.uordblks + told.hblkhd) / 1e6


async def lane(engines: Engines, asked: Iterator[Recording], latencies_ms: list[float], turns: int) -> None:
    """Ask one question after another until there are enough answers."""
    build = engines.session_builder(LLM, Mode.SPECULATIVE)
    for recording in asked:
        if len(latencies_ms) >= turns:
            return
        (turn,) = (await Replay(recording, engines.clock).run(build)).turns
        latencies_ms.append(turn.trace.turn_latency_ms or math.nan)
        if len(latencies_ms) % max(1, turns // 6) == 0:
            gc.collect()
            memory = f"{resident_mb():.1f} MB, given out {given_out_mb():.1f} MB"
            print(f"{len(latencies_ms)} turns: {memory}, {len(gc.get_objects())} objects", flush=True)


async def main() -> None:
    """Hold the conversations and print what they came to."""
    turns = int(sys.argv[1]) if len(sys.argv) > 1 else 300
    config = load_config()
    asked, latencies_ms = cycle(shipped("question_short", "question_long")), list[float]()
    async with open_engines(config, [LLM]) as engines, asyncio.TaskGroup() as lanes:
        for number in range(LANES):
            lanes.create_task(lane(engines, asked, latencies_ms, turns), name=f"lane {number}")
    sixth = max(1, turns // 6)
    first, last = (statistics.median(part) for part in (latencies_ms[:sixth], latencies_ms[-sixth:]))
    print(f"turn latency p50 with all lanes at once: first sixth {first:.0f} ms, last sixth {last:.0f} ms")


if __name__ == "__main__":
    asyncio.run(main())
