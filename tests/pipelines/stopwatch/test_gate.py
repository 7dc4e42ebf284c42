from typing import Any

import numpy as np
import pytest

from pipelines.errors import InputError
from pipelines.stopwatch.gate import LimitVerdict, judge, parse_limit
from pipelines.stopwatch.record import TurnRecord
from tests.records import critical_path, record


def turns(latencies: list[float], ttft_ms: float = 100.0) -> list[TurnRecord]:
    return [
        record(
            recording=f"r{number}",
            reference="what time is it",
            transcript="what time is it",
            turn_latency_ms=ms,
            critical_path=critical_path(("llm_ttft", ttft_ms)),
        )
        for number, ms in enumerate(latencies)
    ]


BASE = [300.0 + 5 * number for number in range(24)]
NOISE = np.random.default_rng(7).normal(0, 4, len(BASE)).tolist()


def verdict(text: str, ours: list[float], theirs: list[float] | None = None, **how: Any) -> LimitVerdict:
    return judge(parse_limit(text), turns(ours, **how), turns(theirs or BASE), "sim/x", "speculative").verdict


@pytest.mark.parametrize("text", ["p95>+10%", "p50>+30ms", "mean>+5%", "p95>600ms"])
def test_a_run_like_the_recorded_one_keeps_every_limit(text: str) -> None:
    assert verdict(text, [ms + noise for ms, noise in zip(BASE, NOISE, strict=True)]) is LimitVerdict.KEPT


@pytest.mark.parametrize("text", ["p95>+10%", "p50>+30ms", "mean>+5%", "p95>600ms"])
def test_a_run_that_is_clearly_slower_breaks_them(text: str) -> None:
    assert verdict(text, [2 * ms for ms in BASE]) is LimitVerdict.BROKEN


def test_one_slow_turn_of_a_few_is_not_yet_worse() -> None:
    slow = [*BASE[:5], 900.0]
    assert verdict("mean>+10%", slow, BASE[:6]) is LimitVerdict.UNDECIDED


def test_a_handful_of_pairs_decides_nothing() -> None:
    judged = judge(parse_limit("p50>+10%"), turns([2 * BASE[0]]), turns(BASE[:1]), "sim/x", "streaming")
    assert judged.verdict is LimitVerdict.UNDECIDED
    assert judged.line().endswith("+100.0% (1 pair, too few to tell); --repeat with more would tell")
    assert (judged.record().pairs, judged.record().ci95) == (1, None)


def test_a_stage_has_a_limit_of_its_own() -> None:
    assert verdict("llm_ttft.p50>+20ms", BASE, ttft_ms=150.0) is LimitVerdict.BROKEN
    assert verdict("llm_ttft.p50>+80ms", BASE, ttft_ms=150.0) is LimitVerdict.KEPT


def test_only_turns_that_both_runs_have_are_compared() -> None:
    judged = judge(parse_limit("p50>+10%"), turns(BASE), turns(BASE[:7]), "sim/x", "streaming")
    assert judged.pairs == 7


def test_a_line_says_what_was_found_and_how_sure_that_is() -> None:
    judged = judge(parse_limit("p50>+10%"), turns([2 * ms for ms in BASE]), turns(BASE), "sim/x", "streaming")
    assert judged.line().startswith("broken: p50>+10% for sim/x, streaming: +100.0% (95 %: +")
    assert judged.record().verdict == "broken"


@pytest.mark.parametrize("text", ["p95", "p95>10%", "p90>+10%", "p95<+10%", "p95>+10", "llm_ttft>+5ms", "", "p95>-5ms"])
def test_a_limit_that_cannot_be_read_is_refused_with_what_is_expected(text: str) -> None:
    with pytest.raises(InputError, match=r"expected 'p95>\+10%'"):
        parse_limit(text)


def test_an_unknown_stage_is_refused() -> None:
    with pytest.raises(InputError, match="stage 'brain' is not one of: endpoint"):
        parse_limit("brain.p50>+5ms")


def test_a_baseline_without_a_pair_is_refused() -> None:
    with pytest.raises(InputError, match="holds no completed turn"):
        judge(parse_limit("p50>+10%"), turns(BASE), [], "sim/x", "streaming")
