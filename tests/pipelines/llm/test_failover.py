"""In virtual time, with scripted models; the rules one by one."""

import asyncio
from contextlib import aclosing
from dataclasses import dataclass, field

import pytest

from pipelines.errors import InputError, LLMError, LLMFault
from pipelines.events import Answering, ChatEvent, ChatMessage, FailoverAction, FailoverDecision, TextDelta, Usage
from pipelines.llm.breaker import BreakerState
from pipelines.llm.failover import Failover
from pipelines.llm.health import FailoverSettings, Hedge
from tests.scripted import ScriptedLLM, now
from tests.virtual_time import cancel_after, run

ASK = [ChatMessage("user", "What time is it?")]
BUDGET = FailoverSettings(standby="b/standby", hedge=Hedge.FIXED, hedge_ms=300.0)
OFF = FailoverSettings(standby="b/standby", hedge=Hedge.OFF)


def error(fault: LLMFault, retry_after_s: float | None = None) -> LLMError:
    return LLMError(f"it {fault.value}", fault, retry_after_s)


def failing(*faults: LLMFault | None, words: int = 0, retry_after_s: float | None = None) -> ScriptedLLM:
    errors = [None if fault is None else error(fault, retry_after_s) for fault in faults]
    return ScriptedLLM(errors=errors, words_before_error=words, name="a/primary")


@dataclass
class Pair:
    """Two scripted models behind one failover."""

    primary: ScriptedLLM = field(default_factory=lambda: ScriptedLLM(name="a/primary", reply="First answer."))
    standby: ScriptedLLM = field(default_factory=lambda: ScriptedLLM(name="b/standby", reply="Second answer."))
    settings: FailoverSettings = BUDGET
    took_s: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.failover = Failover(self.primary, self.standby, self.settings, now)

    async def ask(self) -> list[ChatEvent]:
        began_s, events = now(), []
        async with aclosing(self.failover.stream(ASK)) as stream:
            async for event in stream:
                if isinstance(event, TextDelta) and not any(isinstance(e, TextDelta) for e in events):
                    self.took_s.append(round(now() - began_s, 3))
                events.append(event)
        return events

    def asked(self, times: int = 1) -> list[ChatEvent]:
        async def several() -> list[ChatEvent]:
            return [event for _ in range(times) for event in await self.ask()]

        return run(several())


def text(events: list[ChatEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


def actions(events: list[ChatEvent]) -> list[tuple[FailoverAction, str]]:
    return [(event.action, event.llm) for event in events if isinstance(event, FailoverDecision)]


def answered_by(events: list[ChatEvent]) -> list[str]:
    return [event.llm for event in events if isinstance(event, Answering)]


def test_a_healthy_primary_answers_and_the_standby_is_not_asked() -> None:
    pair = Pair()
    events = pair.asked()
    assert (text(events), answered_by(events), actions(events)) == ("First answer.", ["a/primary"], [])
    assert pair.standby.requests == []


SWITCHING = [fault for fault in LLMFault if fault is not LLMFault.REJECTED]


@pytest.mark.parametrize("fault", SWITCHING)
def test_a_fault_before_the_first_token_switches_at_once(fault: LLMFault) -> None:
    pair = Pair(failing(fault), settings=OFF)
    events = pair.asked()
    assert text(events) == "Second answer."
    assert actions(events) == [(FailoverAction.SWITCHED, "b/standby")]
    assert pair.took_s == [0.2]  # one TTFT to the fault, one to the answer


def test_a_request_that_is_itself_at_fault_is_not_sent_to_another() -> None:
    pair = Pair(failing(LLMFault.REJECTED))
    with pytest.raises(LLMError, match="rejected"):
        pair.asked()
    assert pair.standby.requests == []


@pytest.mark.parametrize(("fault", "paid"), [(LLMFault.STALLED, "a/primary"), (LLMFault.RATE_LIMITED, None)])
def test_only_a_request_that_was_accepted_is_paid(fault: LLMFault, paid: str | None) -> None:
    events = Pair(failing(fault)).asked()
    assert [e.gave_up for e in events if isinstance(e, FailoverDecision)] == [paid]


def test_where_both_fail_the_error_names_both() -> None:
    standby = ScriptedLLM(name="b/standby", errors=[error(LLMFault.SERVER_ERROR)])
    with pytest.raises(LLMError, match="it server_error; before that, it unreachable"):
        Pair(failing(LLMFault.UNREACHABLE), standby).asked()


def test_without_a_first_token_within_the_budget_the_standby_is_asked_too_and_the_first_wins() -> None:
    slow = ScriptedLLM(ttft_ms=3_000, name="a/primary")
    pair = Pair(slow)
    events = pair.asked()
    assert text(events) == "Second answer."
    assert actions(events) == [(FailoverAction.HEDGED, "b/standby"), (FailoverAction.WON, "b/standby")]
    assert pair.took_s == [0.4]  # the budget and the standby's TTFT
    assert slow.cancelled == 1
    assert [e.gave_up for e in events if isinstance(e, FailoverDecision)] == [None, "a/primary"]


def test_the_loser_is_cancelled_at_the_first_token_not_at_the_end_of_the_answer() -> None:
    pair = Pair(ScriptedLLM(ttft_ms=500, name="a/primary"), ScriptedLLM(name="b/standby", tokens_per_s=1))

    async def until_the_first_token() -> int:
        async with aclosing(pair.failover.stream(ASK)) as stream:
            async for event in stream:
                if isinstance(event, TextDelta):
                    await asyncio.sleep(0.01)
                    return pair.primary.cancelled
        return 0

    assert run(until_the_first_token()) == 1


def test_a_loser_that_takes_long_to_close_does_not_delay_the_answer() -> None:
    pair = Pair(ScriptedLLM(ttft_ms=3_000, closing_ms=700, name="a/primary"))
    pair.asked()
    assert pair.took_s == [0.4]


def test_a_primary_that_loses_three_races_in_a_row_is_kept_out() -> None:
    pair = Pair(ScriptedLLM(ttft_ms=3_000, name="a/primary"))
    pair.asked(times=4)
    assert len(pair.primary.requests) == 3
    assert pair.took_s == [0.4, 0.4, 0.4, 0.1]


def test_an_answer_without_a_token_is_a_fault() -> None:
    pair = Pair(ScriptedLLM(events=[[Usage(20, 0)]], name="a/primary"))
    events = pair.asked()
    assert text(events) == "Second answer."
    assert actions(events) == [(FailoverAction.SWITCHED, "b/standby")]


def test_a_primary_that_fails_after_it_was_accepted_is_paid_when_the_standby_was_asked_too() -> None:
    primary = ScriptedLLM(ttft_ms=350, errors=[error(LLMFault.CUT)], name="a/primary")
    events = Pair(primary).asked()
    assert [e.gave_up for e in events if isinstance(e, FailoverDecision)] == [None, "a/primary"]


def test_a_primary_that_still_comes_first_wins_and_the_standbys_request_is_paid() -> None:
    pair = Pair(ScriptedLLM(ttft_ms=350, reply="First answer.", name="a/primary"))
    events = pair.asked()
    assert text(events) == "First answer."
    assert actions(events) == [(FailoverAction.HEDGED, "b/standby"), (FailoverAction.WON, "a/primary")]
    assert pair.standby.cancelled == 1


def test_a_primary_that_fails_while_the_standby_is_asked_too_leaves_the_answer_to_it() -> None:
    primary = ScriptedLLM(ttft_ms=350, errors=[error(LLMFault.CUT)], name="a/primary")
    events = Pair(primary).asked()
    assert text(events) == "Second answer."
    assert answered_by(events) == ["b/standby"]


def test_with_hedging_off_a_slow_primary_is_waited_for() -> None:
    pair = Pair(ScriptedLLM(ttft_ms=3_000, reply="First answer.", name="a/primary"), settings=OFF)
    assert text(pair.asked()) == "First answer."
    assert pair.standby.requests == []


def test_the_budget_follows_the_primarys_own_p95_and_never_passes_its_bound() -> None:
    pair = Pair(settings=FailoverSettings("b/standby", hedge=Hedge.P95, hedge_ms=400.0))
    assert pair.failover.state.budget_ms == 400.0
    pair.asked(times=20)
    assert pair.failover.state.budget_ms == pytest.approx(100.0)
    slow = Pair(ScriptedLLM(ttft_ms=450, name="a/primary"), settings=FailoverSettings("b/standby", hedge_ms=400.0))
    slow.asked(times=25)
    assert len(slow.primary.requests) == 25
    assert slow.failover.state.budget_ms == 400.0


def test_after_three_faults_the_primary_is_kept_out_and_later_probed_back_in() -> None:
    fault = LLMFault.SERVER_ERROR
    pair = Pair(failing(fault, fault, fault))

    async def conversation() -> list[ChatEvent]:
        events = []
        for _ in range(4):
            events += await pair.ask()
        assert pair.failover.state.primary is BreakerState.OPEN
        await asyncio.sleep(15)
        return [*events, *await pair.ask(), *await pair.ask()]

    events = run(conversation())
    switched, kept_out = (FailoverAction.SWITCHED, "b/standby"), (FailoverAction.KEPT_OUT, "b/standby")
    back = [(FailoverAction.PROBED, "a/primary"), (FailoverAction.RECOVERED, "a/primary")]
    assert actions(events) == [switched] * 3 + [kept_out] + back
    assert len(pair.primary.requests) == 5
    assert pair.took_s[3] == 0.1  # a primary that is kept out costs nothing


def test_a_rate_limited_primary_is_left_alone_for_as_long_as_it_asks() -> None:
    pair = Pair(failing(LLMFault.RATE_LIMITED, retry_after_s=30.0))

    async def conversation() -> list[ChatEvent]:
        events = await pair.ask()
        await asyncio.sleep(29)
        events += await pair.ask()
        await asyncio.sleep(2)
        return [*events, *await pair.ask()]

    assert [action for action, _ in actions(run(conversation()))] == [
        FailoverAction.SWITCHED,
        FailoverAction.KEPT_OUT,
        FailoverAction.PROBED,
        FailoverAction.RECOVERED,
    ]


def test_a_probe_slower_than_the_budget_is_not_back_yet() -> None:
    pair = Pair(failing(LLMFault.UNAUTHORIZED))

    async def conversation() -> list[ChatEvent]:
        await pair.ask()
        pair.primary.ttft_ms = 3_000
        await asyncio.sleep(16)
        return [*await pair.ask(), *await pair.ask()]

    assert [action for action, _ in actions(run(conversation()))] == [
        FailoverAction.PROBED,
        FailoverAction.HEDGED,
        FailoverAction.WON,
        FailoverAction.KEPT_OUT,
    ]


async def _after_a_refused_key(pair: Pair, probe_ttft_ms: float) -> None:
    await pair.ask()
    pair.primary.ttft_ms = probe_ttft_ms
    await asyncio.sleep(16)


def test_a_probe_is_hedged_even_where_hedging_is_off() -> None:
    pair = Pair(failing(LLMFault.UNAUTHORIZED), settings=OFF)

    async def conversation() -> list[ChatEvent]:
        await _after_a_refused_key(pair, probe_ttft_ms=3_000)
        return await pair.ask()

    assert text(run(conversation())) == "Second answer."
    assert pair.took_s[-1] == 0.5  # `hedge_ms` and the standby's TTFT


def test_a_probe_whose_request_was_rejected_while_the_standby_answers_is_still_owed() -> None:
    rejected = [LLMError("no", LLMFault.UNAUTHORIZED), LLMError("no", LLMFault.REJECTED)]
    standby = ScriptedLLM(name="b/standby", ttft_ms=100, reply="Second answer.")
    pair = Pair(ScriptedLLM(errors=rejected, name="a/primary"), standby)

    async def conversation() -> list[ChatEvent]:
        await _after_a_refused_key(pair, probe_ttft_ms=350)
        assert text(await pair.ask()) == "Second answer."
        pair.primary.ttft_ms = 100
        return await pair.ask()

    assert actions(run(conversation())) == [
        (FailoverAction.PROBED, "a/primary"),
        (FailoverAction.RECOVERED, "a/primary"),
    ]


def test_a_probe_that_is_cancelled_is_still_owed_and_others_are_kept_out_meanwhile() -> None:
    pair = Pair(failing(LLMFault.UNAUTHORIZED))

    async def conversation() -> list[ChatEvent]:
        await _after_a_refused_key(pair, probe_ttft_ms=3_000)
        probe = asyncio.create_task(pair.ask())
        await asyncio.sleep(0.05)
        beside = await pair.ask()
        probe.cancel()
        await asyncio.wait([probe])
        return [*beside, *await pair.ask()]

    assert [action for action, _ in actions(run(conversation()))][:2] == [
        FailoverAction.KEPT_OUT,
        FailoverAction.PROBED,
    ]


def test_a_fault_in_mid_answer_is_passed_on_and_counts_against_the_primary() -> None:
    pair = Pair(failing(*[LLMFault.CUT] * 3, words=1))
    for _ in range(3):
        with pytest.raises(LLMError, match="cut"):
            pair.asked()
    assert pair.failover.state.primary is BreakerState.OPEN


def test_the_standbys_connection_is_refreshed_and_a_standby_that_is_not_ready_is_said() -> None:
    class Unready(ScriptedLLM):
        warmed = 0

        async def warm_up(self) -> None:
            self.warmed += 1
            if self.warmed == 2:
                raise error(LLMFault.UNREACHABLE)

    standby = Unready(name="b/standby")
    pair = Pair(standby=standby, settings=FailoverSettings("b/standby", refresh_s=60.0))

    async def keep() -> None:
        async with pair.failover.kept_warm():
            assert pair.failover.state.standby_ready_s == now()
            await asyncio.sleep(61)
            assert pair.failover.state.standby_fault == "it unreachable"
            await asyncio.sleep(60)
            assert pair.failover.state.standby_fault is None

    run(keep())
    assert standby.warmed == 3


def test_what_the_block_raises_leaves_it_as_it_is() -> None:
    async def keep() -> None:
        async with Pair().failover.kept_warm():
            raise InputError("trace x cannot be written")

    with pytest.raises(InputError):
        run(keep())


def test_a_primary_that_cannot_be_reached_at_the_start_is_what_the_standby_is_for() -> None:
    class Gone(ScriptedLLM):
        async def warm_up(self) -> None:
            raise error(LLMFault.UNREACHABLE)

    pair = Pair(Gone(name="a/primary"))
    run(pair.failover.warm_up())
    both = Pair(Gone(name="a/primary"), Gone(name="b/standby"))
    with pytest.raises(LLMError):
        run(both.failover.warm_up())


def test_cancelled_at_any_await_no_task_and_no_request_is_left() -> None:
    for steps in range(1, 40):
        pair = Pair(ScriptedLLM(ttft_ms=3_000, name="a/primary"))

        async def cancelled(pair: Pair = pair, steps: int = steps) -> None:
            task = asyncio.create_task(pair.ask())
            cancel_after(steps, task)
            await asyncio.wait([task])

        run(cancelled())
        for model in (pair.primary, pair.standby):
            assert len(model.requests) == model.completed + model.cancelled
