import numpy as np
import pytest

from pipelines.events import Pcm
from pipelines.stt.fading import FadingVoice

MS = 16


def sound(ms: int, dbfs: float, seed: int = 0) -> Pcm:
    """White noise of that level."""
    rms = 32_768 * 10 ** (dbfs / 20)
    return np.random.default_rng(seed).normal(0, rms, ms * MS).round().clip(-32_768, 32_767).astype(np.int16)


def fades_at(pcm: Pcm, frame_ms: int = 10) -> list[int]:
    """The ends, in ms, of the frames in which the voice faded."""
    voice, step = FadingVoice(), frame_ms * MS
    return [i // MS + frame_ms for i in range(0, len(pcm), step) if voice.fades(pcm[i : i + step])]


@pytest.mark.parametrize("floor_dbfs", [-95, -60, -45])
def test_a_voice_fades_where_it_ends_whatever_the_room(floor_dbfs: float) -> None:
    heard = np.concatenate([sound(200, floor_dbfs), sound(600, -20, 1), sound(300, floor_dbfs, 2)])
    assert fades_at(heard) == [810]


def test_a_softer_word_is_no_fading() -> None:
    assert fades_at(np.concatenate([sound(200, -60), sound(400, -20, 1), sound(200, -35, 2), sound(400, -20, 3)])) == []


def test_each_pause_fades_once() -> None:
    said = [sound(200, -60), sound(400, -20, 1), sound(300, -60, 2), sound(400, -22, 3), sound(300, -60, 4)]
    assert fades_at(np.concatenate(said)) == [610, 1_310]


def test_nothing_fades_before_a_voice_was_heard() -> None:
    assert fades_at(np.zeros(500 * MS, np.int16)) == []
    assert fades_at(sound(3_000, -50)) == []


def test_the_size_of_frames_does_not_matter() -> None:
    heard = np.concatenate([sound(200, -60), sound(500, -20, 1), sound(300, -60, 2)])
    assert fades_at(heard, 20) == [720]
    assert fades_at(heard, 5) == [710]
    assert fades_at(heard, 32) == [736]
