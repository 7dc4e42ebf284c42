"""Reply: sentence by sentence, leading silence."""

import asyncio
from contextlib import suppress

import numpy as np
import pytest

from agent.measure.replay import VirtualOutput
from pipelines.events import Usage
from pipelines.reply import Reply
from pipelines.reply_stages import ReplySettings, ReplyStages
from tests.pipelines.reply_scenes import MESSAGES, InPieces, sounds, speak
from tests.scripted import ScriptedLLM, ScriptedTTS, now, silence, voice
from tests.virtual_time import run


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
