"""Predicted, then really run with the scripted stages in virtual time: there the two must agree."""

import dataclasses
from typing import Any

import pytest

from pipelines.errors import InputError
from pipelines.modes import Mode
from pipelines.stopwatch.whatif import Change, Speed, knee_tokens_per_s, knee_ttft_ms, predict, read_turn
from tests.recorded_turns import recorded
from tests.records import changed

SPEEDS = [Speed(300, 22.5), Speed(200, 90), Speed(160, 450), Speed(20, 1_800)]


def turn_of(mode: Mode = Mode.SPECULATIVE, speed: Speed = SPEEDS[1], **how: Any) -> Any:
    turn = read_turn(recorded(mode, speed, **how))
    assert turn is not None
    return turn


@pytest.mark.parametrize("speed", SPEEDS)
@pytest.mark.parametrize("mode", [Mode.STREAMING, Mode.SPECULATIVE])
@pytest.mark.parametrize("from_mode", [Mode.STREAMING, Mode.SPECULATIVE])
def test_a_turn_predicted_at_another_speed_and_mode_is_the_turn_that_is_then_run(
    from_mode: Mode, mode: Mode, speed: Speed
) -> None:
    predicted = predict(turn_of(from_mode), Change(mode, speed)).latency_ms
    assert predicted == pytest.approx(recorded(mode, speed).turn_latency_ms, abs=1.0)


@pytest.mark.parametrize("speed", SPEEDS)
def test_a_guess_that_was_discarded_is_discarded_again(speed: Speed) -> None:
    partials = ((600, "What was it?", True), (1_500, "What time is it?", True))
    predicted = predict(turn_of(partials=partials), Change(Mode.SPECULATIVE, speed)).latency_ms
    assert predicted == pytest.approx(recorded(Mode.SPECULATIVE, speed, partials).turn_latency_ms, abs=1.0)


@pytest.mark.parametrize("speed", SPEEDS)
def test_the_predicted_segments_tile_the_predicted_latency(speed: Speed) -> None:
    for mode in Mode:
        predicted = predict(turn_of(), Change(mode, speed))
        assert sum(predicted.shares_ms().values()) == pytest.approx(predicted.latency_ms, abs=0.01)


def test_the_sequential_mode_waits_for_its_own_silence_the_whole_answer_and_all_of_its_speech() -> None:
    change = Change(Mode.SEQUENTIAL, SPEEDS[1], wordless_ms=600)
    predicted = predict(turn_of(), change).latency_ms
    measured = recorded(Mode.SEQUENTIAL, SPEEDS[1]).turn_latency_ms
    # The scripted silence is noticed frame by frame; and the whole text is synthesized in one piece, not in two.
    assert predicted == pytest.approx(measured, abs=70)


def test_a_longer_endpointing_delay_is_waited_for_by_whoever_has_nothing_else_to_wait_for() -> None:
    turn = turn_of()
    late = Change(Mode.STREAMING, SPEEDS[1], endpointing_ms=turn.endpoint_ms + 300)
    usual = Change(Mode.STREAMING, SPEEDS[1])
    assert predict(turn, late).latency_ms == pytest.approx(predict(turn, usual).latency_ms + 300)


def test_no_turn_ends_before_its_silence_has_been_noticed() -> None:
    turn = turn_of()
    at_once = predict(turn, Change(Mode.STREAMING, Speed(0, 1e9), endpointing_ms=0))
    assert at_once.latency_ms >= turn.noticed_ms


def test_past_the_knee_more_speed_gains_less_than_5_ms() -> None:
    turn, change = turn_of(), Change(Mode.STREAMING, Speed(200, 90))
    knee = knee_tokens_per_s([turn], change)
    at_knee, endless = (predict(turn, Change(Mode.STREAMING, Speed(200, r))).latency_ms for r in (knee, 1e9))
    below = predict(turn, Change(Mode.STREAMING, Speed(200, knee / 1.05))).latency_ms
    assert at_knee - endless < 5 < below - endless


def test_a_ttft_that_is_hidden_behind_the_endpointing_gains_nothing_by_being_shorter() -> None:
    speculative = Change(Mode.SPECULATIVE, Speed(20, 1_800))
    turn = turn_of()
    assert knee_ttft_ms([turn], speculative) > 100
    assert knee_ttft_ms([turn], dataclasses.replace(speculative, mode=Mode.STREAMING)) == pytest.approx(5, abs=1)


def test_a_turn_that_did_not_complete_is_no_base() -> None:
    assert read_turn(changed(recorded(Mode.STREAMING, SPEEDS[1]), outcome="interrupted")) is None


def test_a_trace_of_an_older_quickturn_says_so() -> None:
    old = changed(recorded(Mode.STREAMING, SPEEDS[1]), transcripts=None)
    with pytest.raises(InputError, match="record it again"):
        read_turn(old)
