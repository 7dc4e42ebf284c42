import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from agent.measure.measurement import Measured, Measurement, measure
from agent.measure.recordings import Recording, shipped
from agent.setup.config import load_config
from agent.sound.wav import read_wav
from pipelines.audio import first_audible_sample
from pipelines.errors import InputError
from pipelines.modes import Mode
from tests.scripted import question

LLM = "sim/cerebras-llama3.1-8b"
QUIET = Console(quiet=True)


def of(recordings: list[Recording], **changes: Any) -> Measurement:
    given = {"llms": [LLM], "modes": [Mode.SPECULATIVE], "title": "A test", **changes}
    return Measurement(load_config(), recordings, **given)


def test_models_and_modes_take_turns_so_that_a_drift_hits_all_alike() -> None:
    jobs = of([question()], llms=["a", "b"], modes=[Mode.SEQUENTIAL, Mode.STREAMING], repeat=2).jobs()
    cells = [("a", "sequential"), ("b", "sequential"), ("a", "streaming"), ("b", "streaming")]
    assert [(job.llm, job.mode.value) for job in jobs] == cells * 2


def test_an_unknown_model_is_refused_before_anything_is_loaded(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nobody"):
        asyncio.run(measure(of([question()], llms=["nobody/model"], out=tmp_path), QUIET))


def test_a_folder_that_cannot_be_written_is_refused_before_anything_is_loaded(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(InputError, match=r"--out .*taken cannot be written"):
        asyncio.run(measure(of([question()], out=tmp_path / "taken"), QUIET))


# ---------------------------------------------------------------- a real run


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> tuple[Measured, Path]:
    """Three shipped recordings through the real engines and a real HTTP stream; one, cut to a second, has no speech."""
    out = tmp_path_factory.mktemp("out")
    (silent,) = shipped("silence")
    spoken = [r for r in shipped("question_short", "one_word") if r.name in ("time_in_tokyo", "yes")]
    recordings = [*spoken, replace(silent, pcm=silent.pcm[:16_000])]
    return asyncio.run(measure(of(recordings, out=out / "run", trace=out / "alone.jsonl"), QUIET)), out


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.timeout(60)
def test_a_real_run_answers_what_was_asked_and_stays_silent_where_nobody_spoke(measured: tuple[Measured, Path]) -> None:
    turns = {turn.recording: turn for turn in measured[0].turns}
    assert {name: turn.outcome for name, turn in turns.items()} == {
        "time_in_tokyo": "completed",
        "yes": "completed",
        "silence": "no_speech",
    }
    assert turns["time_in_tokyo"].wer == 0
    assert measured[0].summary.false_cut_ins == 0


@pytest.mark.slow
@pytest.mark.long
def test_the_wav_of_a_real_run_holds_the_turn_latency_of_its_trace(measured: tuple[Measured, Path]) -> None:
    """Read by ear: from the labelled end of speech to the first audible window of 5 ms on the agent's track."""
    result, out = measured
    labels = {recording.name: recording.turns for recording in shipped("question_short", "one_word")}
    for name in ("time_in_tokyo", "yes"):
        (turn,) = [turn for turn in result.turns if turn.recording == name]
        audible = first_audible_sample(read_wav(out / "run" / f"{name}.wav")[:, 1], 16_000)
        assert audible is not None
        heard_ms = (audible - labels[name][0].end_samples) / 16
        assert heard_ms == pytest.approx(turn.turn_latency_ms, abs=10)


@pytest.mark.slow
@pytest.mark.long
def test_the_segments_of_a_real_run_tile_each_turn(measured: tuple[Measured, Path]) -> None:
    completed = [turn for turn in measured[0].turns if turn.outcome == "completed"]
    for turn in completed:
        assert sum(part.ms for part in turn.critical_path) == pytest.approx(turn.turn_latency_ms, abs=1)


@pytest.mark.slow
@pytest.mark.long
def test_a_real_run_leaves_wavs_traces_and_a_report(measured: tuple[Measured, Path]) -> None:
    result, out = measured
    for path in (out / "alone.jsonl", out / "run" / "trace.jsonl"):
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        assert [line["type"] for line in lines] == ["session", "turn", "turn", "turn"]
    assert read_wav(out / "run" / "silence.wav").shape[1] == 2
    assert np.any(read_wav(out / "run" / "yes.wav")[:, 1])
    assert result.report is not None
    assert "time_in_tokyo" in result.report.read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.long
def test_the_document_of_a_real_run_is_json_with_its_four_parts(measured: tuple[Measured, Path]) -> None:
    document = json.loads(json.dumps(measured[0].record().model_dump(mode="json"), allow_nan=False))
    assert set(document) == {"turns", "summary", "rows", "session"}
