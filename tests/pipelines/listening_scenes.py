"""What the tests of listening share."""

import asyncio
from contextlib import aclosing
from dataclasses import dataclass, field

import anyio

from pipelines.endpointing import EndpointingSettings
from pipelines.events import (
    Pcm,
    Transcript,
    TurnEnded,
    UtteranceUpdate,
)
from pipelines.listening import Listener
from pipelines.smart_turn import TurnDetector
from pipelines.stt import SpeechToText
from pipelines.utterance import Utterance
from pipelines.vad import VadSettings, VoiceActivity
from tests.scripted import (
    ENDPOINTING,
    loudness,
    microphone,
    now,
    silence,
    voice,
)
from tests.virtual_time import run

LEAD, SPEECH = silence(320), voice(1_600)  # whole windows, so that the edges fall on them
END_MS = 1_920


@dataclass
class Told:
    """An utterance's updates, each with the ms after the input began at which it came."""

    started_ms: float
    updates: list[tuple[float, UtteranceUpdate]] = field(default_factory=list)

    @property
    def last(self) -> UtteranceUpdate:
        return self.updates[-1][1]

    @property
    def last_ms(self) -> float:
        return self.updates[-1][0]

    @property
    def texts(self) -> list[str]:
        return [update.text for _, update in self.updates if isinstance(update, Transcript)]


@dataclass
class Ear:
    """What a listener made of its input."""

    told: list[Told] = field(default_factory=list)
    opened_ms: list[float] = field(default_factory=list)
    began_s: float = 0.0

    def ms(self, process_s: float) -> float:
        return round((process_s - self.began_s) * 1_000, 3)


def listen(
    stt: SpeechToText,
    *parts: Pcm,
    vad: VadSettings | None = None,
    sequential: bool = False,
    heard_after_ms: float | None = 0,
    detector: TurnDetector | None = None,
    endpointing: EndpointingSettings = ENDPOINTING,
) -> Ear:
    """`heard_after_ms`: how long after the end of a turn the answer to it is heard, None for never."""

    async def main() -> Ear:
        ear = Ear(began_s=now())
        listener = Listener(VoiceActivity(vad or VadSettings(), loudness), stt, endpointing, now, detector)
        listener.recognise_while_speaking = not sequential
        begun, utterances = anyio.create_memory_object_stream[Utterance](8)
        async with asyncio.TaskGroup() as tasks, utterances, aclosing(microphone(*parts)) as frames:
            tasks.create_task(listener.listen(frames, begun))
            async for utterance in utterances:
                told = Told(utterance.started_samples / 16)
                ear.told.append(told)
                ear.opened_ms.append(ear.ms(now()))
                tasks.create_task(note(utterance, told, ear, heard_after_ms))
        return ear

    return run(main())


async def note(utterance: Utterance, told: Told, ear: Ear, heard_after_ms: float | None) -> None:
    async for update in utterance:
        told.updates.append((ear.ms(now()), update))
        if isinstance(update, TurnEnded) and heard_after_ms is not None:
            asyncio.get_running_loop().call_later(heard_after_ms / 1_000, utterance.close_if_ended)
