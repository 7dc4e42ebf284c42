from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import replace

import pytest

from agent.measure.replay import Replayed, ReplayedTurn
from pipelines.errors import LLMError, LLMFault, StageError
from pipelines.events import Heard, SpeechStopped, TextDelta, ToolCall, ToolSpec, Transcript, Usage
from pipelines.modes import Mode, Outcome
from pipelines.stopwatch.timeline import Stage
from pipelines.tools import Tool
from pipelines.turn import Draft, Turn
from tests.scripted import (
    REPLY,
    ScriptedLLM,
    ScriptedSTT,
    ScriptedTTS,
    Stages,
    converse,
    now,
    question,
    recording,
    silence,
    voice,
)

ENDPOINT, STT, TTFT, SENTENCE = Stage.ENDPOINT, Stage.STT, Stage.LLM_TTFT, Stage.LLM_SENTENCE
TTS, OUTPUT, LEADING = Stage.TTS, Stage.OUTPUT, Stage.LEADING_SILENCE
PARTIAL = ((1_000, "What time is it?", True),)
"""Stable long before the end of the speech."""


def only(replayed: Replayed) -> ReplayedTurn:
    (turn,) = replayed.turns
    return turn


def took(stages: Stages) -> Turn:
    return only(converse(stages)).finished.turn


def path(stages: Stages) -> list[tuple[Stage, float]]:
    """The critical path of one question, as stages with their ms; a stage that shows nothing is left out."""
    trace = only(converse(stages)).trace
    assert trace.turn_latency_ms == pytest.approx(sum(segment.ms for segment in trace.path))
    return [(segment.stage, round(segment.ms, 3)) for segment in trace.path if round(segment.ms, 3)]


# ---------------------------------------------------------------- the three modes


def test_sequential_waits_for_the_end_the_words_the_whole_reply_and_the_whole_speech() -> None:
    whole_reply_ms = 7 * 10  # words
    assert path(Stages(Mode.SEQUENTIAL)) == [
        (ENDPOINT, 600),
        (STT, 40),
        (TTFT, 100),
        (SENTENCE, whole_reply_ms),
        (TTS, 30),
        (LEADING, 10),
    ]


def test_sequential_speaks_the_whole_reply_as_one() -> None:
    stages = Stages(Mode.SEQUENTIAL)
    converse(stages)
    assert stages.tts.said == [REPLY]


def test_streaming_starts_at_the_end_of_the_turn_and_speaks_after_the_first_sentence() -> None:
    first_sentence_ms = 5 * 10  # words, the last of which shows that the sentence is over
    assert path(Stages(Mode.STREAMING)) == [
        (ENDPOINT, 200),
        (TTFT, 100),
        (SENTENCE, first_sentence_ms),
        (TTS, 30),
        (LEADING, 10),
    ]


def test_streaming_waits_for_a_late_transcript() -> None:
    noticed_ms = 40  # then the decode begins, and it is over after the 200 ms of silence that end the turn
    assert path(Stages(Mode.STREAMING, stt=ScriptedSTT(final_ms=300)))[:2] == [(ENDPOINT, noticed_ms), (STT, 300)]


def test_speculation_on_the_final_transcript_hides_behind_the_endpointing_delay() -> None:
    noticed_ms = 40  # a silent window, seen at the end of a frame
    assert path(Stages()) == [(ENDPOINT, noticed_ms), (STT, 40), (TTFT, 100), (SENTENCE, 50), (TTS, 30), (LEADING, 10)]


def test_speculation_on_a_stable_partial_leaves_nothing_but_the_endpointing_delay() -> None:
    assert path(Stages(stt=ScriptedSTT(partials=PARTIAL))) == [(ENDPOINT, 200), (LEADING, 10)]


def test_a_slow_llm_asked_while_the_user_speaks_is_on_the_critical_path_from_the_end_of_speech_on() -> None:
    stages = Stages(stt=ScriptedSTT(partials=PARTIAL), llm=ScriptedLLM(ttft_ms=1_500))
    assert [stage for stage, _ in path(stages)] == [TTFT, SENTENCE, TTS, LEADING]


@pytest.mark.parametrize("ttft_ms", [0, 20, 500])
@pytest.mark.parametrize("mode", list(Mode))
def test_the_latency_grows_with_the_llm_but_for_what_is_hidden(mode: Mode, ttft_ms: float) -> None:
    stages = Stages(mode, llm=ScriptedLLM(ttft_ms=ttft_ms))
    without_llm_ms = {Mode.SEQUENTIAL: 750, Mode.STREAMING: 290, Mode.SPECULATIVE: 170}[mode]
    # Until the commit 200 ms after the speech, a speculated answer is silent; 10 ms of it are its leading silence.
    expected_ms = max(without_llm_ms + ttft_ms, 210 if mode is Mode.SPECULATIVE else 0)
    assert only(converse(stages)).trace.turn_latency_ms == pytest.approx(expected_ms)


@pytest.mark.parametrize("mode", list(Mode))
def test_no_words_are_no_turn(mode: Mode) -> None:
    stages = Stages(mode, stt=ScriptedSTT(("...",)))
    turn = only(converse(stages))
    assert turn.finished.outcome is Outcome.NO_SPEECH
    assert stages.llm.requests == []


# ---------------------------------------------------------------- speculation: hits and discards


def test_a_guess_that_fits_is_the_answer() -> None:
    stages = Stages()
    turn = took(stages)
    assert turn.hit
    assert turn.answer is turn.drafts[0]
    assert len(stages.llm.requests) == 1


def test_a_stable_partial_is_asked_while_the_user_still_speaks() -> None:
    turn = took(Stages(stt=ScriptedSTT(partials=PARTIAL)))
    assert turn.ended is not None
    assert turn.drafts[0].reply.requests[0].sent_s < turn.ended.speech_end_s
    assert turn.hit


@pytest.mark.parametrize(
    ("text", "stable"),
    [
        ("What time is it?", False),
        ("What time is it", True),
        ("What time is it in the", True),
        ("...", True),
    ],
)
def test_a_partial_that_may_go_on_is_not_speculated_on(text: str, stable: bool) -> None:
    stages = Stages(stt=ScriptedSTT(partials=((1_000, text, stable),)))
    turn = took(stages)
    assert turn.drafts == [turn.answer]
    assert turn.drafts[0].transcript.is_final


def test_a_dangling_pause_is_not_speculated_on() -> None:
    stages = Stages(stt=ScriptedSTT(("Tell me about the", "Tell me about the sea.")))
    turn = only(converse(stages, question(voice(640), silence(320), voice(640)))).finished.turn
    assert [guess.transcript.text for guess in turn.drafts] == ["Tell me about the sea."]


@pytest.mark.parametrize("early", ["what time is it?", "What time, is it?", "What time is it!", "WHAT TIME IS IT."])
def test_case_and_punctuation_do_not_discard(early: str) -> None:
    stages = Stages(stt=ScriptedSTT(partials=((1_000, early, True),)))
    assert took(stages).hit
    assert len(stages.llm.requests) == 1


def test_other_words_discard_the_guess_and_ask_again() -> None:
    stages = Stages(stt=ScriptedSTT(partials=((1_000, "What time was it?", True),)))
    turn = took(stages)
    wrong, right = turn.drafts
    assert turn.answer is right
    assert wrong.discarded_s is not None
    assert [messages[-1].text for messages in stages.llm.requests] == ["What time was it?", "What time is it?"]


def test_discarding_cancels_the_request() -> None:
    partials = ((1_000, "What time was it?", True), (1_100, "What time is it in", False))
    stages = Stages(stt=ScriptedSTT(partials=partials), llm=ScriptedLLM(ttft_ms=400))
    converse(stages)
    assert (len(stages.llm.requests), stages.llm.cancelled) == (2, 1)
    assert stages.tts.said == ["It is ten past three.", "Anything else?"]


def test_discarding_cancels_the_synthesis() -> None:
    partials = ((1_000, "What time was it?", True), (1_200, "What time is it in", False))
    stages = Stages(stt=ScriptedSTT(partials=partials), tts=ScriptedTTS(ttfb_ms=400))
    converse(stages)
    assert stages.tts.cancelled == 1


def test_speech_that_goes_on_with_other_words_discards_what_was_guessed_in_the_pause() -> None:
    stages = Stages(stt=ScriptedSTT(("What time is it?", "What time is it in Tokyo?")))
    replayed = converse(stages, question(voice(640), silence(160), voice(640)))
    turn = only(replayed).finished.turn
    assert [(guess.transcript.text, guess is turn.answer) for guess in turn.drafts] == [
        ("What time is it?", False),
        ("What time is it in Tokyo?", True),
    ]
    assert not only(replayed).false_cut_in


def test_a_guess_that_the_user_never_finished_is_discarded_with_the_turn() -> None:
    stages = Stages(stt=ScriptedSTT(partials=PARTIAL, errors=(StageError("deaf"),)))
    turn = took(stages)
    assert turn.answer is None
    assert turn.drafts[0].discarded_s is not None


class DeafAtTheSecondPause(ScriptedSTT):
    """A recogniser that understands the first words, and breaks at those with which the user goes on."""

    async def transcribe(self, heard: AsyncIterator[Heard]) -> AsyncGenerator[Transcript]:
        pauses = 0
        async for event in heard:
            if isinstance(event, SpeechStopped):
                pauses += 1
                if pauses == 2:
                    raise StageError("deaf")
                yield Transcript("What time is it?", "What time is it?", True, event.at_samples, now(), now())


@pytest.mark.parametrize("mode", [Mode.STREAMING, Mode.SPECULATIVE])
def test_an_answer_held_back_for_words_that_were_not_understood_is_discarded(mode: Mode) -> None:
    stages = Stages(mode, stt=DeafAtTheSecondPause(), llm=ScriptedLLM(ttft_ms=3_000))
    goes_on = recording(voice(1_000), silence(1_200), voice(1_000), silence(4_000))
    replayed = only(converse(stages, goes_on))
    turn = replayed.finished.turn
    assert replayed.finished.outcome is Outcome.FAILED
    assert str(replayed.finished.error) == "deaf"
    assert (turn.answer, len(turn.resumed_s)) == (None, 1)
    assert stages.llm.cancelled == 1
    assert replayed.finished.heard == ""


@pytest.mark.parametrize("mode", [Mode.SEQUENTIAL, Mode.STREAMING])
def test_the_other_modes_never_guess(mode: Mode) -> None:
    turn = took(Stages(mode, stt=ScriptedSTT(partials=PARTIAL)))
    assert turn.drafts == []
    assert not turn.hit


# ---------------------------------------------------------------- speculation: silent, harmless, asked again


def test_nothing_is_audible_before_the_commit() -> None:
    replayed = converse(Stages(stt=ScriptedSTT(partials=PARTIAL)))
    turn = only(replayed).finished.turn
    assert turn.committed_s is not None
    assert turn.drafts[0].reply.units[0].first_pcm_s is not None
    assert turn.drafts[0].reply.units[0].first_pcm_s < turn.committed_s - 0.5  # ready long before
    committed = round((turn.committed_s - 1_000) * 16_000)
    assert not replayed.agent[:committed].any()
    assert replayed.agent[committed:].any()


def test_a_discarded_guess_is_never_heard() -> None:
    stages = Stages(
        stt=ScriptedSTT(partials=((600, "What time was it?", True),)),
        llm=ScriptedLLM(replies=("It was a long time ago.", "It is noon.")),
    )
    finished = only(converse(stages)).finished
    assert stages.tts.said == ["It was a long time ago.", "It is noon."]
    assert finished.heard == "It is noon."


@pytest.mark.parametrize("guessed", [True, False])
def test_a_tool_runs_only_after_the_commit(guessed: bool) -> None:
    ran_s: list[float] = []

    async def ring() -> str:
        ran_s.append(now())
        return "rung"

    llm = ScriptedLLM(events=([ToolCall("1", "ring", "{}"), Usage(20, 5)],))
    stages = Stages(llm=llm, tools=[Tool(ToolSpec("ring", "Ring.", {"type": "object"}), ring)])
    stages.stt = ScriptedSTT(partials=PARTIAL if guessed else ())
    turn = took(stages)
    assert turn.committed_s is not None
    assert turn.answer is not None
    assert turn.answer.reply.requests[0].sent_s < turn.committed_s
    assert ran_s == [pytest.approx(turn.committed_s, abs=0.1)]
    assert ran_s[0] >= turn.committed_s


def test_a_tool_of_a_discarded_guess_never_runs() -> None:
    ran: list[str] = []

    async def ring() -> str:
        ran.append("rung")
        return "rung"

    llm = ScriptedLLM(events=([ToolCall("1", "ring", "{}")],))
    stt = ScriptedSTT(partials=((600, "Ring the bell!", True),))
    converse(Stages(stt=stt, llm=llm, tools=[Tool(ToolSpec("ring", "Ring.", {"type": "object"}), ring)]))
    assert ran == []


@pytest.mark.parametrize("words_before_error", [0, 2])
def test_a_guess_that_failed_is_asked_again_at_the_commit(words_before_error: int) -> None:
    errors = (LLMError("busy", LLMFault.RATE_LIMITED),)
    llm = ScriptedLLM(ttft_ms=50, errors=errors, words_before_error=words_before_error)
    stages = Stages(llm=llm)
    finished = only(converse(stages)).finished
    assert finished.outcome is Outcome.COMPLETED
    assert finished.heard == REPLY
    assert len(llm.requests) == 2
    assert not finished.turn.hit


def test_a_guess_that_failed_is_not_asked_again_before_the_commit() -> None:
    """A provider in trouble gets no burst of requests, however many transcripts say the same."""
    partials = tuple((at_ms, "What time is it?", True) for at_ms in range(600, 1_600, 100))
    llm = ScriptedLLM(ttft_ms=20, errors=(LLMError("busy", LLMFault.RATE_LIMITED),))
    turn = took(Stages(stt=ScriptedSTT(partials=partials), llm=llm))
    assert len(turn.transcripts) == 11
    assert len(llm.requests) == 2
    assert turn.answer is not None
    assert turn.answer.reply.requests[0].sent_s == turn.committed_s
    assert turn.drafts[0].discarded_s == turn.committed_s


def test_other_words_are_asked_at_once_also_after_a_guess_that_failed() -> None:
    llm = ScriptedLLM(ttft_ms=20, errors=(LLMError("busy", LLMFault.RATE_LIMITED),))
    turn = took(Stages(stt=ScriptedSTT(partials=((600, "What time was it?", True),)), llm=llm))
    assert len(llm.requests) == 2
    assert turn.hit


def test_a_guess_whose_speech_failed_is_asked_again() -> None:
    stages = Stages(stt=ScriptedSTT(partials=PARTIAL), tts=ScriptedTTS(errors=(StageError("hoarse"),)))
    finished = only(converse(stages)).finished
    assert (finished.outcome, finished.heard) == (Outcome.COMPLETED, REPLY)


def test_guesses_are_compared_by_identity() -> None:
    """Two guesses on the same words are two requests in the ledger."""
    turn = took(Stages())
    guess = turn.drafts[0]
    assert replace(guess) != guess
    assert isinstance(guess, Draft)


def test_text_that_came_before_a_tool_call_is_spoken_first() -> None:
    async def ring() -> str:
        return "rung"

    llm = ScriptedLLM(
        events=([TextDelta("One moment. "), ToolCall("1", "ring", "{}")],),
        reply="It rang.",
    )
    finished = only(
        converse(Stages(llm=llm, tools=[Tool(ToolSpec("ring", "Ring.", {"type": "object"}), ring)]))
    ).finished
    assert finished.outcome is Outcome.TOOL
    assert finished.heard == "One moment. It rang."
