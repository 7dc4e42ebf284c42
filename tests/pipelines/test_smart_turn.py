import asyncio
from pathlib import Path

import numpy as np
import pytest

from agent.measure.recordings import shipped
from agent.models.fetch import turn_detector_path
from pipelines.errors import StageError
from pipelines.events import SAMPLE_RATE_HZ, Pcm
from pipelines.smart_turn import HEARS_S, SmartTurn

SILENCE = np.zeros(SAMPLE_RATE_HZ // 5, np.int16)


@pytest.fixture(scope="module")
def detector() -> SmartTurn:
    return SmartTurn(turn_detector_path())


def heard(name: str, until: int | None = None) -> Pcm:
    """A recording up to a label, with the beginning of the silence after it."""
    (recording,) = [one for one in shipped() if one.name == name]
    turn = recording.turns[0]
    return np.concatenate([recording.pcm[: until or turn.end_samples], SILENCE])


@pytest.mark.slow
def test_a_finished_question_sounds_finished_and_one_that_breaks_off_does_not(detector: SmartTurn) -> None:
    (broken,) = [one for one in shipped("pause") if one.name == "pause_dangling_1200"]
    assert detector.judge(heard("coffee_shop")) > 0.9
    assert detector.judge(heard(broken.name, broken.turns[0].pauses[0].start_samples)) < 0.5


@pytest.mark.slow
def test_only_the_last_eight_seconds_count(detector: SmartTurn) -> None:
    pcm = heard("coffee_shop")
    long = np.concatenate([np.random.default_rng(0).integers(-999, 999, 20 * SAMPLE_RATE_HZ, np.int16), pcm])
    assert detector.judge(long) == detector.judge(long[-HEARS_S * SAMPLE_RATE_HZ :])


@pytest.mark.slow
def test_it_is_asked_off_the_event_loop_and_answers_the_same(detector: SmartTurn) -> None:
    pcm = heard("coffee_shop")
    assert asyncio.run(detector.probability(pcm)) == detector.judge(pcm)


def test_a_file_that_is_no_model_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "bad.onnx").write_bytes(b"not a model")
    with pytest.raises(
        StageError, match=r"no turn detector could be loaded from '.*bad\.onnx': InvalidProtobuf: "
    ) as told:
        SmartTurn(tmp_path / "bad.onnx")
    assert "\n" not in str(told.value)
