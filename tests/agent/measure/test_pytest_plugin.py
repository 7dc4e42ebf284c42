"""The fixture as a user has it: pytest in a process of its own over a test file of theirs."""

import subprocess
import sys
from pathlib import Path

import pytest

QUESTION = Path(__file__).parents[3] / "recordings" / "why_so_fast.flac"

USERS_TEST = f"""
import pytest

def test_the_turn(quickturn):
    turn = quickturn.replay({str(QUESTION)!r}, llm="sim/60:1800")
    assert turn.outcome == "completed"
    assert turn.transcript == "Why is the small model so fast?"
    assert turn.reply
    assert 60 <= turn.stages.llm_ttft_ms < 300
    assert turn.turn_latency_ms > 100

def test_that_is_too_slow(quickturn):
    turn = quickturn.replay({str(QUESTION)!r}, llm="sim/60:1800", mode="streaming")
    assert turn.stages.llm_ttft_ms < 1

def test_that_asks_for_nothing():
    import sys
    assert "openai" in sys.modules
"""


def run_pytest(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-W", "error", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.timeout(60)
def test_a_users_test_gets_the_turn_of_a_recording(tmp_path: Path) -> None:
    (tmp_path / "test_theirs.py").write_text(USERS_TEST)
    ran = run_pytest(tmp_path)
    assert "2 passed" in ran.stdout, ran.stdout + ran.stderr
    assert "1 failed" in ran.stdout
    assert "llm_ttft_ms=" in ran.stdout  # the failure shows the stages


USERS_OTHER_TEST = """
import sys

def test_it():
    assert not {"numpy", "openai", "pydantic", "faster_whisper"} & set(sys.modules)
"""


def test_where_it_is_not_used_it_loads_nothing(tmp_path: Path) -> None:
    (tmp_path / "test_theirs.py").write_text(USERS_OTHER_TEST)
    ran = run_pytest(tmp_path)
    assert "1 passed" in ran.stdout, ran.stdout
