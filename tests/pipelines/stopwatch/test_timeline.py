import random
from collections.abc import Sequence
from itertools import pairwise

import pytest

from pipelines.stopwatch.timeline import Segment, Span, Stage, Timeline, critical_path

ENDPOINT, STT, LLM, TTS = Stage.ENDPOINT, Stage.STT, Stage.LLM_TTFT, Stage.TTS
Work = tuple[Stage, float, float, Sequence[int]]
"""Stage, start and end in ms after the end of speech, and the indices of its inputs."""


def path(*work: Work) -> list[tuple[Stage, float]]:
    """The critical path to the last of the given work, as stages with their ms."""
    timeline = Timeline()
    for stage, start_ms, end_ms, after in work:
        timeline.add(stage, 100 + start_ms / 1_000, 100 + end_ms / 1_000, after=after)
    segments = critical_path(timeline.spans, len(work) - 1, 100.0)
    assert sum(s.ms for s in segments) == pytest.approx(work[-1][2])
    return [(segment.stage, round(segment.ms, 6)) for segment in segments]


def test_a_chain_is_its_own_critical_path() -> None:
    chain = path((ENDPOINT, 0, 200, []), (STT, 200, 240, [0]), (LLM, 240, 340, [1]), (TTS, 340, 370, [2]))
    assert chain == [(ENDPOINT, 200), (STT, 40), (LLM, 100), (TTS, 30)]


def test_a_hidden_stage_shows_nothing() -> None:
    hidden = path((STT, 0, 50, []), (LLM, 50, 100, [0]), (ENDPOINT, 0, 200, []), (TTS, 200, 230, [1, 2]))
    assert hidden == [(ENDPOINT, 200), (TTS, 30)]


@pytest.mark.parametrize(("llm_end_ms", "owner"), [(150, ENDPOINT), (250, LLM)])
def test_of_two_inputs_the_latest_wins(llm_end_ms: float, owner: Stage) -> None:
    segments = path((ENDPOINT, 0, 200, []), (LLM, 0, llm_end_ms, []), (TTS, 260, 300, [0, 1]))
    assert segments[0][0] is owner


def test_an_input_that_ends_after_its_consumer_started_counts_up_to_that_start() -> None:
    assert path((ENDPOINT, 0, 200, []), (TTS, 150, 300, [0])) == [(ENDPOINT, 150), (TTS, 150)]


def test_what_nobody_worked_in_is_overhead() -> None:
    gap = path((ENDPOINT, 0, 200, []), (TTS, 215, 300, [0]))
    assert gap == [(ENDPOINT, 200), (Stage.OVERHEAD, 15), (TTS, 85)]


def test_work_before_the_end_of_speech_is_clipped_to_it() -> None:
    assert path((STT, -300, -50, []), (LLM, -50, 80, [0]), (TTS, 80, 100, [1])) == [(LLM, 80), (TTS, 20)]


def test_an_input_that_was_over_before_the_end_of_speech_leaves_overhead_from_there() -> None:
    assert path((STT, -300, -50, []), (LLM, 20, 80, [0])) == [(Stage.OVERHEAD, 20), (LLM, 60)]


def test_work_without_inputs_reaches_back_to_the_end_of_speech() -> None:
    assert path((ENDPOINT, 30, 200, []), (TTS, 200, 230, [0])) == [(ENDPOINT, 200), (TTS, 30)]


def test_an_input_that_never_happened_is_no_input() -> None:
    timeline = Timeline()
    assert timeline.spans[timeline.add(TTS, 1.0, 2.0, after=[None, None])].after == ()


def test_spans_keep_stage_label_and_inputs() -> None:
    timeline = Timeline()
    first = timeline.add(STT, 1.0, 2.0)
    second = timeline.add(LLM, 2.0, 3.0, after=[first, None], label="request 1", discarded=True)
    assert timeline.spans[first] == Span(first, STT, "stt", 1.0, 2.0)
    assert timeline.spans[second] == Span(second, LLM, "request 1", 2.0, 3.0, (first,), True)


def random_graph(dice: random.Random) -> Timeline:
    timeline = Timeline()
    for span_id in range(dice.randint(1, 12)):
        start_s = dice.uniform(99, 102)
        after = dice.sample(range(span_id), dice.randint(0, min(span_id, 3)))
        timeline.add(dice.choice(list(Stage)), start_s, start_s + dice.choice([0, dice.uniform(0, 1)]), after=after)
    return timeline


def check_tiles(segments: list[Segment], origin_s: float, end_s: float) -> None:
    assert segments[0].start_s == origin_s
    assert segments[-1].end_s == end_s
    assert all(earlier.end_s == later.start_s for earlier, later in pairwise(segments))
    assert all(segment.end_s >= segment.start_s for segment in segments)
    assert sum(s.ms for s in segments) == pytest.approx((end_s - origin_s) * 1_000)


def test_the_segments_of_any_graph_tile_the_turn() -> None:
    dice = random.Random(20261120)
    checked = 0
    for _ in range(3_000):
        timeline = random_graph(dice)
        last = len(timeline.spans) - 1
        if (end_s := timeline.spans[last].end_s) > 100:
            check_tiles(critical_path(timeline.spans, last, 100.0), 100.0, end_s)
            checked += 1
    assert checked > 2_000
