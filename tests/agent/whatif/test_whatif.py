"""The command over a trace of scripted turns; tests/pipelines/stopwatch/test_whatif.py has what is predicted."""

import json
from pathlib import Path

import pytest

from agent.system.resources import shipped
from agent.whatif.points import Point, point_record, predict_point, read_base
from agent.whatif.record import ErrorSpread
from agent.whatif.verify import Verified, error_of_all
from pipelines.llm.catalogue_file import load_catalogue
from pipelines.modes import Mode
from pipelines.stopwatch.record import TurnRecord
from pipelines.stopwatch.whatif import Speed
from tests.command_line import quickturn
from tests.recorded_turns import simulated
from tests.records import SESSION, plain, written

CATALOGUE = load_catalogue(shipped("configs") / "providers.toml")


@pytest.fixture(scope="module")
def turns() -> list[TurnRecord]:
    return [
        simulated("sim/200:90", Mode.SPECULATIVE, Speed(204, 90)),
        simulated("sim/20:900", Mode.STREAMING, Speed(24, 900), "second"),
        simulated("sim/20:900", Mode.SEQUENTIAL, Speed(24, 900)),
    ]


@pytest.fixture
def trace(tmp_path: Path, turns: list[TurnRecord]) -> Path:
    return written(tmp_path / "trace.jsonl", *turns)


def test_the_document_holds_prediction_turns_and_knee(trace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert quickturn("whatif", trace, "--llm", "sim/120:1800", "--mode", "streaming", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert {"llm", "mode", "predicted", "turns", "knee"} <= set(document)
    assert (document["llm"], document["mode"], document["verified"]) == ("sim/120:1800", "streaming", False)
    assert [turn["recording"] for turn in document["turns"]] == ["scripted", "second"]
    assert document["predicted"]["p50"] == pytest.approx(sum(t["predicted_ms"] for t in document["turns"]) / 2, abs=0.1)


def test_without_an_llm_the_demos_four_are_asked_about_in_two_modes(
    trace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert quickturn("whatif", trace, "--json") == 0
    points = json.loads(capsys.readouterr().out)["points"]
    assert len({(point["llm"], point["mode"]) for point in points}) == 8


def test_what_the_client_adds_to_the_ttft_is_taken_from_the_trace(trace: Path) -> None:
    assert read_base(trace, CATALOGUE).client_overhead_ms == pytest.approx(4.0)


def test_a_faster_llm_is_never_predicted_to_be_slower(trace: Path) -> None:
    base = read_base(trace, CATALOGUE)
    for mode in Mode:
        rates = (20, 50, 100, 500, 2_000)
        latencies = [predict_point(base, Point("x", mode, (Speed(100, r),))).latency_ms.p50 for r in rates]
        assert latencies == sorted(latencies, key=lambda ms: -float(ms or 0))


def test_an_llm_can_be_taken_as_it_behaved_in_another_trace(trace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ("whatif", trace, "--llm-from", trace, "--llm", "sim/20:900", "--mode", "streaming", "--json")
    assert quickturn(*arguments) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["llm"] == "sim/20:900 as recorded"
    second = next(turn for turn in document["turns"] if turn["recording"] == "second")
    assert second["predicted_ms"] == pytest.approx(second["recorded_ms"], abs=3)


def test_the_tables_say_that_they_were_not_verified_and_that_the_llms_are_simulated(
    trace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert quickturn("whatif", trace) == 0
    out = capsys.readouterr().out
    assert "Predicted, not measured" in out
    assert "sim/gpu-cloud-8b (simulated)" in out


def test_the_picture_is_written_as_svg_and_png(trace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert quickturn("whatif", trace, "--mode", "speculative", "--out", tmp_path / "out") == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "whatif-speculative.png",
        "whatif-speculative.svg",
    ]
    assert "Cerebras" not in capsys.readouterr().err


def test_the_error_is_that_of_every_turn_measured_once(trace: Path) -> None:
    base = read_base(trace, CATALOGUE)
    prediction = predict_point(base, Point("sim/120:1800", Mode.STREAMING, (Speed(120, 1_800),)))
    two, one = Verified(prediction, {}, [-4.0, 2.0]), Verified(prediction, {}, [6.0])
    assert error_of_all([two, one]) == ErrorSpread(p50=4.0, p95=5.8, n=3)
    assert two.record(point_record(base, prediction)).errors_ms == (-4.0, 2.0)


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--llm", "openai/gpt-4o"], "no token rate of openai/gpt-4o is published"),
        (["--llm", "sim/nobody"], "simulated LLM 'nobody' is not one of"),
        (["--ttft-ms", "100"], "--ttft-ms and --tokens-per-s belong together"),
        (["--mode", "slow"], "mode 'slow' is not one of"),
        (["--llm-from", "nowhere.jsonl"], "trace nowhere.jsonl cannot be read"),
        (["--verify"], "recording 'scripted' of the trace is not among the shipped ones"),
    ],
)
def test_bad_input_is_one_line(
    trace: Path, arguments: list[str], problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert quickturn("whatif", trace, *arguments) == 2
    err = capsys.readouterr().err
    assert problem in err
    assert len(err.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        ([], "its first line is not a session line"),
        (["not JSON"], "its first line is not a session line"),
        ([json.dumps({**plain(SESSION), "version": 7})], "is of version 7, this Quickturn reads version 1"),
        ([json.dumps(plain(SESSION))], "holds no completed turn of the streaming or speculative mode"),
    ],
)
def test_a_trace_that_cannot_be_used_is_refused(
    tmp_path: Path, lines: list[str], problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_text("\n".join(lines))
    assert quickturn("whatif", path) == 2
    assert problem in capsys.readouterr().err


def test_of_a_truncated_trace_the_whole_lines_are_used_and_the_rest_is_named(
    trace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trace.write_text(trace.read_text()[:-40])
    assert quickturn("whatif", trace) == 0
    assert "line 4 is not a whole turn and is left out" in " ".join(capsys.readouterr().err.split())
