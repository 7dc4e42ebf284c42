import json

import numpy as np
import pytest

from agent.measure import stt_eval
from agent.measure.recordings import Recording, TurnLabel, shipped
from agent.measure.stt_eval import Choice, Evaluation, HeardTurn, choices_of
from pipelines.errors import InputError


def heard(reference: str, hypothesis: str, *, held_out: bool = False, ms: tuple[float, ...] = (10.0,)) -> HeardTurn:
    return HeardTurn("name", held_out, reference, hypothesis, ms)


def test_word_error_rates_of_tuned_and_held_out_voices_are_kept_apart() -> None:
    turns = (heard("one red fox ran", "one red fox ran"), heard("one dog", "one hog", held_out=True))
    evaluation = Evaluation(Choice("whisper:tiny.en"), turns)
    assert evaluation.wer(held_out=False) == 0
    assert evaluation.wer(held_out=True) == pytest.approx(1 / 2)
    assert evaluation.wer() == pytest.approx(1 / 6)


def test_what_never_happened_is_none() -> None:
    evaluation = Evaluation(Choice("whisper:tiny.en"), (heard("a", "a", ms=()),))
    assert evaluation.wer(held_out=True) is None
    assert evaluation.final_ms(50) is None


def test_waits_of_all_turns_make_the_percentiles() -> None:
    evaluation = Evaluation(Choice("whisper:tiny.en"), (heard("a", "a", ms=(1.0, 2.0)), heard("a", "a", ms=(9.0,))))
    assert evaluation.final_ms(50) == 2.0


def test_each_engine_is_tried_at_each_window() -> None:
    assert choices_of(["whisper:tiny.en", "whisper:base.en"], [0.0, 10.0]) == [
        Choice("whisper:tiny.en", 0.0),
        Choice("whisper:tiny.en", 10.0),
        Choice("whisper:base.en", 0.0),
        Choice("whisper:base.en", 10.0),
    ]


def test_by_default_everything_that_is_here_is_tried_and_the_default_in_any_case(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stt_eval, "names_here", lambda kind: [f"{kind}:base.en", f"{kind}:tiny.en"])
    assert choices_of(None, None) == [Choice("whisper:tiny.en"), Choice("whisper:base.en")]
    assert choices_of(["whisper:base.en"], None) == [Choice("whisper:base.en")]


def test_choices_have_readable_names() -> None:
    names = [
        choice.name
        for choice in (Choice("whisper:tiny.en"), Choice("whisper:tiny.en", 0.0), Choice("whisper:base.en", 12.5))
    ]
    assert names == ["whisper:tiny.en", "whisper:tiny.en window fit", "whisper:base.en window 12.5 s"]


def test_recordings_without_labels_are_refused() -> None:
    turn = TurnLabel(None, 0, 16_000, 0, 16_000, (), None)
    unlabelled = Recording("mine", "", "", False, np.zeros(16_000, np.int16), (turn,), False)
    with pytest.raises(InputError, match="no labelled speech"):
        stt_eval.run([unlabelled], None, None, as_json=True)


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.timeout(60)
def test_the_default_model_is_evaluated_on_shipped_recordings_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    recordings = shipped("question_short", "one_word", "silence")
    stt_eval.run(recordings, ["whisper:tiny.en"], [12.0], as_json=True)
    (row,) = json.loads(capsys.readouterr().out)["rows"]
    assert (row["stt"], row["window_s"]) == ("whisper:tiny.en", 12.0)
    assert row["wer_tuned_voices"] <= 0.05
    assert 0 < row["final_ms"]["p50"] <= row["final_ms"]["p95"] < 1_000
    assert len(row["turns"]) == sum(len(recording.turns) for recording in recordings)
    assert all(turn["final_ms"] for turn in row["turns"])
    assert (row["runaways"], row["behind_ms"]) == (0, {"p50": None, "p95": None})
    assert row["decodes"] >= len(row["turns"])


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.timeout(60)
def test_in_real_time_the_final_is_measured_from_the_end_of_the_speech(capsys: pytest.CaptureFixture[str]) -> None:
    stt_eval.run(shipped("one_word"), ["whisper:tiny.en"], None, real_time=True, as_json=True)
    (row,) = json.loads(capsys.readouterr().out)["rows"]
    assert -100 < row["behind_ms"]["p50"] <= row["behind_ms"]["p95"] < 1_500


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.timeout(60)
def test_the_table_shows_each_recording_and_each_choice(capsys: pytest.CaptureFixture[str]) -> None:
    stt_eval.run(shipped("one_word"), ["whisper:tiny.en"], [12.0, 30.0], as_json=False)
    out = capsys.readouterr().out
    for part in (
        "whisper:tiny.en window 12 s",
        "whisper:tiny.en window 30 s",
        "held-out voices",
        "behind p50",
        "Continue.",
    ):
        assert part in out
