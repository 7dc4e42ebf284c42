"""Half an hour of talk on the virtual sound card: `python -m tests.bench.long_conversation [MINUTES]`.

Recorded questions are asked one after another, each when the answer to the one before has been spoken. Printed: turn
latency and memory in the first and in the last sixth, and what the sound card lost.
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from threading import Thread

from agent.measure.recordings import shipped
from agent.system.resources import shipped as resource
from agent.trace.reader import read_trace
from tests.live.virtual_card import missing, virtual_card

QUICKTURN = [sys.executable, "-c", "from agent.cli import main; main()"]


def resident_mb(pid: int) -> float:
    """Memory of a process by /proc."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * 4_096 / 1e6


def main() -> None:
    """Hold the conversation and print what it came to."""
    if missing():
        sys.exit(missing())
    minutes = float(sys.argv[1]) if len(sys.argv) > 1 else 30.0
    wavs = [resource("recordings") / f"{r.name}.flac" for r in shipped("question_short", "question_long")]
    memory_mb: list[float] = []
    with tempfile.TemporaryDirectory() as folder, virtual_card(Path(folder, "card")) as card:
        trace = Path(folder, "trace.jsonl")
        command = [*QUICKTURN, "talk", "--llm", "sim/cerebras-llama3.1-8b"]
        command += ["--seconds", str(60 * minutes), "--trace", str(trace)]
        with subprocess.Popen(command, env=card.room.environment, stdout=subprocess.PIPE, text=True) as talk:
            assert talk.stdout is not None
            lines: list[str] = []

            Thread(target=lambda: lines.extend(talk.stdout or ()), daemon=True).start()
            while not any(line.startswith("listening") for line in lines):
                time.sleep(0.2)
            asked = 0
            while talk.poll() is None:
                answered = sum(line.startswith("agent") for line in lines)
                card.room.play(wavs[asked % len(wavs)]).wait()
                asked += 1
                if resident := resident_mb(talk.pid):  # 0 once it has ended
                    memory_mb.append(resident)
                deadline = time.monotonic() + 25
                while sum(line.startswith("agent") for line in lines) == answered and time.monotonic() < deadline:
                    if talk.poll() is not None:
                        break
                    time.sleep(0.2)
                time.sleep(0.5)
        traced = read_trace(trace).turns
    turns = [t for t in traced if t.outcome == "completed" and t.turn_latency_ms]
    sixth = max(1, len(turns) // 6)
    latency = [t.turn_latency_ms for t in turns]
    outcomes = ", ".join(f"{n} {outcome}" for outcome, n in Counter(t.outcome for t in traced).items())
    print(f"{asked} questions asked in {minutes:g} minutes; turns: {outcomes}")
    first, last = statistics.median(latency[:sixth]), statistics.median(latency[-sixth:])
    print(f"turn latency p50: all {statistics.median(latency):.0f} ms, first sixth {first:.0f}, last sixth {last:.0f}")
    part = max(1, len(memory_mb) // 6)
    first, last = statistics.median(memory_mb[:part]), statistics.median(memory_mb[-part:])
    print(f"memory: first sixth {first:.0f} MB, last sixth {last:.0f} MB")
    print(next((line.strip() for line in lines if line.startswith("device latency")), "no counts"))
    print(json.dumps({"latency_ms": latency, "memory_mb": [round(mb, 1) for mb in memory_mb]}), file=sys.stderr)


if __name__ == "__main__":
    main()
