"""Scripted stages: they do what they are told, when they are told, in the time of the running loop."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from agent.recordings import Recording, TurnLabel
from pipelines.endpointing import EndpointingSettings
from pipelines.events import (
    SAMPLE_RATE_HZ,
    AudioFrame,
    ChatEvent,
    ChatMessage,
    Heard,
    Pcm,
    SpeechStarted,
    SpeechStopped,
    TextDelta,
    ToolSpec,
    Transcript,
    Usage,
)
from pipelines.listening import Listener
from pipelines.playout import AudioOutput
from pipelines.reply import ReplySettings, Voice
from pipelines.session import Observer, Session, SessionSettings
from pipelines.tools import Tool
from pipelines.turn import Mode
from pipelines.vad import VadSettings, VoiceActivity

REPLY = "It is ten past three. Anything else?"
ENDPOINTING = EndpointingSettings(complete_ms=200, unknown_ms=600, dangling_ms=1_400)


def now() -> float:
    return asyncio.get_running_loop().time()


def ms(milliseconds: float) -> int:
    """Milliseconds as samples."""
    return round(milliseconds * SAMPLE_RATE_HZ / 1_000)


def voice(milliseconds: float) -> Pcm:
    """Something loud, which the scripted voice activity takes for speech."""
    return np.full(ms(milliseconds), 8_000, np.int16)


def silence(milliseconds: float) -> Pcm:
    return np.zeros(ms(milliseconds), np.int16)


def recording(*parts: Pcm, text: str = "What time is it?", labelled: bool = True) -> Recording:
    """One labelled turn: speech from the first loud sample to the last."""
    pcm = np.concatenate(parts)
    loud = np.flatnonzero(pcm)
    turns = (TurnLabel(text, int(loud[0]), int(loud[-1]) + 1, 0, len(pcm), (), None),) if len(loud) else ()
    return Recording("scripted", "question_short", "none", True, pcm, turns, labelled)


def loudness(window: Pcm) -> float:
    return float(np.abs(window.astype(np.int32)).mean() > 1_000)


@dataclass
class ScriptedSTT:
    """`finals`: the text at each pause of the turn. `partials`: (ms of audio heard, text, is it all stable?)."""

    finals: Sequence[str] = ("What time is it?",)
    partials: Sequence[tuple[float, str, bool]] = ()
    final_ms: float = 40
    error: Exception | None = None
    name: str = "scripted"

    async def transcribe(self, heard: AsyncIterator[Heard]) -> AsyncGenerator[Transcript]:
        samples, pauses, partials = 0, 0, list(self.partials)
        async for event in heard:
            match event:
                case AudioFrame():
                    samples += len(event.pcm)
                    while partials and samples >= ms(partials[0][0]):
                        _, text, stable = partials.pop(0)
                        yield Transcript(text, text if stable else "", False, event.end_samples, now(), now())
                case SpeechStopped(at_samples):
                    if self.error is not None:
                        raise self.error
                    started_s = now()
                    await asyncio.sleep(self.final_ms / 1_000)
                    text = self.finals[min(pauses, len(self.finals) - 1)]
                    pauses += 1
                    yield Transcript(text, text, True, at_samples, started_s, now())
                case SpeechStarted():
                    pass


@dataclass
class ScriptedLLM:
    """Writes `reply` word by word; notes each request's messages and how many were cancelled."""

    ttft_ms: float = 100
    tokens_per_s: float = 100
    reply: str = REPLY
    errors: list[Exception | None] = field(default_factory=list)
    events: Sequence[Sequence[ChatEvent]] = ()
    requests: list[list[ChatMessage]] = field(default_factory=list)
    cancelled: int = 0
    name: str = "scripted/llm"

    async def stream(self, messages: Sequence[ChatMessage], tools: Sequence[ToolSpec] = ()) -> AsyncGenerator[ChatEvent]:
        number = len(self.requests)
        self.requests.append(list(messages))
        try:
            await asyncio.sleep(self.ttft_ms / 1_000)
            if number < len(self.errors) and (error := self.errors[number]):
                raise error
            if number < len(self.events):
                for event in self.events[number]:
                    yield event
                return
            words = self.reply.split(" ")
            for i, word in enumerate(words):
                yield TextDelta(word if i == 0 else " " + word)
                await asyncio.sleep(1 / self.tokens_per_s)
            yield Usage(20, len(words))
        except (asyncio.CancelledError, GeneratorExit):
            self.cancelled += 1
            raise

    async def warm_up(self) -> None: ...

    async def aclose(self) -> None: ...


@dataclass
class ScriptedTTS:
    """Speaks 50 ms a letter after `ttfb_ms`, beginning with `lead_ms` of silence; notes what it was asked to say."""

    ttfb_ms: float = 30
    lead_ms: float = 20
    errors: list[Exception | None] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    name: str = "scripted"
    sample_rate_hz: int = SAMPLE_RATE_HZ

    async def synthesize(self, text: str) -> AsyncGenerator[Pcm]:
        number = len(self.said)
        self.said.append(text)
        await asyncio.sleep(self.ttfb_ms / 1_000)
        if number < len(self.errors) and (error := self.errors[number]):
            raise error
        yield np.concatenate([silence(self.lead_ms), voice(50 * len(text))])


@dataclass
class Stages:
    """A session's parts with its defaults; `build` is what a replay wants."""

    mode: Mode = Mode.SPECULATIVE
    stt: ScriptedSTT = field(default_factory=ScriptedSTT)
    llm: ScriptedLLM = field(default_factory=ScriptedLLM)
    tts: ScriptedTTS = field(default_factory=ScriptedTTS)
    tools: Sequence[Tool] = ()
    session: Session | None = None

    def build(self, output: AudioOutput, observer: Observer) -> Session:
        vad = VoiceActivity(VadSettings(), loudness)
        listener = Listener(
            vad, self.stt, ENDPOINTING, now, recognise_while_speaking=self.mode is not Mode.SEQUENTIAL
        )
        settings = SessionSettings(self.mode, "Be brief.", ReplySettings(apology="Sorry."), 8_000, 400)
        self.session = Session(listener, Voice(self.llm, self.tts, output, now, self.tools), settings, observer)
        return self.session
