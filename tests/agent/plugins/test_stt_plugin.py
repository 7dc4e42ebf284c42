"""The speech-to-text plugin: events, captions, flush and end, input and streams."""

import asyncio
from types import SimpleNamespace

import pytest
from livekit import rtc
from livekit.agents import APIConnectOptions, APIError, stt

from agent import plugins
from agent.plugins.captions import CaptionEvents, from_media_start
from pipelines.errors import InputError, StageError
from pipelines.events import AudioFrame, Transcript
from tests.agent.plugins.plugin_scenes import (
    END,
    END_MS,
    FINAL,
    FLUSH,
    INTERIM,
    LEAD,
    LONG_PAUSE,
    PAUSE,
    PREFLIGHT,
    SPEECH,
    START,
    USAGE,
    Told,
    hear,
    listen,
    plugin,
    speak,
)
from tests.scripted import ScriptedSTT, now, silence, voice
from tests.virtual_time import run


# ---------------------------------------------------------------- speech to text: events
def test_an_utterance_is_told_from_its_start_to_its_end() -> None:
    told = hear(ScriptedSTT(partials=((900, "What time", False),)), LEAD, SPEECH, silence(500))
    assert told.kinds == [START, INTERIM, PREFLIGHT, FINAL, END, USAGE]
    assert told.ms(START) == [420]
    assert told.ms(PREFLIGHT) == [2_000]  # silence is noticed after 32 ms, and the final decode takes 40
    assert told.ms(FINAL) == told.ms(END) == [END_MS + 200]


def test_a_partial_that_is_complete_and_stable_is_a_preflight_while_the_user_still_speaks() -> None:
    told = hear(ScriptedSTT(partials=((900, "What time is it?", True),)), LEAD, SPEECH, silence(500))
    assert told.kinds == [START, PREFLIGHT, FINAL, END, USAGE]
    assert told.ms(PREFLIGHT)[0] < END_MS


def test_words_that_go_on_after_a_pause_are_no_preflight() -> None:
    told = hear(ScriptedSTT(("Tell me about the",)), LEAD, SPEECH, silence(2_000))
    assert told.kinds == [START, INTERIM, FINAL, END, USAGE]
    assert told.ms(FINAL) == [END_MS + 1_400]


def test_speech_that_goes_on_with_other_words_takes_the_preflight_back() -> None:
    engine = ScriptedSTT(("Yes.", "Yes and the"))
    told = hear(engine, LEAD, voice(320), silence(160), voice(320), silence(1_500))
    assert told.texts(PREFLIGHT, INTERIM, FINAL) == ["Yes.", "Yes and the", "Yes and the"]
    assert told.kinds == [START, PREFLIGHT, INTERIM, FINAL, END, USAGE]


def test_a_cough_is_an_utterance_without_words_and_without_a_final_transcript() -> None:
    told = hear(ScriptedSTT(("",)), LEAD, SPEECH, silence(1_000))
    assert told.kinds == [START, END, USAGE]


def test_an_utterance_that_cannot_be_understood_has_an_end_all_the_same() -> None:
    """AgentSession would hold the user for speaking for ever."""
    told = hear(ScriptedSTT(errors=(StageError("out of memory"),)), LEAD, SPEECH, silence(500))
    assert told.kinds == [START, END, USAGE]


def test_times_are_of_the_speech_and_not_of_the_events(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.plugins.stt.time", SimpleNamespace(time=now))
    told = hear(ScriptedSTT(), LEAD, SPEECH, silence(500))
    (start_s,) = [event.speech_start_time for _, event in told.events if event.type is START]
    (end_s,) = [event.speech_end_time for _, event in told.events if event.type is FINAL]
    assert start_s is not None
    assert end_s is not None
    assert end_s - start_s == pytest.approx(1.6, abs=0.001)


def test_usage_is_the_audio_that_was_pushed() -> None:
    told = hear(ScriptedSTT(), LEAD, SPEECH, silence(500), SPEECH, silence(500))
    seconds = [event.recognition_usage.audio_duration for _, event in told.events if event.recognition_usage]
    assert seconds == pytest.approx([2.12, 2.12], abs=0.011)


# ---------------------------------------------------------------- speech to text: captions
def transcript(text: str, *, final: bool = False) -> Transcript:
    return Transcript(text, text, final, 16_000, 0.0, 0.0)


def test_a_preflight_is_not_told_twice_for_the_same_words() -> None:
    captions = CaptionEvents("id", from_media_start)
    told = [captions.partial(transcript(text), 0) for text in ("Yes.", "Yes!", "Yes!", "Yes.")]
    assert [event and event.type for event in told] == [PREFLIGHT, INTERIM, None, INTERIM]


def test_the_final_transcript_keeps_the_text_of_a_preflight_in_the_same_words() -> None:
    """A comma more would make AgentSession begin the reply anew."""
    captions = CaptionEvents("id", from_media_start)
    captions.partial(transcript("Well, yes."), 0)
    assert captions.final(transcript("Well yes!", final=True), 0).alternatives[0].text == "Well, yes."
    assert captions.final(transcript("Well no.", final=True), 0).alternatives[0].text == "Well no."


# ---------------------------------------------------------------- speech to text: flush and end
def test_a_flush_in_a_pause_ends_the_utterance_at_once() -> None:
    told = hear(ScriptedSTT(("tell me about the",)), LEAD, SPEECH, silence(300), FLUSH, silence(1_000))
    assert told.texts(FINAL) == ["tell me about the"]
    assert told.ms(FINAL)[0] == pytest.approx(END_MS + 300, abs=20)


def test_a_flush_in_the_middle_of_speech_takes_what_was_said_and_hears_on() -> None:
    engine = ScriptedSTT(turns=(("Set a timer.",), ("For ten minutes.",)))
    told = hear(engine, LEAD, voice(800), FLUSH, voice(800), silence(600))
    assert told.texts(FINAL) == ["Set a timer.", "For ten minutes."]
    assert told.ms(FINAL)[0] == pytest.approx(1_120 + 40, abs=20)


def test_a_flush_with_nothing_said_is_answered_with_an_empty_final_transcript() -> None:
    """AgentSession waits for one, for two seconds if none comes."""
    told = hear(ScriptedSTT(), silence(300), FLUSH, silence(300))
    assert told.texts(FINAL) == [""]


def test_a_flush_at_the_onset_of_speech_takes_nothing_from_it() -> None:
    engine = ScriptedSTT()
    told = hear(engine, LEAD, voice(60), FLUSH, voice(1_540), silence(500))
    assert told.ms(START) == [420]
    assert sum(len(heard.pcm) for heard in engine.heard[0] if isinstance(heard, AudioFrame)) >= len(SPEECH)


def test_the_end_of_the_input_ends_the_utterance() -> None:
    told = hear(ScriptedSTT(), LEAD, SPEECH)
    assert told.kinds == [START, PREFLIGHT, FINAL, END, USAGE]


def test_the_end_of_a_silent_input_tells_nothing() -> None:
    assert hear(ScriptedSTT(), silence(500)).events == []


def test_a_hole_in_the_audio_ends_the_utterance_and_the_next_one_is_heard() -> None:
    engine = ScriptedSTT(turns=(("Set a timer",), ("What time is it?",)))
    told = hear(engine, LEAD, voice(800), LONG_PAUSE, LEAD, SPEECH, silence(500))
    assert told.texts(FINAL) == ["Set a timer", "What time is it?"]
    assert told.ms(END)[-1] == 1_120 + 5_000 + END_MS + 200


def test_soon_after_a_short_hole_the_time_of_speech_is_known_again() -> None:
    async def main() -> float:
        shared = plugin(ScriptedSTT())
        utterances: list[plugins.HeardUtterance] = []
        shared.on("utterance_ended", utterances.append)
        began_s = now()
        await listen(shared.stream(), silence(1_000), PAUSE, silence(3_000), SPEECH, silence(500))
        return utterances[0].ended.speech_end_s - began_s

    assert run(main()) == pytest.approx(1.0 + 0.7 + 3.0 + 1.6, abs=0.032)


# ---------------------------------------------------------------- speech to text: input and streams
@pytest.mark.parametrize(("rate_hz", "channels"), [(48_000, 1), (48_000, 2), (32_000, 1)])
def test_audio_of_any_rate_is_recognised_without_a_wait(rate_hz: int, channels: int) -> None:
    engine = ScriptedSTT()
    told = hear(engine, LEAD, SPEECH, silence(500), rate_hz=rate_hz, channels=channels)
    assert told.kinds == [START, PREFLIGHT, FINAL, END, USAGE]
    assert told.ms(FINAL)[0] <= END_MS + 200 + 20
    samples = sum(len(heard.pcm) for heard in engine.heard[0] if isinstance(heard, AudioFrame))
    assert samples >= len(SPEECH)


def test_two_streams_of_one_object_are_heard_at_once() -> None:
    async def main() -> tuple[Told, Told]:
        shared = plugin(ScriptedSTT(turns=(("Yes.",), ("No.",))))
        async with asyncio.TaskGroup() as tasks:
            first = tasks.create_task(listen(shared.stream(), LEAD, SPEECH, silence(500)))
            second = tasks.create_task(listen(shared.stream(), LEAD, silence(100), SPEECH, silence(500)))
        return first.result(), second.result()

    first, second = run(main())
    assert (first.texts(FINAL), second.texts(FINAL)) == (["Yes."], ["No."])


def test_closing_the_object_closes_its_streams_in_the_middle_of_a_word() -> None:
    async def main() -> None:
        shared = plugin(ScriptedSTT())
        stream = shared.stream()
        await speak(stream, LEAD, voice(500))
        await shared.aclose()
        with pytest.raises(RuntimeError, match="input ended"):
            stream.push_frame(rtc.AudioFrame(bytes(320), 16_000, 1, 160))

    run(main())  # which fails where a task is left


def test_a_fault_of_the_engine_is_told_and_the_next_utterance_is_heard() -> None:
    async def main() -> tuple[Told, list[stt.STTError]]:
        shared = plugin(ScriptedSTT(turns=(("No.",), ("Yes.",)), errors=(StageError("out of memory"),)))
        errors: list[stt.STTError] = []
        shared.on("error", errors.append)
        return await listen(shared.stream(), LEAD, SPEECH, silence(800), SPEECH, silence(500)), errors

    told, errors = run(main())
    assert told.texts(FINAL) == ["Yes."]
    (error,) = errors
    assert error.recoverable
    assert isinstance(error.error, APIError)
    assert str(error.error) == "out of memory"


def test_recognize_takes_the_whole_buffer() -> None:
    async def main() -> stt.SpeechEvent:
        return await plugin(ScriptedSTT()).recognize(rtc.AudioFrame(SPEECH.tobytes(), 16_000, 1, len(SPEECH)))

    event = run(main())
    assert event.type is FINAL
    assert event.alternatives[0].text == "What time is it?"
    assert event.alternatives[0].language == "en"


def test_recognize_tells_of_a_fault_as_livekit_does() -> None:
    async def main() -> None:
        once = APIConnectOptions(max_retry=0)
        await plugin(ScriptedSTT(errors=(StageError("out of memory"),))).recognize(frame, conn_options=once)

    frame = rtc.AudioFrame(SPEECH.tobytes(), 16_000, 1, len(SPEECH))
    with pytest.raises(APIError, match="out of memory"):
        run(main())


def test_another_language_is_refused() -> None:
    async def main() -> None:
        plugin(ScriptedSTT()).stream(language="fr")

    with pytest.raises(InputError, match="language 'fr' is not 'en'"):
        run(main())
