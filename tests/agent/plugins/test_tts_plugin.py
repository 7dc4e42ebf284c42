"""The text-to-speech plugin, and the stopwatch at the output."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pytest
from livekit import rtc
from livekit.agents import tts

from agent import plugins
from agent.room.agent_session.playout_tap import PlayoutTap, Tapped
from pipelines.errors import StageError
from tests.agent.plugins.plugin_scenes import (
    plugin,
)
from tests.agent.room.livekit_io import Loudspeaker
from tests.scripted import ScriptedSTT, ScriptedTTS, now, silence, voice
from tests.virtual_time import run


# ---------------------------------------------------------------- text to speech
@dataclass
class Spoken:
    frames: list[tuple[float, rtc.AudioFrame]] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        return sum(frame.duration for _, frame in self.frames)


Push = Callable[[tts.SynthesizeStream], None]


def say(engine: ScriptedTTS, *pieces: tuple[float, str]) -> Spoken:
    """Text as an LLM writes it: (ms, piece)."""

    async def main() -> Spoken:
        spoken, began_s = Spoken(), now()
        stream = plugins.TTS(engine).stream()

        async def write() -> None:
            for at_ms, piece in pieces:
                await asyncio.sleep(began_s + at_ms / 1_000 - now())
                stream.push_text(piece)
            stream.end_input()

        async with stream, asyncio.TaskGroup() as tasks:
            tasks.create_task(write())
            async for event in stream:
                spoken.frames.append((round((now() - began_s) * 1_000, 3), event.frame))
        return spoken

    return run(main())


def test_a_sentence_is_spoken_as_soon_as_its_end_is_certain() -> None:
    engine = ScriptedTTS(ttfb_ms=30)
    spoken = say(engine, (0, "It is ten past three."), (100, " A"), (900, "nything else?"))
    assert engine.said == ["It is ten past three.", "Anything else?"]
    assert spoken.frames[0][0] == 130


def test_numbers_and_markdown_are_put_into_words() -> None:
    engine = ScriptedTTS()
    say(engine, (0, "That is **12 %**."))
    assert engine.said == ["That is twelve percent."]


def test_the_silence_before_the_first_word_is_cut_and_nothing_else() -> None:
    engine = ScriptedTTS(lead_ms=200, letter_ms=50)
    spoken = say(engine, (0, "Yes. No."))
    assert spoken.seconds == pytest.approx(0.01 + 4 * 0.05 + 0.2 + 3 * 0.05, abs=0.011)


def test_what_has_no_sound_is_a_moment_of_silence_and_no_fault() -> None:
    engine = ScriptedTTS()
    spoken = say(engine, (0, "🙂"))
    assert engine.said == []
    assert 0 < spoken.seconds < 0.05


def test_a_fault_of_the_voice_is_tried_again() -> None:
    engine = ScriptedTTS(errors=(StageError("out of memory"), None))
    assert say(engine, (0, "Yes.")).seconds > 0.1
    assert engine.said == ["Yes.", "Yes."]


def test_a_stream_closed_early_lets_the_voice_go() -> None:
    async def main() -> ScriptedTTS:
        engine = ScriptedTTS(ttfb_ms=1_000)
        stream = plugins.TTS(engine).stream()
        stream.push_text("Yes. No. ")
        await asyncio.sleep(0.1)
        await stream.aclose()
        return engine

    engine = run(main())
    assert engine.cancelled == 1
    assert engine.said == ["Yes."]


def test_a_whole_text_is_spoken_too() -> None:
    async def main() -> rtc.AudioFrame:
        async with plugins.TTS(engine).synthesize("It is 3. Anything else?") as stream:
            return await stream.collect()

    engine = ScriptedTTS(sample_rate_hz=22_050)
    frame = run(main())
    assert frame.sample_rate == 22_050
    assert len(engine.said) == 2


def test_what_the_plugins_can_do_is_declared() -> None:
    heard, spoken = plugin(ScriptedSTT()).capabilities, plugins.TTS(ScriptedTTS()).capabilities
    assert heard.streaming
    assert heard.interim_results
    assert heard.manual_flush
    assert not heard.diarization
    assert spoken.streaming
    assert not spoken.aligned_transcript


# ---------------------------------------------------------------- the stopwatch at the output
def test_a_pause_is_noted_where_the_answer_goes_on_and_cuts_it_where_it_does_not() -> None:
    async def main() -> None:
        tapped, loudspeaker = Tapped(), Loudspeaker()
        tap = PlayoutTap(loudspeaker, now, lambda: tapped)
        began_s = now()
        pcm = np.concatenate([silence(200), voice(1_800)])
        await tap.capture_frame(rtc.AudioFrame(pcm.tobytes(), 16_000, 1, len(pcm)))
        tap.pause()
        await asyncio.sleep(0.3)
        tap.pause()
        tap.resume()
        assert tapped.pauses == [(began_s, began_s + 0.3)]
        await asyncio.sleep(0.5)
        tap.pause()
        await asyncio.sleep(0.1)
        tap.clear_buffer()
        tap.resume()
        assert len(tapped.pauses) == 1
        assert tapped.playout.audible_s == pytest.approx(began_s + 0.2, abs=0.005)
        assert tapped.playout.cut_s == began_s + 0.8
        assert loudspeaker.cut == 1

    run(main())
