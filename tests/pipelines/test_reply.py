import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import numpy as np
import pytest

from agent.measure.replay import VirtualOutput
from pipelines.errors import LLMError, LLMFault, StageError
from pipelines.events import ChatEvent, ChatMessage, Pcm, ReasoningDelta, TextDelta, ToolCall, ToolSpec, Usage
from pipelines.reply import Reply
from pipelines.reply_stages import ReplySettings, ReplyStages
from pipelines.tools import Tool
from tests.scripted import ScriptedLLM, ScriptedTTS, now, silence, voice
from tests.virtual_time import run

MESSAGES = [ChatMessage("system", "Be brief."), ChatMessage("user", "What time is it?")]
REFUSED = LLMError("too many requests", LLMFault.RATE_LIMITED)


@dataclass
class Spoken:
    """A reply that has run, and what came out of it; times in ms after it began."""

    reply: Reply
    output: VirtualOutput
    began_s: float
    ended_s: float

    @property
    def heard(self) -> list[str]:
        return [unit.text for unit in self.reply.playout.played]

    def ms(self, process_s: float | None) -> float | None:
        return None if process_s is None else round((process_s - self.began_s) * 1_000, 3)


def speak(
    llm: ScriptedLLM | None = None,
    tts: ScriptedTTS | None = None,
    *,
    tools: Sequence[Tool] = (),
    release_ms: float = 0,
    streamed: bool = True,
    settings: ReplySettings | None = None,
    output: VirtualOutput | None = None,
) -> Spoken:
    """Run one reply to its end, released after `release_ms`."""

    async def main() -> Spoken:
        out = output or VirtualOutput(now, now(), lambda: False)
        began_s = now()
        stages = ReplyStages(llm or ScriptedLLM(), tts or ScriptedTTS(), out, now, tools)
        settings_ = settings or ReplySettings(apology="Sorry.")
        reply = Reply("What time is it?", MESSAGES, stages, settings_, streamed=streamed)
        asyncio.get_running_loop().call_later(release_ms / 1_000, reply.release)
        await reply.run()
        return Spoken(reply, out, began_s, now())

    return run(main())


# ---------------------------------------------------------------- sentence by sentence


def test_the_marks_of_a_request_are_those_of_its_stream() -> None:
    spoken = speak(ScriptedLLM(ttft_ms=100, tokens_per_s=100))
    (request,) = spoken.reply.requests
    marks = (request.sent_s, request.first_token_s, request.first_unit_s, request.last_token_s, request.ended_s)
    assert [spoken.ms(mark) for mark in marks] == [0, 100, 150, 160, 170]
    assert request.deltas == 7
    assert request.usage == Usage(20, 7)


def test_the_marks_of_the_first_sentence_are_those_of_its_speech() -> None:
    spoken = speak()
    unit = spoken.reply.units[0]
    assert unit.text == "It is ten past three."
    assert (spoken.ms(unit.tts_started_s), spoken.ms(unit.first_pcm_s)) == (150, 180)
    playout = spoken.reply.playout
    assert [spoken.ms(mark) for mark in (playout.handed_s, playout.started_s, playout.audible_s)] == [180, 180, 190]


def test_the_second_sentence_is_synthesized_while_the_first_plays() -> None:
    spoken = speak()
    first, second = spoken.reply.units
    playing = spoken.reply.playout.played[0]
    assert second.first_pcm_s is not None
    assert first.first_pcm_s == playing.start_s
    assert second.first_pcm_s < playing.end_s


@pytest.mark.parametrize("ttfb_ms", [30, 400, 900])
def test_playout_never_starves_while_text_is_there(ttfb_ms: float) -> None:
    llm = ScriptedLLM(reply="It is a quarter past three. It is still early. It will soon be late. Good night to you.")
    spoken = speak(llm, ScriptedTTS(ttfb_ms=ttfb_ms))  # the shortest sentence takes 950 ms to say
    played = spoken.reply.playout.played
    assert len(played) == 4
    assert spoken.reply.playout.starved_ms == pytest.approx(0, abs=1e-6)
    assert [unit.start_s for unit in played[1:]] == pytest.approx([unit.end_s for unit in played[:-1]])


def test_a_gap_in_the_speech_is_counted_as_starvation() -> None:
    spoken = speak(ScriptedLLM(reply="No. Never in my whole life."), ScriptedTTS(ttfb_ms=500))
    assert spoken.reply.playout.starved_ms == pytest.approx(500 - (10 + 3 * 50))


def test_speech_is_synthesized_a_little_ahead_and_no_further() -> None:
    llm = ScriptedLLM(reply=" ".join(f"This is sentence number {word}." for word in "one two three four five".split()))
    tts = ScriptedTTS()
    speak(llm, tts, release_ms=60_000)
    assert len(tts.said) == 5

    async def held() -> list[str]:
        tts = ScriptedTTS()
        out = VirtualOutput(now, now(), lambda: False)
        reply = Reply("", MESSAGES, ReplyStages(llm, tts, out, now), ReplySettings())
        task = asyncio.create_task(reply.run())
        await asyncio.sleep(30)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        return tts.said

    assert len(run(held())) == 2  # one waits for the output, one has nowhere to go


def test_a_clause_is_enough_for_the_first_unit_where_the_settings_say_so() -> None:
    llm = ScriptedLLM(reply="It is already ten past three, my friend. Anything else?")
    assert speak(llm).heard[0] == "It is already ten past three, my friend."
    assert speak(llm, settings=ReplySettings(first_unit="clause")).heard[0] == "It is already ten past three,"


def test_speech_at_another_rate_is_resampled_for_the_output() -> None:
    spoken = speak(ScriptedLLM(reply="Yes."), ScriptedTTS(lead_ms=0, sample_rate_hz=8_000))
    (unit,) = spoken.reply.playout.played
    samples = 16 * 50 * len("Yes.")  # what the double makes, whatever its rate
    assert unit.end_s - unit.start_s == pytest.approx(samples / 8_000)


def test_text_is_spoken_as_words_and_kept_as_it_was_written() -> None:
    tts = ScriptedTTS()
    spoken = speak(ScriptedLLM(reply="It costs **$5** now."), tts)
    assert tts.said == ["It costs five dollars now."]
    assert spoken.heard == ["It costs **$5** now."]


def test_a_reply_that_is_not_streamed_waits_for_all_of_its_speech() -> None:
    spoken = speak(ScriptedLLM(reply="One. Two."), streamed=False, release_ms=5_000)
    assert spoken.heard == ["One. Two."]
    assert spoken.ms(spoken.reply.playout.handed_s) == 5_000


@pytest.mark.parametrize("streamed", [True, False])
def test_a_reply_ends_when_its_last_sample_has_sounded(streamed: bool) -> None:
    spoken = speak(streamed=streamed)
    assert spoken.ended_s == pytest.approx(spoken.reply.playout.played[-1].end_s)


# ---------------------------------------------------------------- leading silence


@dataclass
class InPieces(ScriptedTTS):
    """Speaks any text as these pieces, each 100 ms after the one before."""

    pieces: Sequence[Pcm] = ()

    async def synthesize(self, text: str) -> AsyncGenerator[Pcm]:
        for pcm in self.pieces:
            await asyncio.sleep(0.1)
            yield pcm


def sounds(spoken: Spoken) -> list[tuple[float, float]]:
    """When each stretch of sound begins and ends on the track of the output, in ms after playout began."""
    assert spoken.reply.playout.started_s is not None
    began = round((spoken.reply.playout.started_s - spoken.began_s) * 16_000)
    edges = np.flatnonzero(np.diff(np.pad(spoken.output.track()[began:], 1)))
    return [(start / 16, end / 16) for start, end in edges.reshape(-1, 2).tolist()]


@pytest.mark.parametrize(("lead_ms", "kept_ms"), [(0, 0), (5, 5), (10, 10), (15, 10), (20, 10), (500, 10)])
def test_of_the_silence_before_the_first_word_10_ms_are_kept(lead_ms: float, kept_ms: float) -> None:
    spoken = speak(ScriptedLLM(reply="Yes."), ScriptedTTS(lead_ms=lead_ms))
    assert sounds(spoken) == [(kept_ms, kept_ms + 50 * len("Yes."))]
    playout = spoken.reply.playout
    assert playout.audible_s == pytest.approx((playout.started_s or 0) + kept_ms / 1_000)


@pytest.mark.parametrize("rate_hz", [8_000, 22_050, 48_000])
def test_the_silence_is_trimmed_at_any_rate_of_the_synthesizer(rate_hz: int) -> None:
    pcm = np.concatenate([np.zeros(rate_hz // 2, np.int16), np.full(rate_hz, 8_000, np.int16)])
    spoken = speak(ScriptedLLM(reply="Yes."), InPieces(pieces=[pcm], sample_rate_hz=rate_hz))
    (unit,) = spoken.reply.playout.played
    # Resampled, the onset rings a little ahead of itself: at most one window of the audibility measure.
    assert 1_010 <= round((unit.end_s - unit.start_s) * 1_000, 3) <= 1_015


def test_the_silence_before_a_later_sentence_is_its_prosody_and_stays() -> None:
    spoken = speak(ScriptedLLM(reply="One. Two."), ScriptedTTS(lead_ms=300))
    assert sounds(spoken) == [(10, 210), (510, 710)]


def test_the_silence_before_the_speech_of_a_reply_that_is_not_streamed_is_trimmed_too() -> None:
    spoken = speak(ScriptedLLM(reply="One. Two."), ScriptedTTS(lead_ms=300), streamed=False)
    assert sounds(spoken) == [(10, 10 + 50 * len("One. Two."))]


def test_pieces_without_anything_audible_before_the_first_audible_one_are_dropped() -> None:
    spoken = speak(ScriptedLLM(reply="Yes."), InPieces(pieces=[silence(200), silence(200), voice(100), silence(200)]))
    assert sounds(spoken) == [(0, 100)]
    (unit,) = spoken.reply.units
    assert spoken.ms(unit.first_pcm_s) == spoken.ms(spoken.reply.playout.started_s) == 100 + 10 + 300


def test_silence_between_words_stays() -> None:
    spoken = speak(ScriptedLLM(reply="Yes."), InPieces(pieces=[voice(150), silence(200), voice(100)]))
    assert sounds(spoken) == [(0, 150), (350, 450)]


def test_speech_that_is_silent_throughout_is_skipped() -> None:
    spoken = speak(ScriptedLLM(reply="Yes."), InPieces(pieces=[silence(200), silence(200)]))
    assert (spoken.heard, spoken.reply.units, spoken.reply.error) == ([], [], None)


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
