"""What a command shows on the terminal."""

import subprocess
import sys


def test_tables_and_progress_are_there_without_numpy_or_an_engine() -> None:
    heavy = {"numpy", "pydantic", "openai", "onnxruntime", "faster_whisper", "livekit"}
    loaded = f"import sys, agent.report.terminal; print({heavy!r} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True)
    assert found.stdout == "set()\n"
