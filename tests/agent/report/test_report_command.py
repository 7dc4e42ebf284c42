"""`quickturn report` over a trace of scripted turns, and the Chrome trace that it exports."""

import json
from collections import defaultdict
from pathlib import Path

import pytest

from agent.exports.chrome import chrome_events
from pipelines.modes import Mode
from pipelines.stopwatch.record import TurnRecord
from pipelines.stopwatch.whatif import Speed
from tests.command_line import quickturn
from tests.recorded_turns import simulated
from tests.records import SESSION, plain, written


@pytest.fixture(scope="module")
def turns() -> list[TurnRecord]:
    return [simulated(f"sim/{ms}:90", mode, Speed(ms, 90)) for ms in (100, 200) for mode in Mode]


def test_a_trace_becomes_a_page_pictures_and_a_chrome_trace(tmp_path: Path, turns: list[TurnRecord]) -> None:
    trace = written(tmp_path / "trace.jsonl", *turns)
    assert quickturn("report", trace, "--out", tmp_path / "out", "--chrome-trace", tmp_path / "chrome.json") == 0
    assert "sim/100:90" in (tmp_path / "out" / "report.html").read_text()
    assert (tmp_path / "out" / "pictures" / "grid.svg").exists()
    assert len(json.loads((tmp_path / "chrome.json").read_text())["traceEvents"]) > 50


def test_a_trace_without_a_turn_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trace = tmp_path / "trace.jsonl"
    trace.write_text(json.dumps(plain(SESSION)) + "\n")
    assert quickturn("report", trace, "--out", tmp_path / "out") == 2
    assert "holds no turn" in capsys.readouterr().err


def test_every_event_has_what_the_format_asks_for(turns: list[TurnRecord]) -> None:
    for event in chrome_events(turns):
        assert {"name", "ph", "pid", "tid", "ts"} <= set(event)
        if event["ph"] == "X":
            assert isinstance(event["ts"], int)
            assert event["ts"] >= 0
            assert event["dur"] >= 0


def test_the_critical_path_of_a_turn_lasts_as_long_as_its_latency(turns: list[TurnRecord]) -> None:
    lengths: dict[int, int] = defaultdict(int)
    for event in chrome_events(turns):
        if event.get("cat") == "critical path":
            lengths[event["pid"]] += event["dur"]
    expected = {process: (turn.turn_latency_ms or 0) * 1_000 for process, turn in enumerate(turns, start=1)}
    assert lengths == {process: pytest.approx(us, abs=100) for process, us in expected.items()}


def test_turns_of_one_llm_and_mode_do_not_overlap(turns: list[TurnRecord]) -> None:
    events = [e for e in chrome_events([turns[0], turns[0]]) if e["ph"] == "X" and e["cat"] == "speech"]
    first, second = events
    assert second["ts"] > first["ts"] + first["dur"]
