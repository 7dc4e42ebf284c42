from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray

from pipelines.tts.cut import UncuttableError, cut
from pipelines.tts.windows import FrameStage, decode
from tests.pipelines.tts.graphs import DECODER_MARGIN, FLOW_MARGIN, write_voice


def session(graph: bytes | str) -> Any:
    return onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])


def both(path: Path, feed: dict[str, NDArray[Any]]) -> tuple[NDArray[Any], NDArray[Any]]:
    """The sentence by the undivided graph, and by the cut one in windows."""
    (whole,) = session(str(path)).run(None, feed)
    parts = cut(path)
    text = session(parts.text)
    tensors = dict(zip([made.name for made in text.get_outputs()], text.run(None, feed), strict=True))
    stages = [FrameStage(session(part.onnx), part.margin_frames) for part in (parts.flow, parts.decoder)]
    return whole.reshape(-1), np.concatenate(list(decode(tensors, *stages)))


def sentence(frames: int) -> NDArray[np.int64]:
    return np.random.default_rng(1).integers(0, 30, (1, frames))


@pytest.mark.parametrize("frames", [1, 2, 5, 40, 400])
def test_the_windows_of_a_cut_graph_make_the_same_samples_as_the_whole(tmp_path: Path, frames: int) -> None:
    whole, windowed = both(write_voice(tmp_path / "voice.onnx"), {"input": sentence(frames)})
    assert len(whole) == 4 * frames
    assert np.abs(whole).max() > 0.01
    np.testing.assert_allclose(windowed, whole, atol=1e-5)


@pytest.mark.parametrize("speaker", [0, 2])
def test_a_voice_of_several_speakers_is_cut_too(tmp_path: Path, speaker: int) -> None:
    path = write_voice(tmp_path / "voice.onnx", speakers=3)
    whole, windowed = both(path, {"input": sentence(200), "sid": np.array([speaker])})
    np.testing.assert_allclose(windowed, whole, atol=1e-5)
    other, _ = both(path, {"input": sentence(200), "sid": np.array([1])})
    assert np.abs(other - whole).max() > 0.1


def test_the_margins_are_the_receptive_fields(tmp_path: Path) -> None:
    parts = cut(write_voice(tmp_path / "voice.onnx"))
    assert (parts.flow.margin_frames, parts.decoder.margin_frames) == (FLOW_MARGIN, DECODER_MARGIN)


def test_one_frame_less_of_margin_makes_other_samples(tmp_path: Path) -> None:
    parts = cut(write_voice(tmp_path / "voice.onnx"))
    latent = np.random.default_rng(2).normal(size=(1, 4, 60)).astype(np.float32)
    full, scant = (FrameStage(session(parts.decoder.onnx), parts.decoder.margin_frames - less) for less in (0, 1))
    whole = full.run({full.inputs[0]: latent}, 60, 0, 60)[..., 80:120]
    np.testing.assert_allclose(full.run({full.inputs[0]: latent}, 60, 20, 30), whole, atol=1e-6)
    assert np.abs(scant.run({full.inputs[0]: latent}, 60, 20, 30) - whole).max() > 1e-3


def test_a_decoder_that_looks_at_the_whole_sentence_is_not_cut(tmp_path: Path) -> None:
    with pytest.raises(UncuttableError):
        cut(write_voice(tmp_path / "voice.onnx", blend_of_all=True))
