"""Answers that are finished by a standby, tools on a guess, fillers; in virtual time."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from agent.measure.replay import VirtualOutput
from pipelines.errors import LLMError, LLMFault
from pipelines.events import ChatEvent, ChatMessage, FailoverAction, FailoverDecision, TextDelta, ToolCall, ToolSpec
from pipelines.generation import GO_ON
from pipelines.llm import ChatModel
from pipelines.reply import Reply
from pipelines.reply_stages import ReplySettings, ReplyStages
from pipelines.tools import Tool
from tests.scripted import ScriptedLLM, ScriptedTTS, now
from tests.virtual_time import cancel_after, run

MESSAGES = [ChatMessage("system", "Be brief."), ChatMessage("user", "Tell me a story.")]
STORY = "Once there was a fox. It lived by the river. Then it left."
STALL = LLMError("a/primary stalled", LLMFault.STALLED)


@dataclass
class Answered:
    reply: Reply
    tts: ScriptedTTS
    began_s: float

    @property
    def spoken(self) -> list[str]:
        return [unit.text for unit in self.reply.playout.played]

    @property
    def decisions(self) -> list[FailoverDecision]:
        return [decision for request in self.reply.requests for decision in request.decisions]


async def answer(
    llm: ChatModel, standby: ChatModel | None, tools: Sequence[Tool], release_ms: float, streamed: bool
) -> Answered:
    tts, began_s = ScriptedTTS(), now()
    voice = ReplyStages(llm, tts, VirtualOutput(now, began_s, lambda: False), now, tools, standby)
    settings = ReplySettings(apology="Sorry.", filler="One moment.", filler_after_ms=500)
    reply = Reply("Tell me a story.", MESSAGES, voice, settings, streamed=streamed)
    asyncio.get_running_loop().call_later(release_ms / 1_000, reply.release)
    await reply.run()
    return Answered(reply, tts, began_s)


def speak(
    llm: ScriptedLLM,
    standby: ScriptedLLM | None = None,
    tools: Sequence[Tool] = (),
    release_ms: float = 0,
    *,
    streamed: bool = True,
) -> Answered:
    return run(answer(llm, standby, tools, release_ms, streamed))


def breaking_off(words: int) -> ScriptedLLM:
    return ScriptedLLM(name="a/primary", reply=STORY, errors=[STALL], words_before_error=words)


# ---------------------------------------------------------------- finishing a broken answer


def test_an_answer_that_breaks_off_is_finished_from_the_sentences_that_were_whole() -> None:
    standby = ScriptedLLM(name="b/standby", reply="It swam away. The end.")
    answered = speak(breaking_off(words=8), standby)
    assert answered.spoken == ["Once there was a fox.", "It swam away.", "The end."]
    assert answered.reply.error is None
    assert answered.reply.text == "Once there was a fox. It swam away. The end."
    assert standby.requests == [
        [*MESSAGES, ChatMessage("assistant", "Once there was a fox."), ChatMessage("user", GO_ON)]
    ]


def test_the_decision_names_the_standby_and_the_fault() -> None:
    answered = speak(breaking_off(words=8), ScriptedLLM(name="b/standby"))
    (decision,) = answered.decisions
    assert (decision.action, decision.llm, decision.reason) == (
        FailoverAction.FINISHED,
        "b/standby",
        "a/primary stalled",
    )
    broken, rest = answered.reply.requests
    assert (broken.llm, broken.broken, rest.llm, rest.broken) == ("a/primary", "a/primary stalled", "b/standby", None)


def test_a_sentence_that_has_been_handed_to_speech_is_never_said_again() -> None:
    standby = ScriptedLLM(name="b/standby", reply="Once there was a fox. It swam away.")
    assert speak(breaking_off(words=8), standby).spoken == ["Once there was a fox.", "It swam away."]


@pytest.mark.parametrize("streamed", [True, False])
def test_an_answer_that_breaks_off_before_a_whole_sentence_is_asked_for_anew(streamed: bool) -> None:
    standby = ScriptedLLM(name="b/standby", reply="Long ago.")
    answered = speak(breaking_off(words=3), standby, streamed=streamed)
    assert answered.spoken == ["Long ago."]
    assert standby.requests == [MESSAGES]


def test_without_a_standby_it_is_apologised_for() -> None:
    assert speak(breaking_off(words=8)).spoken == ["Once there was a fox.", "Sorry."]


def test_where_the_standby_breaks_off_too_it_is_apologised_for_and_nobody_is_asked_again() -> None:
    standby = ScriptedLLM(name="b/standby", reply="It swam away. Then it", errors=[STALL], words_before_error=4)
    answered = speak(breaking_off(words=8), standby)
    assert answered.spoken == ["Once there was a fox.", "It swam away.", "Sorry."]
    assert len(standby.requests) == 1


def test_cancelled_at_any_await_no_task_and_no_request_is_left() -> None:
    for steps in range(1, 60):
        llm, standby = breaking_off(words=8), ScriptedLLM(name="b/standby")

        async def cancelled(llm: ScriptedLLM = llm, standby: ScriptedLLM = standby, steps: int = steps) -> None:
            task = asyncio.create_task(answer(llm, standby, (), 0, streamed=True))
            cancel_after(steps, task)
            await asyncio.wait([task])

        run(cancelled())
        assert len(standby.requests) == standby.completed + standby.cancelled


# ---------------------------------------------------------------- tools


@dataclass
class Lookup:
    """A tool that takes its time, and notes when it was called."""

    takes_ms: float = 0
    read_only: bool = False
    began_s: list[float] = field(default_factory=list)
    cancelled: int = 0

    async def look(self) -> str:
        self.began_s.append(now())
        try:
            await asyncio.sleep(self.takes_ms / 1_000)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return "found"

    @property
    def tool(self) -> Tool:
        return Tool(ToolSpec("look", "Look it up.", {"type": "object"}), self.look, self.read_only, timeout_s=30)


def calling(*, text: str = "") -> ScriptedLLM:
    events: list[ChatEvent] = [*([TextDelta(text)] if text else []), ToolCall("1", "look", "{}")]
    return ScriptedLLM(name="a/primary", events=(events,), reply="Here it is.")


def test_a_tool_that_only_reads_may_run_on_a_guess() -> None:
    lookup = Lookup(read_only=True)
    answered = speak(calling(), tools=[lookup.tool], release_ms=700)
    assert lookup.began_s == [pytest.approx(answered.began_s + 0.1)]
    (run_,) = answered.reply.requests[0].tool_runs
    assert (run_.on_a_guess, run_.read_only, run_.result) == (True, True, "found")
    assert answered.spoken == ["Here it is."]


def test_a_tool_that_may_change_the_world_waits_for_the_commit() -> None:
    lookup = Lookup()
    answered = speak(calling(), tools=[lookup.tool], release_ms=700)
    assert lookup.began_s == [pytest.approx(answered.began_s + 0.7)]
    assert not answered.reply.requests[0].tool_runs[0].on_a_guess


def test_a_guess_that_is_discarded_cancels_its_tool() -> None:
    lookup = Lookup(takes_ms=10_000, read_only=True)

    async def discarded() -> None:
        task = asyncio.create_task(answer(calling(), None, [lookup.tool], 5_000, streamed=True))
        await asyncio.sleep(0.5)
        task.cancel()
        await asyncio.wait([task])

    run(discarded())
    assert lookup.cancelled == 1


def test_while_a_tool_takes_long_the_agent_says_that_it_takes_a_moment() -> None:
    answered = speak(calling(), tools=[Lookup(takes_ms=3_000).tool])
    assert answered.spoken == ["One moment.", "Here it is."]
    assert answered.reply.text == "Here it is."
    assert answered.reply.requests[0].filler_s == pytest.approx(answered.began_s + 0.6)


@pytest.mark.parametrize(
    ("llm", "takes_ms", "why"),
    [
        (calling(), 400, "the tool is quick"),
        (calling(text="Let me look."), 3_000, "something has been said already"),
    ],
)
def test_there_is_no_filler_where_none_is_needed(llm: ScriptedLLM, takes_ms: float, why: str) -> None:
    assert "One moment." not in speak(llm, tools=[Lookup(takes_ms=takes_ms).tool]).spoken, why


def test_nothing_is_said_before_the_commit_however_long_a_tool_takes() -> None:
    answered = speak(calling(), tools=[Lookup(takes_ms=3_000, read_only=True).tool], release_ms=2_000)
    assert answered.reply.requests[0].filler_s == pytest.approx(answered.began_s + 2.5)
