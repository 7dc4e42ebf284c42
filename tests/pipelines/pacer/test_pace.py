"""The pacer's times on the wire, by the real clock: other programs can only make a token later, so the soonest of
several tries is the pacer's own.
"""

import asyncio
from collections.abc import Sequence

import pytest

from pipelines.pacer.simulator import Pacer
from tests.pipelines.pacer.wire import Wire, ask, post, posts

TRIES = 4


def soonest_s(answers: Sequence[Wire]) -> list[float]:
    """When each token came in the answer in which it came soonest."""
    return [min(times) for times in zip(*(answer.token_times_s() for answer in answers), strict=True)]


def rate_per_s(times_s: Sequence[float], stated: float) -> float:
    """Tokens per second between the most punctual token of the first quarter and that of the last."""
    late_s = [at_s - index / stated for index, at_s in enumerate(times_s)]
    quarter = len(late_s) // 4
    drift_s = min(late_s[-quarter:]) - min(late_s[:quarter])
    return 1 / (1 / stated + drift_s / (len(late_s) - quarter))


@pytest.mark.long
@pytest.mark.parametrize(("rate", "tokens", "at_once"), [(1800, 600, 1), (450, 300, 2), (90, 200, 4)])
def test_the_pace_on_the_wire_is_the_stated_one(rate: int, tokens: int, at_once: int) -> None:
    """Slow answers run beside each other; fast ones would compete for the CPU."""

    async def run() -> list[Wire]:
        answers: list[Wire] = []
        async with Pacer({}) as pacer:
            request = ask(f"120:{rate}", "Count from 1 to 400.", max_tokens=tokens)
            while len(answers) < TRIES:
                answers += await asyncio.gather(*(post(pacer, request) for _ in range(at_once)))
        return answers

    answers = asyncio.run(run())
    assert all(len(answer.tokens()) == tokens for answer in answers)
    assert rate_per_s(soonest_s(answers), rate) == pytest.approx(rate, rel=0.01)
    (ttft_s,) = soonest_s(asyncio.run(posts(*[ask(f"40:{rate}", max_tokens=1)] * 2 * TRIES)))
    assert ttft_s * 1000 == pytest.approx(40, abs=3)


def test_tokens_that_are_due_together_go_out_together() -> None:
    answers = asyncio.run(posts(*[ask("5:200000", "Count from 1 to 100.", max_tokens=200)] * TRIES))
    assert min(len(set(answer.token_times_s())) for answer in answers) < 40
