"""Quickturn's engine against LiveKit's AgentSession, in rooms of one server, asked the same questions by a caller.

    PATH=$PATH:<folder of livekit-server> python -m tests.bench.room_engines [repeat]

Both have the same recogniser, voice and simulated LLM, in worker processes of their own, one after the other. The
caller's ear is the judge; beside it stand what the engine itself traced, and a replay of the same recordings, which
passes through no network.
"""

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

from agent.system.resources import shipped
from tests.bench.room_calls import Asked, call, figures, questions
from tests.live.livekit_server import LiveKitServer, livekit_server
from tests.live.room_agent import LLM, quickturn_room

ENGINES = {
    "quickturn": ("--engine", "quickturn"),
    "agent-session, best set-up": ("--engine", "agent-session"),
    "agent-session, LiveKit's defaults": ("--engine", "agent-session", "--set-up", "defaults"),
}


def measure(
    server: LiveKitServer, folder: Path, options: tuple[str, ...], repeat: int
) -> tuple[list[Asked], list[float]]:
    """What the caller heard, and the turn latencies that the engine traced."""
    with quickturn_room(server, folder, "worker", *options, "--health-port", "0") as agent:
        agent.until_line("registered")
        asked = asyncio.run(call(server, f"engines-{'-'.join(options)}", questions() * repeat))
    traced = [turn["turn_latency_ms"] for turn in agent.turns() if turn["turn_latency_ms"] is not None]
    return asked, traced


def replayed(repeat: int) -> list[float]:
    """The turn latencies of the same recordings without a room."""
    wavs = [str(shipped("recordings") / f"{one.name}.flac") for one in questions()]
    command = [sys.executable, "-c", "from agent.cli import main; main()", "replay", *wavs, "--json", "--llm", LLM]
    command += ["--repeat", str(repeat), "--lanes", "1"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return [turn["turn_latency_ms"] for turn in json.loads(done.stdout)["turns"] if turn["turn_latency_ms"]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("repeat", type=int, nargs="?", default=3)
    repeat = parser.parse_args().repeat
    base = replayed(repeat)
    print(f"replay, no room                    p50 {np.median(base):4.0f} ms  p95 {np.percentile(base, 95):4.0f} ms")
    with tempfile.TemporaryDirectory() as name, livekit_server(Path(name)) as server:
        for title, options in ENGINES.items():
            asked, traced = measure(server, Path(name), options, repeat)
            over = np.median([one.latency_ms for one in asked if one.latency_ms is not None]) - np.median(base)
            own = f"traced p50 {np.median(traced):.0f} ms" if traced else "nothing traced"
            print(f"{title:<34} {figures(asked)}  replay {over:+.0f} ms; {own}", flush=True)


if __name__ == "__main__":
    try:
        main()
    except pytest.skip.Exception as skipped:
        sys.exit(str(skipped))
