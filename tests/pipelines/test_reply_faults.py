"""Replies with nothing to say, faults and tools."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest

from agent.measure.replay import VirtualOutput
from pipelines.errors import LLMError, StageError
from pipelines.events import ChatEvent, ChatMessage, Pcm, ReasoningDelta, TextDelta, ToolCall, ToolSpec, Usage
from pipelines.reply_stages import ReplySettings
from pipelines.tools import Tool
from tests.pipelines.reply_scenes import MESSAGES, REFUSED, InPieces, sounds, speak
from tests.scripted import ScriptedLLM, ScriptedTTS, now, voice


# ---------------------------------------------------------------- nothing to say
@pytest.mark.parametrize("reply", ["...", "?", "...\n?", "🙂"])
@pytest.mark.parametrize("streamed", [True, False])
def test_a_reply_without_a_word_is_skipped_and_not_waited_for(reply: str, streamed: bool) -> None:
    tts = ScriptedTTS()
    spoken = speak(ScriptedLLM(reply=reply), tts, streamed=streamed)
    assert tts.said == []
    assert spoken.ended_s - spoken.began_s < 0.2
    assert spoken.reply.error is None


def test_text_that_the_synthesizer_has_no_sound_for_is_skipped() -> None:
    spoken = speak(ScriptedLLM(reply="Hm hm. Yes."), ScriptedTTS(silent=("Hm hm.",)))
    assert spoken.heard == ["Yes."]
    assert [unit.text for unit in spoken.reply.units] == ["Yes."]


def test_a_piece_without_samples_is_no_speech() -> None:
    class EmptyFirst(ScriptedTTS):
        async def synthesize(self, text: str) -> AsyncGenerator[Pcm]:
            yield np.zeros(0, np.int16)
            await asyncio.sleep(0.1)
            yield voice(100)

    spoken = speak(ScriptedLLM(reply="Yes."), EmptyFirst())
    assert spoken.ms(spoken.reply.units[0].first_pcm_s) == 100 + 10 + 100


@pytest.mark.parametrize("events", [[], [TextDelta(" ")], [ReasoningDelta("Hm.")], [Usage(20, 0)]])
def test_an_answer_without_text_is_a_fault_of_the_llm(events: list[ChatEvent]) -> None:
    spoken = speak(ScriptedLLM(events=(events,)))
    assert str(spoken.reply.error) == "LLM 'scripted/llm' sent no answer text"
    assert spoken.heard == ["Sorry."]


def test_reasoning_is_neither_spoken_nor_a_first_token() -> None:
    class Thinker(ScriptedLLM):
        async def stream(
            self, messages: Sequence[ChatMessage], tools: Sequence[ToolSpec] = ()
        ) -> AsyncGenerator[ChatEvent]:
            yield ReasoningDelta("The user asks for the time.")
            await asyncio.sleep(0.5)
            yield TextDelta("Noon.")

    spoken = speak(Thinker())
    assert spoken.heard == ["Noon."]
    assert spoken.ms(spoken.reply.requests[0].first_token_s) == 500
    assert spoken.reply.text == "Noon."


# ---------------------------------------------------------------- faults
@pytest.mark.parametrize("streamed", [True, False])
def test_a_fault_before_the_first_token_is_apologised_for(streamed: bool) -> None:
    spoken = speak(ScriptedLLM(errors=(REFUSED,)), streamed=streamed)
    assert spoken.reply.error is REFUSED
    assert spoken.heard == ["Sorry."]


def test_a_fault_in_mid_answer_is_apologised_for_after_what_was_whole() -> None:
    spoken = speak(ScriptedLLM(errors=(REFUSED,), words_before_error=6))
    assert spoken.reply.error is REFUSED
    assert spoken.heard == ["It is ten past three.", "Sorry."]


def test_an_unforeseen_fault_names_the_model() -> None:
    spoken = speak(ScriptedLLM(errors=(KeyError("choices"),)))
    assert str(spoken.reply.error) == "LLM 'scripted/llm' failed: KeyError('choices')"


def test_a_fault_of_the_synthesizer_ends_the_answer_in_silence() -> None:
    spoken = speak(tts=ScriptedTTS(errors=(None, StageError("hoarse"))))
    assert str(spoken.reply.error) == "hoarse"
    assert spoken.heard == ["It is ten past three."]


def test_a_synthesizer_that_hangs_fails_the_answer_in_time() -> None:
    tts = ScriptedTTS(ttfb_ms=0, hanging=("Anything else?",))
    spoken = speak(tts=tts, settings=ReplySettings(tts_timeout_s=3))
    assert isinstance(spoken.reply.error, StageError)
    assert str(spoken.reply.error) == "no speech within 3 s (reply.tts_timeout_s)"
    assert spoken.heard == ["It is ten past three."]
    assert tts.cancelled == 1
    asked_ms = 160  # the last word is written
    assert spoken.ms(spoken.ended_s) == asked_ms + 3_000


def test_a_synthesizer_is_given_its_time_for_each_piece_anew() -> None:
    spoken = speak(
        ScriptedLLM(reply="Yes."), InPieces(pieces=[voice(50)] * 5), settings=ReplySettings(tts_timeout_s=0.15)
    )
    assert spoken.reply.error is None
    assert len(sounds(spoken)) == 5


def test_an_output_that_is_full_costs_the_synthesizer_no_time() -> None:
    """More speech is ready than the output queues: what waits then is not the synthesizer."""
    llm = ScriptedLLM(reply=" ".join(["This is a long sentence."] * 5))
    spoken = speak(llm, settings=ReplySettings(tts_timeout_s=0.1))
    assert spoken.reply.error is None
    assert len(spoken.heard) == 5


def test_a_fault_of_the_synthesizer_stops_the_request() -> None:
    llm = ScriptedLLM(reply="One. " * 500)
    spoken = speak(llm, ScriptedTTS(errors=(StageError("hoarse"),)))
    assert llm.cancelled == 1
    assert spoken.ended_s - spoken.began_s < 1


def test_an_llm_that_fails_after_the_synthesizer_did_leaves_the_first_fault() -> None:
    """The apology has nobody to speak it; it must not become a fault of its own."""
    llm = ScriptedLLM(reply="One. Two three", tokens_per_s=5, errors=(REFUSED,), words_before_error=2)
    assert speak(llm).reply.error is REFUSED
    llm.requests.clear()
    spoken = speak(llm, ScriptedTTS(errors=(StageError("hoarse"),)))
    assert str(spoken.reply.error) == "hoarse"
    assert spoken.heard == []


def test_a_fault_of_the_output_is_kept_and_ends_the_answer() -> None:
    class Unplugged(VirtualOutput):
        async def play(self, pcm: Pcm) -> float:
            raise OSError("no such device")

    llm = ScriptedLLM(reply="One. " * 500)
    spoken = speak(llm, output=Unplugged(lambda: 0.0, 0.0, lambda: True))
    assert str(spoken.reply.error) == "audio output failed: OSError('no such device')"
    assert llm.cancelled == 1


# ---------------------------------------------------------------- tools
@dataclass
class Bell:
    """A tool that notes when it rang."""

    rang_s: list[float] = field(default_factory=list)

    async def ring(self, times: int = 1) -> str:
        if times < 1:
            raise ValueError("ring at least once")
        self.rang_s.append(now())
        return f"rang {times}"

    @property
    def tool(self) -> Tool:
        return Tool(ToolSpec("ring", "Ring the bell.", {"type": "object"}), self.ring)


def calls(name: str = "ring", arguments: str = "{}") -> list[ChatEvent]:
    return [ToolCall("call-1", name, arguments), Usage(20, 5)]


def test_the_result_of_a_tool_is_told_to_the_model_which_then_answers() -> None:
    llm, bell = ScriptedLLM(events=(calls(arguments='{"times": 2}'),), reply="It rang."), Bell()
    spoken = speak(llm, tools=[bell.tool])
    call = ToolCall("call-1", "ring", '{"times": 2}')
    assert llm.requests[1] == [
        *MESSAGES,
        ChatMessage("assistant", "", (call,)),
        ChatMessage("tool", "rang 2", tool_call_id="call-1"),
    ]
    assert spoken.heard == ["It rang."]
    assert spoken.reply.used_tools


@pytest.mark.parametrize(
    ("name", "arguments", "told"),
    [
        ("ring", '{"times": 0}', "error: ring at least once"),
        ("sing", "{}", "error: there is no tool 'sing'; the tools are: ring"),
        ("ring", "{", "error: the arguments are not JSON"),
    ],
)
def test_a_call_that_goes_wrong_is_told_to_the_model_and_the_answer_goes_on(
    name: str, arguments: str, told: str
) -> None:
    llm = ScriptedLLM(events=(calls(name, arguments),), reply="I could not.")
    spoken = speak(llm, tools=[Bell().tool])
    assert llm.requests[1][-1].text.startswith(told)
    assert spoken.heard == ["I could not."]
    assert spoken.reply.error is None


def test_a_tool_waits_for_the_release() -> None:
    bell = Bell()
    spoken = speak(ScriptedLLM(events=(calls(),)), tools=[bell.tool], release_ms=700)
    assert [spoken.ms(rang) for rang in bell.rang_s] == [700]


def test_several_calls_of_one_answer_run_in_order() -> None:
    llm = ScriptedLLM(events=([ToolCall("a", "ring", '{"times": 1}'), ToolCall("b", "ring", '{"times": 2}')],))
    speak(llm, tools=[Bell().tool])
    results = [(message.tool_call_id, message.text) for message in llm.requests[1] if message.role == "tool"]
    assert results == [("a", "rang 1"), ("b", "rang 2")]


def test_a_model_that_calls_tools_for_ever_is_stopped() -> None:
    llm, bell = ScriptedLLM(events=tuple(calls() for _ in range(50))), Bell()
    spoken = speak(llm, tools=[bell.tool])
    assert len(llm.requests) == 4
    assert len(bell.rang_s) == 3  # nobody would hear of what the last one did
    assert isinstance(spoken.reply.error, LLMError)
    assert "still calls tools" in str(spoken.reply.error)
    assert spoken.heard == ["Sorry."]


def test_the_texts_of_several_requests_are_kept_apart() -> None:
    llm = ScriptedLLM(events=([TextDelta("One moment."), *calls()],), reply="It rang.")
    assert speak(llm, tools=[Bell().tool]).reply.text == "One moment. It rang."
