import numpy as np
import pytest

from pipelines.tts.windows import FIRST_FRAMES, LONGEST_FRAMES, windows

FLOW_MARGIN, DECODER_MARGIN = 32, 12  # of joe-medium
DECODER, FLOW = 0.70, 0.16  # their shares of the time that it takes; measured
LEADING_SILENCE = 5  # frames that playout cuts off


def divided(frames: int) -> list[tuple[int, int]]:
    return list(windows(frames, FLOW_MARGIN, DECODER_MARGIN))


def starved(frames: int, real_time_factor: float) -> list[int]:
    """The windows that are not there when what came before has been heard, by what each really makes the parts do."""
    clock = heard_until = 0.0
    flowed = 0
    late = []
    for start, end in divided(frames):
        until = min(frames, end + DECODER_MARGIN)
        flow_frames = min(frames, until + FLOW_MARGIN) - max(0, flowed - FLOW_MARGIN) if until > flowed else 0
        decoder_frames = until - max(0, start - DECODER_MARGIN)
        clock += real_time_factor * (FLOW * flow_frames + DECODER * decoder_frames)
        flowed = until
        if start and clock > heard_until:
            late.append(start)
        heard_until = max(clock, heard_until) + (end - start) - (0 if start else LEADING_SILENCE)
    return late


def test_windows_tile_the_sentence_and_are_neither_tiny_nor_long() -> None:
    for frames in range(1, 1_500):
        found = divided(frames)
        assert [start for start, _ in found] == [0, *(end for _, end in found[:-1])]
        assert found[-1][1] == frames
        lengths = [end - start for start, end in found]
        assert max(lengths) <= LONGEST_FRAMES
        assert len(lengths) == 1 or min(lengths) >= FIRST_FRAMES // 2


@pytest.mark.parametrize("real_time_factor", [0.05, 0.1, 0.2, 0.35, 0.5])
def test_playout_never_starves_up_to_a_real_time_factor_of_one_half(real_time_factor: float) -> None:
    assert {frames: late for frames in range(1, 1_500) if (late := starved(frames, real_time_factor))} == {}


def test_a_synthesizer_slower_than_that_would_starve() -> None:
    assert starved(400, 0.9)


def test_the_first_window_of_a_long_sentence_is_short_and_later_ones_grow() -> None:
    lengths = np.array([end - start for start, end in divided(2_000)])
    assert lengths[0] == FIRST_FRAMES
    assert (np.diff(lengths[:5]) >= 0).all()
    assert np.median(lengths) == LONGEST_FRAMES


def test_a_sentence_of_no_frames_has_no_windows() -> None:
    assert divided(0) == []
