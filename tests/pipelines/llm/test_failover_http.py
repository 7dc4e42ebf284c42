"""Failover over real HTTP, against a pacer that misbehaves."""

from contextlib import AsyncExitStack, aclosing

import pytest

from agent.system.resources import shipped
from pipelines.errors import LLMError, LLMFault
from pipelines.events import Answering, ChatEvent, ChatMessage, FailoverAction, FailoverDecision, TextDelta
from pipelines.llm.breaker import BreakerState
from pipelines.llm.catalogue_file import load_catalogue
from pipelines.llm.chat import ChatCompletions, ChatSettings
from pipelines.llm.failover import Failover
from pipelines.llm.health import FailoverSettings, Hedge
from pipelines.pacer.simulator import Pacer
from tests.scripted import now
from tests.virtual_time import run_on_loopback

ASK = [ChatMessage("user", "What is the capital of Norway?")]
PATIENCE = ChatSettings(first_token_timeout_s=0.4, stall_timeout_s=0.2, connect_timeout_s=0.5)
STANDBY = "sim/10:1000"
CATALOGUE = load_catalogue(shipped("configs") / "providers.toml")


async def ask(primary: str, hedge: Hedge, *, at: str | None = None) -> tuple[list[ChatEvent], Failover, float]:
    """One request to a primary with a standby behind it; the third is how long the first words took, in seconds."""
    async with AsyncExitStack() as stack:
        pacer = await stack.enter_async_context(Pacer(CATALOGUE.paces()))
        models = [
            ChatCompletions(CATALOGUE.resolve(name).at(address), PATIENCE)
            for name, address in ((primary, at or pacer.base_url), (STANDBY, pacer.base_url))
        ]
        for model in models:
            stack.push_async_callback(model.aclose)
        failover = Failover(models[0], models[1], FailoverSettings(STANDBY, hedge, hedge_ms=60.0), now)
        await stack.enter_async_context(failover.kept_warm())
        events: list[ChatEvent] = []
        began_s, took_s = now(), 0.0
        async with aclosing(failover.stream(ASK)) as stream:
            async for event in stream:
                if isinstance(event, TextDelta):
                    took_s = took_s or now() - began_s
                events.append(event)
        return events, failover, took_s


def actions(events: list[ChatEvent]) -> list[FailoverAction]:
    return [event.action for event in events if isinstance(event, FailoverDecision)]


def text(events: list[ChatEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


FAULTS = ["401", "403", "404", "429&seconds=7", "500", "html", "stall&seconds=10"]


@pytest.mark.parametrize("fault", FAULTS)
def test_whatever_goes_wrong_before_the_first_token_the_standby_answers(fault: str) -> None:
    events, failover, _ = run_on_loopback(ask(f"sim/10:1000?fault={fault}", Hedge.OFF))
    assert "Oslo" in text(events)
    assert actions(events) == [FailoverAction.SWITCHED]
    assert [event.llm for event in events if isinstance(event, Answering)] == [STANDBY]
    opens_at_once = fault in ("401", "403", "404", "429&seconds=7")
    assert failover.state.primary is (BreakerState.OPEN if opens_at_once else BreakerState.CLOSED)


def test_a_primary_at_which_nobody_listens_is_switched_from() -> None:
    events, failover, _ = run_on_loopback(ask("sim/10:1000", Hedge.OFF, at="http://127.0.0.1:9/v1"))
    assert "Oslo" in text(events)
    assert actions(events) == [FailoverAction.SWITCHED]
    assert failover.state.standby_ready_s is not None


def test_a_stall_before_the_first_token_is_hedged_within_the_budget() -> None:
    events, _, took_s = run_on_loopback(ask("sim/10:1000?fault=stall&seconds=3", Hedge.FIXED))
    assert "Oslo" in text(events)
    assert actions(events) == [FailoverAction.HEDGED, FailoverAction.WON]
    assert 0.06 < took_s < 0.25


@pytest.mark.parametrize(("fault", "kind"), [("cut", LLMFault.CUT), ("stall-mid&seconds=10", LLMFault.STALLED)])
def test_a_fault_in_mid_answer_is_passed_on_with_its_kind(fault: str, kind: LLMFault) -> None:
    with pytest.raises(LLMError) as caught:
        run_on_loopback(ask(f"sim/10:1000?fault={fault}&after=3", Hedge.FIXED))
    assert caught.value.fault is kind
