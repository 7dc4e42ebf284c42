import numpy as np
import pytest
from numpy.typing import NDArray

from pipelines.stt.mel import HOP, encoder_input, log_mel


def filters() -> NDArray[np.float32]:
    from faster_whisper.feature_extractor import FeatureExtractor

    bank: NDArray[np.float32] = FeatureExtractor().mel_filters
    return bank


def sweep(samples: int) -> NDArray[np.int16]:
    t = np.arange(samples) / 16_000
    noise = np.random.default_rng(3).normal(0, 0.01, samples)
    return ((0.4 * np.sin(2 * np.pi * (200 + 300 * t) * t) + noise) * 32767).astype(np.int16)


@pytest.mark.parametrize("samples", [400, 3_200, 16_000, 16_001, 16_159, 50_000])
def test_frames_equal_those_of_the_stock_feature_extractor(samples: int) -> None:
    from faster_whisper.feature_extractor import FeatureExtractor

    pcm = sweep(samples)
    stock = FeatureExtractor()(pcm.astype(np.float32) / 32768)[:, :-1]
    frames = log_mel(pcm, filters())
    assert frames.shape == (samples // HOP, 80)
    np.testing.assert_allclose(encoder_input(frames, len(frames)), stock[:, : len(frames)], atol=2e-4)


@pytest.mark.parametrize("step", [37, 160, 1_600, 5_000])
def test_growing_audio_gives_the_same_frames_as_the_whole(step: int) -> None:
    pcm, bank = sweep(20_000), filters()
    frames = None
    for end in range(400, len(pcm) + 1, step):
        frames = log_mel(pcm[:end], bank, frames)
    assert frames is not None
    np.testing.assert_allclose(frames, log_mel(pcm[:end], bank), atol=1e-5)


def test_encoder_input_is_padded_with_zeros_behind_the_audio() -> None:
    frames = log_mel(sweep(16_000), filters())
    features = encoder_input(frames, 150)
    assert features.shape == (80, 150)
    assert not features[:, 100:].any()


def test_shorter_audio_than_before_is_cut_from_what_is_known() -> None:
    pcm, bank = sweep(16_000), filters()
    known = log_mel(pcm, bank)
    assert len(log_mel(pcm[:8_000], bank, known)) == 50
