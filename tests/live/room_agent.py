"""A `quickturn room` process for the tests: its lines as they come, its end, and the turns that it traced."""

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agent.measure.recordings import TurnLabel
from pipelines.events import SAMPLE_RATE_HZ
from tests.live.livekit_server import LiveKitServer

LLM = "sim/cerebras-llama3.1-8b"
_START_S = 60.0  # models, on a machine that does other things too


@dataclass(slots=True)
class Agent:
    """The process; `lines` grows."""

    process: "subprocess.Popen[str]"
    trace: Path
    lines: list[str] = field(default_factory=list)

    def until_line(self, part: str, timeout_s: float = _START_S, after: int = 0) -> str:
        """The first line that holds `part`, among those from number `after` on."""
        deadline = time.monotonic() + timeout_s
        while True:
            for line in self.lines[after:]:
                if part in line:
                    return line
            assert time.monotonic() < deadline, f"no line with {part!r} in {timeout_s:g} s: {self.lines}"
            assert self.process.poll() is None or part in "".join(self.lines), f"it ended: {self.lines}"
            time.sleep(0.02)

    def turns(self) -> list[dict[str, Any]]:
        """The turns in the trace so far."""
        lines = [json.loads(line) for line in self.trace.read_text().splitlines()]
        return [line for line in lines if "turn_latency_ms" in line]

    def end(self, number: signal.Signals = signal.SIGTERM, timeout_s: float = 30) -> int:
        """Send the signal and wait; returns the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(timeout_s)


def from_label_ms(turn: dict[str, Any], label: TurnLabel) -> float:
    """The turn latency of a trace, counted from the labelled end of the speech.

    The trace counts it from where the voice activity heard the user stop: up to 0.1 s before or behind the label, by
    whether a last "p" was heard. Here it begins where the voice activity heard the first sound, which may be late for a
    soft one: compare it with what counts from an onset that was heard too.
    """
    began, ended = turn["speech_samples"]
    spoken = label.end_samples - label.start_samples
    return float(turn["turn_latency_ms"]) + (ended - began - spoken) * 1_000 / SAMPLE_RATE_HZ


@contextmanager
def quickturn_room(
    server: LiveKitServer,
    folder: Path,
    *arguments: str,
    config: str = "",
    llms: Sequence[str] = (LLM,),
    ends_with: Sequence[int] = (0,),
) -> Iterator[Agent]:
    """`quickturn room ARGUMENTS` with the shipped engines, until the block ends; it must then end with one of these
    codes.
    """
    settings, trace = folder / f"{time.monotonic_ns()}.toml", folder / f"{time.monotonic_ns()}.jsonl"
    settings.write_text(config)
    command = [sys.executable, "-c", "from agent.cli import main; main()", "room", *arguments]
    command += ["--config", str(settings), "--trace", str(trace)]
    command += [word for llm in llms for word in ("--llm", llm)]
    process = subprocess.Popen(
        command, env=server.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, bufsize=1
    )
    agent = Agent(process, trace)
    reading = threading.Thread(target=_read, args=(agent,), daemon=True)
    reading.start()
    try:
        yield agent
    except BaseException:
        print("\n".join(agent.lines))  # pytest shows it with the failure
        process.kill()
        raise
    else:
        assert agent.end() in ends_with, agent.lines
    finally:
        process.wait(10)
        reading.join(10)
        if process.stdout is not None:
            process.stdout.close()


def _read(agent: Agent) -> None:
    assert agent.process.stdout is not None
    for line in agent.process.stdout:
        agent.lines.append(line.rstrip("\n"))
