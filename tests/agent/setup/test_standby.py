"""A standby from the command line and the configuration to the models and their prices."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from agent.commands.shared import read_config
from agent.report.terminal import standby_line, summary_lines
from agent.setup.config import load_config
from agent.trace.files import session_line
from pipelines.errors import ConfigError, InputError
from pipelines.llm.breaker import BreakerState
from pipelines.llm.failover import Failover, FailoverState
from pipelines.llm.health import Hedge
from pipelines.stopwatch.record import TurnRecord
from pipelines.stopwatch.summary import summarise
from tests.records import record


def test_without_a_standby_there_is_none() -> None:
    assert load_config().failover.standby == ""


def test_the_options_are_a_standby_and_a_budget_in_milliseconds_or_by_name() -> None:
    given = read_config(None, standby="sim/10:1000", hedge="250").failover
    assert (given.standby, given.hedge, given.hedge_ms) == ("sim/10:1000", Hedge.FIXED, 250.0)
    assert read_config(None, standby="sim/10:1000", hedge="off").failover.hedge is Hedge.OFF


def test_a_hedge_without_a_standby_is_refused() -> None:
    with pytest.raises(InputError, match="--hedge 250 needs an LLM to ask: give --standby"):
        read_config(None, hedge="250")


@pytest.mark.parametrize(
    ("state", "says"),
    [
        (FailoverState(BreakerState.CLOSED, 1.0, None, 131.4), "standby of a/b: ready, asked too after 131 ms"),
        (
            FailoverState(BreakerState.OPEN, None, "c/d cannot be reached", None),
            "standby of a/b: not ready: c/d cannot be reached, not hedged; a/b is kept out (breaker open)",
        ),
    ],
)
def test_how_things_stand_with_a_standby_is_one_line(state: FailoverState, says: str) -> None:
    assert standby_line("a/b", state) == says


@pytest.mark.parametrize(
    ("toml", "says"),
    [
        ('hedge = "never"', "failover.hedge 'never' is not one of: 'off', 'p95' or 'fixed'"),
        ("hedge_ms = 0", "failover.hedge_ms 0.0 cannot be used: expected a number above 0"),
        ("breaker_failures = 0", "failover.breaker_failures 0 cannot be used: expected a number above 0"),
        ("refresh_ms = 3", "failover.refresh_ms is not one of: refresh_s"),
    ],
)
def test_a_wrong_value_is_refused_by_its_full_path(toml: str, says: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(f"[failover]\n{toml}\n", encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert says in str(caught.value)


@pytest.mark.slow
def test_each_model_of_a_rig_has_the_standby_behind_it_and_its_price_is_known() -> None:
    from agent.setup.engines import open_engines

    config = read_config(None, standby="sim/cerebras-llama3.1-8b")

    async def look() -> None:
        async with AsyncExitStack() as stack:
            engines = await stack.enter_async_context(open_engines(config, ["sim/10:1000"]))
            assert isinstance(engines.models["sim/10:1000"].chat, Failover)
            assert engines.prices["sim/cerebras-llama3.1-8b"].usd_per_m_input is not None
            assert session_line(engines).engines["llm"] == ("sim/10:1000", "sim/cerebras-llama3.1-8b")

    asyncio.run(look())


def _turn(usage: dict[str, object], *actions: str) -> TurnRecord:
    return record(
        outcome="failed",
        speculation={"wasted_cost_usd": 0.0},
        usage={"cost_usd": 0.000_9, **usage},
        failover=[{"at_ms": 0.0, "action": action, "llm": "a/b", "reason": "late"} for action in actions],
    )


def test_the_summary_counts_decisions_and_prints_what_they_cost() -> None:
    turn = _turn({"abandoned_requests": 1, "abandoned_cost_usd": 0.000_1}, "hedged", "won")
    (line,) = [line for line in summary_lines(summarise([turn, turn], []), 1) if line.startswith("failover")]
    expected = "failover: 2 hedged, 2 won; 2 requests paid twice, extra cost $0.000200 of $0.002000 (10.0%)"
    assert line == expected


def test_an_extra_cost_at_an_unknown_price_is_unknown() -> None:
    turn = _turn({"abandoned_requests": 1, "abandoned_cost_usd": None}, "hedged")
    summary = summarise([turn], [])
    assert summary.failover.abandoned_cost_usd is None
    assert any(line.endswith("extra cost unknown") for line in summary_lines(summary, 1))
