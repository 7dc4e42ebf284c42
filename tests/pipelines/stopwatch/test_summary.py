from typing import Any

import pytest

from pipelines.stopwatch.percentiles import percentiles
from pipelines.stopwatch.record import TurnRecord
from pipelines.stopwatch.summary import rows, summarise
from tests.records import critical_path, plain, record

FAST, SLOW = "sim/fast", "sim/slow"


def turn(latency_ms: float | None = 300.0, **changes: Any) -> TurnRecord:
    """A completed turn, of which a tenth is overhead and the rest the LLM's."""
    parts = [] if latency_ms is None else [("llm_ttft", latency_ms * 0.9), ("overhead", latency_ms * 0.1)]
    fields = {
        "recording": "tokyo",
        "mode": "streaming",
        "llm": FAST,
        "simulated": True,
        "held_out": False,
        "reference": "What time is it?",
        "transcript": "What time is it?",
        "scored_transcript": "What time is it?",
        "wer": 0.0,
        "turn_latency_ms": latency_ms,
        "llm_leg_ms": None if latency_ms is None else latency_ms * 0.9,
        "critical_path": critical_path(*parts),
        "stages": {"endpointing_ms": 200.0},
        "speculation": speculation(),
        "usage": {"cost_usd": 0.002},
        "starved_ms": 0.0,
    }
    return record(**{**fields, **changes})


def speculation(**changes: Any) -> dict[str, Any]:
    ledger = {"requests": 0, "hit": False, "discards": 0, "saved_ms": 0.0, "wasted_tokens": 0, "wasted_cost_usd": 0.0}
    return {**ledger, **changes}


def run_of(llm: str, latencies_ms: list[float]) -> list[TurnRecord]:
    """One turn a recording."""
    return [turn(ms, llm=llm, recording=f"recording {n}") for n, ms in enumerate(latencies_ms)]


# ---------------------------------------------------------------- percentiles


def test_percentiles_interpolate() -> None:
    assert plain(percentiles([10.0, 20.0, 30.0, 40.0, 50.0])) == {"p50": 30.0, "p95": 48.0, "p99": 49.6, "n": 5}


def test_percentiles_of_one_are_that_one() -> None:
    assert plain(percentiles([7.0])) == {"p50": 7.0, "p95": 7.0, "p99": 7.0, "n": 1}


def test_what_never_happened_does_not_count() -> None:
    assert plain(percentiles([None, 10.0, None])) == {"p50": 10.0, "p95": 10.0, "p99": 10.0, "n": 1}


@pytest.mark.parametrize("values", [[], [None]])
def test_percentiles_of_nothing_are_null(values: list[float | None]) -> None:
    assert plain(percentiles(values)) == {"p50": None, "p95": None, "p99": None, "n": 0}


# ---------------------------------------------------------------- the summary


@pytest.mark.parametrize("outcome", ["interrupted", "tool", "failed", "no_speech"])
def test_only_completed_turns_are_in_the_percentiles(outcome: str) -> None:
    summary = summarise([turn(300), turn(9_000, outcome=outcome)], [])
    assert (summary.turn_latency_ms.p99, summary.turn_latency_ms.n) == (300, 1)
    assert summary.outcomes == {"completed": 1, outcome: 1}


def test_an_answer_that_cut_in_has_no_latency_to_count() -> None:
    assert summarise([turn(300), turn(None, false_cut_in=True)], []).turn_latency_ms.n == 1
    summary = summarise([turn(300), turn(None, false_cut_in=True), turn(300, resumed_ms=[-200.0])], [])
    assert (summary.false_cut_ins, summary.early_commits) == (1, 2)


def test_word_errors_are_pooled_over_words_and_not_over_turns() -> None:
    words = "one two three four five six seven"
    long = turn(reference=f"{words} eight nine", scored_transcript=words)
    short = turn(reference="yes", scored_transcript="yes")
    assert summarise([long, short], []).wer == 0.2


def test_held_out_voices_are_reported_apart() -> None:
    held_out = turn(held_out=True, reference="yes", scored_transcript="no", wer=1.0)
    summary = summarise([turn(), held_out], [])
    assert (summary.wer, summary.wer_held_out) == (0.0, 1.0)


def test_turns_without_reference_have_no_word_error_rate() -> None:
    assert summarise([turn(wer=None, reference=None)], []).wer is None


def test_the_summary_tells_overhead_endpointing_and_lag() -> None:
    summary = summarise([turn(300)], [1.0, 2.0, 3.0])
    assert summary.overhead_ms.p50 == 30
    assert summary.endpointing_ms.p50 == 200
    assert summary.event_loop_lag_ms.p50 == 2


def test_the_ledger_of_speculation_is_summed() -> None:
    hit = turn(
        mode="speculative", speculation=speculation(requests=2, hit=True, discards=1, saved_ms=90.0, wasted_tokens=5)
    )
    miss = turn(mode="speculative", speculation=speculation(requests=1, wasted_tokens=3, discards=1))
    ledger = summarise([hit, miss], []).speculation
    assert (ledger.turns, ledger.hits, ledger.requests, ledger.discards) == (2, 1, 3, 2)
    assert ledger.wasted_tokens == 8
    assert ledger.saved_ms.p50 == 90  # of the hits


def test_the_cost_counts_answers_and_what_was_discarded() -> None:
    wasted = turn(speculation=speculation(wasted_cost_usd=0.001))
    assert summarise([turn(), wasted], []).cost_usd == 0.005


def test_one_unknown_price_makes_the_cost_unknown() -> None:
    assert summarise([turn(), turn(usage={"cost_usd": None})], []).cost_usd is None


def test_a_summary_of_nothing_is_null() -> None:
    summary = summarise([], [])
    assert summary.turn_latency_ms.n == 0
    assert (summary.wer, summary.outcomes) == (None, {})


def test_a_stage_that_is_not_on_the_path_has_no_share() -> None:
    assert turn().share_ms("tts") == 0
    assert turn(300).share_ms("overhead") == 30


# ---------------------------------------------------------------- rows and differences


def test_there_is_a_row_for_each_llm_and_mode() -> None:
    turns = [turn(llm=llm, mode=mode) for mode in ("sequential", "speculative") for llm in (FAST, SLOW)]
    cells = [(row.llm, row.mode) for row in rows(turns, FAST)]
    assert cells == [(llm, mode) for mode in ("sequential", "speculative") for llm in (FAST, SLOW)]


def test_the_shares_of_a_row_sum_to_its_mean_latency() -> None:
    (row,) = rows(run_of(FAST, [100, 200, 600]), FAST)
    assert row.shares_ms == {"llm_ttft": 270, "overhead": 30}
    assert (row.p50_ms, row.n) == (200, 3)


def test_the_shares_of_a_row_are_in_the_order_of_a_turn() -> None:
    """Whichever turn came first, and whatever it had on its path."""

    def through(*stages: str) -> TurnRecord:
        return turn(critical_path=critical_path(*((stage, 10.0) for stage in stages)))

    (row,) = rows([through("llm_ttft", "tts"), through("endpoint", "llm_ttft", "output"), through("stt", "tts")], FAST)
    assert list(row.shares_ms) == ["endpoint", "stt", "llm_ttft", "tts", "output"]


def test_a_row_has_the_fields_of_the_contract() -> None:
    (row,) = rows([turn()], FAST)
    assert set(plain(row)) >= {"llm", "mode", "p50_ms", "p95_ms", "n", "shares_ms", "delta_ms", "ci95_ms"}


def test_the_baseline_has_no_difference_to_itself() -> None:
    baseline, _ = rows([*run_of(FAST, [100, 200]), *run_of(SLOW, [150, 250])], FAST)
    assert (baseline.delta_ms, baseline.ci95_ms) == (None, None)


def test_a_single_pair_tells_a_difference_but_not_how_sure_it_is() -> None:
    _, row = rows([*run_of(FAST, [300]), *run_of(SLOW, [350])], FAST)
    assert (row.delta_ms, row.ci95_ms) == (50, None)


def test_no_difference_is_an_interval_that_holds_0() -> None:
    latencies = [300.0, 280, 320, 310, 290, 305, 295]
    _, row = rows(
        [
            *run_of(FAST, latencies),
            *run_of(SLOW, [ms + d for ms, d in zip(latencies, [9, -8, 2, -3, 4, -6, 1], strict=True)]),
        ],
        FAST,
    )
    low, high = row.ci95_ms
    assert low < 0 < high


def test_equal_runs_differ_by_nothing() -> None:
    _, row = rows([*run_of(FAST, [300, 400]), *run_of(SLOW, [300, 400])], FAST)
    assert (row.delta_ms, row.ci95_ms) == (0, (0, 0))


@pytest.mark.parametrize(("extra_ms", "sign"), [(50, 1), (-50, -1)])
def test_the_sign_of_a_difference_says_who_is_slower(extra_ms: float, sign: int) -> None:
    """Turns are compared one by one, so recordings that differ by much more than the models do not blur it."""
    latencies = [300.0, 500, 900, 1_500, 2_500]
    _, row = rows([*run_of(FAST, latencies), *run_of(SLOW, [ms + extra_ms for ms in latencies])], FAST)
    assert row.delta_ms == extra_ms
    assert all(bound * sign > 0 for bound in row.ci95_ms)


def test_turns_are_paired_by_recording_and_words_and_not_by_order() -> None:
    fast, slow = run_of(FAST, [100, 200, 300]), run_of(SLOW, [110, 210, 310])
    _, row = rows([*fast, *reversed(slow)], FAST)
    assert row.delta_ms == 10


def test_a_turn_that_one_of_them_failed_is_not_compared() -> None:
    fast, slow = run_of(FAST, [100, 200, 300]), run_of(SLOW, [110, 210, 310])
    slow[0] = turn(5_000, llm=SLOW, recording="recording 0", outcome="failed")
    _, row = rows([*fast, *slow], FAST)
    assert (row.delta_ms, row.n, row.failed) == (10, 2, 1)


def test_without_a_common_turn_there_is_no_difference_to_tell() -> None:
    _, row = rows([turn(llm=FAST, recording="a"), turn(llm=SLOW, recording="b")], FAST)
    assert (row.delta_ms, row.ci95_ms) == (None, None)


def test_the_interval_is_the_same_every_time() -> None:
    turns = [*run_of(FAST, [300, 280, 320]), *run_of(SLOW, [310, 300, 315])]
    assert rows(turns, FAST) == rows(turns, FAST)


def test_modes_are_compared_only_with_themselves() -> None:
    sequential = [turn(900, mode="sequential"), turn(950, llm=SLOW, mode="sequential")]
    streaming = [turn(400), turn(420, llm=SLOW)]
    deltas = {(row.llm, row.mode): row.delta_ms for row in rows([*sequential, *streaming], FAST)}
    assert deltas[SLOW, "sequential"] == 50
    assert deltas[SLOW, "streaming"] == 20


def test_a_row_where_no_turn_completed_is_null() -> None:
    (row,) = rows([turn(outcome="failed")], FAST)
    assert (row.p50_ms, row.n, row.shares_ms, row.failed) == (None, 0, {}, 1)
