import asyncio
import json
from collections.abc import AsyncGenerator, Sequence
from typing import Any

import pytest

from agent.measure.replay import Replayed
from pipelines.errors import LLMError, LLMFault, StageError
from pipelines.events import ChatEvent, ChatMessage, ReasoningDelta, TextDelta, ToolCall, ToolSpec, Usage
from pipelines.llm.catalogue import Model
from pipelines.llm.history import estimate_tokens
from pipelines.modes import Mode
from pipelines.stopwatch.record import TurnHeader
from pipelines.stopwatch.trace import turn_record
from pipelines.tools import Tool
from tests.records import TURN_FIELDS, plain
from tests.scripted import (
    REPLY,
    ScriptedLLM,
    ScriptedSTT,
    ScriptedTTS,
    Stages,
    converse,
    dialogue,
    question,
    silence,
    voice,
)

HEADER = TurnHeader(mode="speculative", llm="scripted/llm")
MODEL = Model("scripted", usd_per_m_input=100_000.0, usd_per_m_output=1_000_000.0)
PARTIAL = ((1_000, "What time is it?", True),)
CLIP = question().pcm
REFUSED = LLMError("too many requests", LLMFault.RATE_LIMITED)


def documents(replayed: Replayed) -> list[dict[str, Any]]:
    return [plain(turn_record(turn.trace, HEADER, {"scripted/llm": MODEL})) for turn in replayed.turns]


def estimate(*texts: str) -> int:
    return sum(estimate_tokens(ChatMessage("user", text)) for text in texts)


def document(stages: Stages) -> dict[str, Any]:
    (only,) = documents(converse(stages))
    return only


def on_path(turn: dict[str, Any], stage: str) -> float | None:
    parts = [part["ms"] for part in turn["critical_path"] if part["stage"] == stage]
    return sum(parts) if parts else None


# ---------------------------------------------------------------- the contract


def test_the_document_has_every_field_of_the_contract_and_is_json() -> None:
    turn = json.loads(json.dumps(document(Stages()), allow_nan=False))
    assert set(turn) >= TURN_FIELDS
    assert set(turn["stages"]) == {
        "endpointing_ms",
        "stt_final_ms",
        "llm_ttft_ms",
        "llm_first_sentence_ms",
        "llm_tokens_per_s",
        "tts_ttfb_ms",
        "leading_silence_ms",
    }
    assert set(turn["speculation"]) >= {"requests", "hit", "saved_ms", "wasted_tokens"}
    assert set(turn["usage"]) >= {"prompt_tokens", "completion_tokens", "cost_usd"}
    assert all(set(part) >= {"stage", "ms"} for part in turn["critical_path"])


def test_the_stages_are_the_scripted_delays() -> None:
    assert document(Stages(Mode.STREAMING))["stages"] == {
        "endpointing_ms": 200,
        "stt_final_ms": 40,
        "llm_ttft_ms": 100,
        "llm_first_sentence_ms": 150,
        "llm_tokens_per_s": 100,
        "tts_ttfb_ms": 30,
        "leading_silence_ms": 10,
    }


def test_transcript_and_reply_are_those_of_the_turn() -> None:
    turn = document(Stages())
    assert (turn["transcript"], turn["reply"], turn["heard"]) == ("What time is it?", REPLY, REPLY)
    assert (turn["outcome"], turn["error"]) == ("completed", None)


@pytest.mark.parametrize("mode", list(Mode))
@pytest.mark.parametrize("ttft_ms", [0, 33.3, 250, 2_000])
@pytest.mark.parametrize("partials", [(), PARTIAL])
def test_the_segments_sum_to_the_turn_latency(mode: Mode, ttft_ms: float, partials: Any) -> None:
    turn = document(Stages(mode, ScriptedSTT(partials=partials), ScriptedLLM(ttft_ms=ttft_ms)))
    assert sum(part["ms"] for part in turn["critical_path"]) == pytest.approx(turn["turn_latency_ms"], abs=1)


def test_the_segments_follow_each_other_from_the_end_of_speech_to_the_first_sound() -> None:
    turn = document(Stages())
    path = turn["critical_path"]
    assert [part["start_ms"] for part in path] == [0, *(part["end_ms"] for part in path[:-1])]
    assert path[-1]["end_ms"] == turn["turn_latency_ms"]


def test_a_hidden_llm_shows_0_with_its_real_duration_beside_it() -> None:
    turn = document(Stages(stt=ScriptedSTT(partials=PARTIAL)))
    assert on_path(turn, "llm_ttft") == on_path(turn, "llm_sentence") == on_path(turn, "tts") == 0
    assert (turn["stages"]["llm_ttft_ms"], turn["stages"]["llm_first_sentence_ms"]) == (100, 150)
    assert turn["stages"]["tts_ttfb_ms"] == 30
    assert turn["llm_leg_ms"] == 0
    assert turn["turn_latency_ms"] == 210


def test_a_hidden_decode_shows_0_too() -> None:
    turn = document(Stages(Mode.STREAMING))
    assert on_path(turn, "stt") == 0
    assert turn["stages"]["stt_final_ms"] == 40


def test_what_is_discarded_is_not_on_the_path() -> None:
    turn = document(Stages(stt=ScriptedSTT(partials=((1_000, "What was it?", True),))))
    discarded = [span for span in turn["spans"] if span["discarded"]]
    assert {span["stage"] for span in discarded} >= {"llm_ttft", "llm_sentence", "tts"}
    assert all(span["critical_ms"] == 0 for span in discarded)


def test_the_llm_leg_is_its_part_of_the_latency() -> None:
    assert document(Stages(Mode.STREAMING))["llm_leg_ms"] == 150
    assert document(Stages(Mode.SEQUENTIAL))["llm_leg_ms"] == 170


def test_spans_hold_the_inputs_that_a_counterfactual_needs() -> None:
    spans = {span["id"]: span for span in document(Stages(Mode.STREAMING))["spans"]}
    ttft = next(span for span in spans.values() if span["stage"] == "llm_ttft")
    assert {spans[i]["stage"] for i in ttft["after"]} == {"endpoint", "stt"}
    sentence = next(span for span in spans.values() if span["stage"] == "llm_sentence")
    assert sentence["after"] == [ttft["id"]]


# ---------------------------------------------------------------- turns that are not completed


def test_a_turn_without_words_is_null_where_nothing_happened() -> None:
    turn = document(Stages(stt=ScriptedSTT(("",))))
    assert (turn["outcome"], turn["transcript"], turn["reply"]) == ("no_speech", "", "")
    assert (turn["turn_latency_ms"], turn["llm_leg_ms"], turn["usage"], turn["error"]) == (None,) * 4
    assert turn["critical_path"] == []
    assert turn["stages"]["endpointing_ms"] is not None
    assert turn["stages"]["llm_ttft_ms"] is turn["stages"]["tts_ttfb_ms"] is None


def test_a_turn_that_was_not_understood_is_null_but_for_its_error() -> None:
    turn = document(Stages(stt=ScriptedSTT(errors=(StageError("deaf"),))))
    assert (turn["outcome"], turn["error"]) == ("failed", "deaf")
    assert (turn["turn_latency_ms"], turn["usage"]) == (None, None)
    assert set(turn["stages"].values()) == {None}


def test_a_turn_whose_llm_failed_names_the_error_and_has_no_first_token() -> None:
    turn = document(Stages(Mode.STREAMING, llm=ScriptedLLM(errors=(REFUSED,))))
    assert (turn["outcome"], turn["error"], turn["reply"]) == ("failed", "too many requests", "")
    assert turn["stages"]["llm_ttft_ms"] is None


def test_a_turn_with_which_the_user_goes_on_after_its_commit_says_when() -> None:
    stages = Stages(stt=ScriptedSTT(("One.", "One and two.")), llm=ScriptedLLM(ttft_ms=3_000))
    (turn,) = documents(converse(stages, question(voice(640), silence(1_024), voice(640))))
    assert turn["transcript"] == "One and two."
    assert turn["resumed_ms"] == [pytest.approx(32 - 640, abs=10)]  # a window after the second part began
    assert [request["discarded"] for request in turn["requests"]] == [True, False]
    assert turn["speculation"]["discards"] == 1


def test_a_turn_that_was_cut_after_it_sounded_keeps_its_latency() -> None:
    spoken = dialogue(("One.", CLIP, None), ("Two.", CLIP, 300))
    first = documents(converse(Stages(), spoken))[0]
    assert (first["outcome"], first["turn_latency_ms"]) == ("interrupted", 270)


def test_an_answer_that_cuts_into_the_users_words_has_no_latency() -> None:
    """It sounds before the true end of the speech, so no wait can be counted from there."""
    stages = Stages(stt=ScriptedSTT(turns=(("Yes.",), ("Yes. But why?",))), llm=ScriptedLLM(ttft_ms=0))
    first = documents(converse(stages, question(voice(640), silence(512), voice(640))))[0]
    assert (first["outcome"], first["heard"]) == ("interrupted", "It is")
    assert (first["turn_latency_ms"], first["critical_path"]) == (None, [])


def test_the_path_of_a_tool_turn_runs_through_the_tool() -> None:
    async def ring() -> str:
        await asyncio.sleep(0.25)
        return "rung"

    llm = ScriptedLLM(events=([ToolCall("1", "ring", "{}"), Usage(20, 5)],), reply="It rang.")
    tool = Tool(ToolSpec("ring", "Ring.", {"type": "object"}), ring)
    turn = document(Stages(Mode.STREAMING, llm=llm, tools=[tool]))
    assert turn["outcome"] == "tool"
    assert on_path(turn, "tool") == 250
    assert on_path(turn, "llm_ttft") == 200  # of two requests
    assert sum(part["ms"] for part in turn["critical_path"]) == pytest.approx(turn["turn_latency_ms"], abs=1)


# ---------------------------------------------------------------- the ledger of speculation


def test_a_hit_saves_what_was_done_before_the_commit() -> None:
    speculation = document(Stages())["speculation"]
    assert (speculation["requests"], speculation["hit"], speculation["discards"]) == (1, True, 0)
    assert speculation["saved_ms"] == 120  # asked 80 ms after the speech, committed at 200


@pytest.mark.parametrize(("ttft_ms", "saved_ms"), [(0, 80), (100, 180), (5_000, 1_100)])
def test_a_hit_saves_at_most_the_time_to_first_speech(ttft_ms: float, saved_ms: float) -> None:
    """First sentence and synthesis take 80 ms; the partial comes 1.1 s before the commit."""
    stages = Stages(stt=ScriptedSTT(partials=((1_000, "What time is it?", True),)), llm=ScriptedLLM(ttft_ms=ttft_ms))
    expected = document(Stages(Mode.STREAMING, llm=ScriptedLLM(ttft_ms=ttft_ms)))["turn_latency_ms"]
    turn = document(stages)
    assert turn["speculation"]["saved_ms"] == pytest.approx(expected - turn["turn_latency_ms"])
    assert turn["speculation"]["saved_ms"] == pytest.approx(saved_ms)


@pytest.mark.parametrize("mode", [Mode.SEQUENTIAL, Mode.STREAMING])
def test_without_speculation_the_ledger_is_empty(mode: Mode) -> None:
    speculation = document(Stages(mode))["speculation"]
    assert speculation == {
        "requests": 0,
        "hit": False,
        "discards": 0,
        "saved_ms": 0,
        "wasted_prompt_tokens": 0,
        "wasted_tokens": 0,
        "wasted_cost_usd": 0,
    }


def test_a_discarded_guess_is_charged_by_its_usage_where_the_stream_had_ended() -> None:
    turn = document(Stages(stt=ScriptedSTT(partials=((600, "What was it?", True),))))
    assert turn["speculation"] == {
        "requests": 2,
        "hit": True,
        "discards": 1,
        "saved_ms": 120,
        "wasted_prompt_tokens": 20,
        "wasted_tokens": 7,
        "wasted_cost_usd": pytest.approx(20 * 0.1 + 7),
    }


def test_a_discarded_guess_is_charged_by_what_it_had_written_where_it_was_cut() -> None:
    partials = ((600, "What was it?", True), (710, "What was it like", False))
    turn = document(Stages(stt=ScriptedSTT(partials=partials)))
    assert turn["speculation"]["wasted_tokens"] == 2  # 100 ms to the first word, then 10 ms a word
    assert turn["speculation"]["wasted_prompt_tokens"] == estimate("Be brief.", "What was it?")


def test_a_guess_of_an_interrupted_turn_counts() -> None:
    turn = documents(converse(Stages(stt=ScriptedSTT(partials=PARTIAL, errors=(StageError("deaf"),)))))[0]
    assert (turn["speculation"]["requests"], turn["speculation"]["hit"]) == (1, False)
    assert turn["speculation"]["discards"] == 1


# ---------------------------------------------------------------- tokens and money


def test_usage_is_the_providers_and_costs_what_the_model_costs() -> None:
    assert document(Stages())["usage"] == {
        "prompt_tokens": 20,
        "completion_tokens": 7,
        "cost_usd": pytest.approx(20 * 0.1 + 7),
        "estimated": False,
        "cached_tokens": None,
        "abandoned_requests": 0,
        "abandoned_tokens": 0,
        "abandoned_cost_usd": 0,
    }


def test_usage_that_the_provider_did_not_tell_is_estimated() -> None:
    events: list[ChatEvent] = [TextDelta("Noon"), TextDelta("."), Usage(None, None)]
    usage = document(Stages(llm=ScriptedLLM(events=(events[:2],))))["usage"]
    assert (usage["completion_tokens"], usage["estimated"]) == (2, True)
    assert usage["prompt_tokens"] == estimate("Be brief.", "What time is it?")
    told_nothing = document(Stages(llm=ScriptedLLM(events=(events,))))["usage"]
    assert (told_nothing["completion_tokens"], told_nothing["estimated"]) == (2, True)


def test_a_price_that_is_unknown_is_null() -> None:
    turn = converse(Stages()).turns[0]
    usage = turn_record(turn.trace, HEADER, {"scripted/llm": Model("unpriced")}).usage
    assert usage is not None
    assert usage.cost_usd is None


def test_the_speed_is_that_of_the_stream_without_its_reasoning() -> None:
    class Thinker(ScriptedLLM):
        async def stream(
            self, messages: Sequence[ChatMessage], tools: Sequence[ToolSpec] = ()
        ) -> AsyncGenerator[ChatEvent]:
            yield ReasoningDelta("Hm.")
            yield TextDelta("It")
            await asyncio.sleep(0.1)
            yield TextDelta(" is noon.")
            yield Usage(20, 1_003, reasoning_tokens=1_000)

    assert document(Stages(llm=Thinker()))["stages"]["llm_tokens_per_s"] == 20
    assert document(Stages(llm=ScriptedLLM(tokens_per_s=40)))["stages"]["llm_tokens_per_s"] == 40


def test_an_answer_that_came_all_at_once_has_no_speed() -> None:
    events: list[ChatEvent] = [TextDelta("Noon"), TextDelta("."), Usage(20, 2)]
    assert document(Stages(llm=ScriptedLLM(events=(events,))))["stages"]["llm_tokens_per_s"] is None


def test_starved_playout_is_told() -> None:
    assert document(Stages())["starved_ms"] == 0
    slow = Stages(llm=ScriptedLLM(reply="No. Never in my whole life."), tts=ScriptedTTS(ttfb_ms=500))
    assert document(slow)["starved_ms"] == 340
