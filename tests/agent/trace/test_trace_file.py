import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from agent.trace.files import TraceFile, machine, session_line
from pipelines.errors import InputError
from tests.agent.scripted_engines import LLM, scripted_engines
from tests.records import SESSION, plain, record
from tests.scripted import ENDPOINTING


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_a_trace_is_a_session_line_and_then_a_line_a_turn(tmp_path: Path) -> None:
    path = tmp_path / "trace.jsonl"
    with TraceFile(path, SESSION) as trace:
        trace.turn(0, record(transcript="Où?"))
        trace.turn(1, record(transcript="Là.\nHere."))
    assert lines(path) == [
        plain(SESSION),
        {"type": "turn", **plain(record(transcript="Où?", index=0))},
        {"type": "turn", **plain(record(transcript="Là.\nHere.", index=1))},
    ]
    assert "Où?" in path.read_text(encoding="utf-8")


def test_each_line_is_on_the_disk_as_soon_as_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / "trace.jsonl"
    with TraceFile(path, SESSION) as trace:
        assert len(lines(path)) == 1
        trace.turn(0, record())
        assert len(lines(path)) == 2


def test_a_trace_is_readable_after_a_crash(tmp_path: Path) -> None:
    path = tmp_path / "trace.jsonl"
    crash = f"""
import os
from pathlib import Path
from agent.trace.files import TraceFile
from tests.records import SESSION, record
trace = TraceFile(Path({str(path)!r}), SESSION)
trace.turn(0, record())
os._exit(9)
"""
    crashed = subprocess.run([sys.executable, "-c", crash], cwd=Path(__file__).parents[3], check=False)
    assert crashed.returncode == 9
    assert [line["type"] for line in lines(path)] == ["session", "turn"]


def test_missing_folders_are_made(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "trace.jsonl"
    with TraceFile(path, SESSION):
        pass
    assert lines(path) == [plain(SESSION)]


def test_a_folder_is_no_trace(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"trace .* cannot be written: Is a directory; give another path"):
        TraceFile(tmp_path, SESSION)


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(InputError, match=r"taken/trace\.jsonl cannot be written: "):
        TraceFile(tmp_path / "taken" / "trace.jsonl", SESSION)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_is_told_in_one_line() -> None:
    with pytest.raises(InputError, match="No space left on device; what it holds is kept") as caught:
        TraceFile(Path("/dev/full"), SESSION)
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_disk_that_fills_up_is_told_and_closing_does_not_hide_it(tmp_path: Path) -> None:
    def fill_up() -> None:
        with TraceFile(tmp_path / "t.jsonl", SESSION) as trace:
            full = os.open("/dev/full", os.O_WRONLY)
            os.dup2(full, trace._file.fileno())
            os.close(full)
            trace.turn(0, record())

    with pytest.raises(InputError, match="No space left on device"):
        fill_up()
    assert lines(tmp_path / "t.jsonl") == [plain(SESSION)]


def test_the_session_line_tells_version_config_machine_and_engines() -> None:
    line = json.loads(json.dumps(plain(session_line(scripted_engines()))))
    assert set(line) >= {"type", "version", "quickturn", "config", "machine", "engines", "simulated"}
    assert line["type"] == "session"
    assert line["engines"] == {
        "stt": "scripted",
        "tts": "scripted",
        "vad": "silero-v6",
        "turn_detector": None,
        "llm": [LLM],
    }
    assert line["config"]["endpointing"]["likely_ms"] == ENDPOINTING.likely_ms
    assert line["simulated"] is True


def test_the_session_line_holds_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "CEREBRAS_API_KEY"):
        monkeypatch.setenv(name, "sk-secret")
    assert "sk-secret" not in json.dumps(plain(session_line(scripted_engines())))
    assert os.environ["OPENAI_API_KEY"] == "sk-secret"


def test_the_machine_is_described() -> None:
    described = machine()
    cores = described["cores"]
    assert isinstance(cores, int)
    assert cores >= 1
    assert all(described.values())
