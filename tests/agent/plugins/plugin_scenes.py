"""What the tests of the plugins share."""

import asyncio
from dataclasses import dataclass, field

import numpy as np
from livekit import rtc
from livekit.agents import stt

from agent import plugins
from pipelines.events import SAMPLE_RATE_HZ, Pcm
from tests.scripted import ENDPOINTING, ScriptedSTT, loudness, now, silence, voice
from tests.virtual_time import run

LEAD, SPEECH = silence(320), voice(1_600)
END_MS = 1_920
START, INTERIM, PREFLIGHT, FINAL, END, USAGE = (
    stt.SpeechEventType.START_OF_SPEECH,
    stt.SpeechEventType.INTERIM_TRANSCRIPT,
    stt.SpeechEventType.PREFLIGHT_TRANSCRIPT,
    stt.SpeechEventType.FINAL_TRANSCRIPT,
    stt.SpeechEventType.END_OF_SPEECH,
    stt.SpeechEventType.RECOGNITION_USAGE,
)


def plugin(engine: ScriptedSTT) -> plugins.STT:
    return plugins.STT(engine, endpointing=ENDPOINTING, turn_detector=None, new_probability=lambda: loudness)


@dataclass
class Told:
    """A stream's events, each with the ms since its input began at which it came."""

    events: list[tuple[float, stt.SpeechEvent]] = field(default_factory=list)

    @property
    def kinds(self) -> list[stt.SpeechEventType]:
        return [event.type for _, event in self.events]

    def texts(self, *kinds: stt.SpeechEventType) -> list[str]:
        return [event.alternatives[0].text for _, event in self.events if event.type in kinds]

    def ms(self, kind: stt.SpeechEventType) -> list[float]:
        return [ms for ms, event in self.events if event.type is kind]


FLUSH, PAUSE, LONG_PAUSE = "flush", "nothing for 0.7 s", "nothing for 5 s"
Part = Pcm | str


async def speak(stream: stt.RecognizeStream, *parts: Part, rate_hz: int = SAMPLE_RATE_HZ, channels: int = 1) -> None:
    """Push in real time, frames of 10 ms."""
    due_s, frame = now(), rate_hz // 100
    for part in parts:
        if isinstance(part, str):
            if part == FLUSH:
                stream.flush()
            due_s += {FLUSH: 0.0, PAUSE: 0.7, LONG_PAUSE: 5.0}[part]
            continue
        pcm = np.repeat(part, rate_hz // SAMPLE_RATE_HZ)
        for start in range(0, len(pcm), frame):
            piece = np.repeat(pcm[start : start + frame], channels)
            due_s += 0.01
            await asyncio.sleep(due_s - now())
            stream.push_frame(rtc.AudioFrame(piece.tobytes(), rate_hz, channels, len(piece) // channels))


async def listen(stream: stt.RecognizeStream, *parts: Part, rate_hz: int = SAMPLE_RATE_HZ, channels: int = 1) -> Told:
    told, began_s = Told(), now()

    async def note() -> None:
        async for event in stream:
            told.events.append((round((now() - began_s) * 1_000, 3), event))

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(note())
        await speak(stream, *parts, rate_hz=rate_hz, channels=channels)
        stream.end_input()
    await stream.aclose()
    return told


def hear(engine: ScriptedSTT, *parts: Part, rate_hz: int = SAMPLE_RATE_HZ, channels: int = 1) -> Told:
    async def main() -> Told:
        return await listen(plugin(engine).stream(), *parts, rate_hz=rate_hz, channels=channels)

    return run(main())
