"""Scripted stages: they do what they are told, when they are told, in the time of the running loop.

The voice activity takes what is loud for speech, so latencies are the scripted delays, to the frame of 10 ms.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from agent.measure.recordings import Recording, TurnLabel
from agent.measure.replay import Replay, Replayed
from pipelines.barge_in import BargeInSettings
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
from pipelines.modes import Mode
from pipelines.playout import AudioOutput
from pipelines.reply_stages import ReplySettings, ReplyStages
from pipelines.session import Session, SessionSettings
from pipelines.session_events import Observer
from pipelines.tools import Tool
from pipelines.vad import VadSettings, VoiceActivity
from tests.virtual_time import run

REPLY = "It is ten past three. Anything else?"
ENDPOINTING = EndpointingSettings(
    sure_ms=200,
    likely_ms=200,
    likely_statement_ms=200,
    doubtful_ms=600,
    dangling_ms=1_400,
    wordless_ms=600,
    patience=0,
)


def now() -> float:
    return asyncio.get_running_loop().time()


async def forever() -> None:
    await asyncio.Event().wait()


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


def dialogue(*clips: tuple[str, Pcm, int | None]) -> Recording:
    """Labelled turns: the text, a clip with one stretch of speech, and how far into the answer before it barges in."""
    turns, start = [], 0
    for text, pcm, barge_in_ms in clips:
        loud = np.flatnonzero(pcm) + start
        turns.append(TurnLabel(text, int(loud[0]), int(loud[-1]) + 1, start, start + len(pcm), (), barge_in_ms))
        start += len(pcm)
    pcm = np.concatenate([clip for _, clip, _ in clips])
    return Recording("scripted", "dialogue", "none", True, pcm, tuple(turns), True)


async def microphone(*parts: Pcm) -> AsyncGenerator[AudioFrame]:
    """Frames of 10 ms, each at the moment at which its last sample is captured."""
    pcm, began_s = np.concatenate(parts), now()
    for start in range(0, len(pcm), ms(10)):
        frame = AudioFrame(pcm[start : start + ms(10)], start)
        await asyncio.sleep(began_s + frame.end_samples / SAMPLE_RATE_HZ - now())
        yield frame


def loudness(window: Pcm) -> float:
    return float(np.abs(window.astype(np.int32)).mean() > 1_000)


@dataclass
class ScriptedSTT:
    """`finals`: the text at each pause, beginning anew with each turn; `turns` overrides them turn by turn.

    `partials`: (ms of audio heard, text, is it all stable?). `errors` are raised instead of a turn's final transcript;
    turns whose number is in `hanging` never get one.
    """

    finals: Sequence[str] = ("What time is it?",)
    partials: Sequence[tuple[float, str, bool]] = ()
    final_ms: float = 40
    turns: Sequence[Sequence[str]] = ()
    errors: Sequence[Exception | None] = ()
    hanging: Sequence[int] = ()
    began: int = 0
    heard: list[list[Heard]] = field(default_factory=list)
    name: str = "scripted"

    async def transcribe(self, heard: AsyncIterator[Heard]) -> AsyncGenerator[Transcript]:
        number, self.began = self.began, self.began + 1
        finals = self.turns[number] if number < len(self.turns) else self.finals
        error = self.errors[number] if number < len(self.errors) else None
        samples, pauses, partials = 0, 0, list(self.partials)
        self.heard.append([])
        async for event in heard:
            self.heard[number].append(event)
            match event:
                case AudioFrame():
                    samples += len(event.pcm)
                    while partials and samples >= ms(partials[0][0]):
                        _, text, stable = partials.pop(0)
                        yield Transcript(text, text if stable else "", False, event.end_samples, now(), now())
                case SpeechStopped(at_samples):
                    if error is not None:
                        raise error
                    if number in self.hanging:
                        await forever()
                    started_s = now()
                    await asyncio.sleep(self.final_ms / 1_000)
                    text = finals[min(pauses, len(finals) - 1)]
                    pauses += 1
                    yield Transcript(text, text, True, at_samples, started_s, now())
                case SpeechStarted():
                    pass


@dataclass
class ScriptedTurnDetector:
    """Answers with `probabilities` in turn, the last again and again, each after `takes_ms`; notes what it heard."""

    probabilities: Sequence[float] = (1.0,)
    takes_ms: float = 40
    error: Exception | None = None
    heard: list[Pcm] = field(default_factory=list)
    name: str = "scripted"

    async def probability(self, pcm: Pcm) -> float:
        self.heard.append(pcm)
        await asyncio.sleep(self.takes_ms / 1_000)
        if self.error is not None:
            raise self.error
        return self.probabilities[min(len(self.heard), len(self.probabilities)) - 1]


@dataclass
class ScriptedLLM:
    """Writes `reply` word by word; notes each request's messages, and how many were completed or cancelled.

    By the number of the request: `errors` are raised after `words_before_error` words, `events` are sent instead of the
    reply, and `replies` are its other texts. A request that is cancelled takes `closing_ms` to close.
    """

    ttft_ms: float = 100
    tokens_per_s: float = 100
    reply: str = REPLY
    replies: Sequence[str] = ()
    errors: Sequence[Exception | None] = ()
    words_before_error: int = 0
    events: Sequence[Sequence[ChatEvent]] = ()
    closing_ms: float = 0
    requests: list[list[ChatMessage]] = field(default_factory=list)
    completed: int = 0
    cancelled: int = 0
    name: str = "scripted/llm"

    async def stream(
        self, messages: Sequence[ChatMessage], tools: Sequence[ToolSpec] = ()
    ) -> AsyncGenerator[ChatEvent]:
        number = len(self.requests)
        self.requests.append(list(messages))
        try:
            await asyncio.sleep(self.ttft_ms / 1_000)
            error = self.errors[number] if number < len(self.errors) else None
            if number < len(self.events):
                for event in self.events[number]:
                    yield event
                return
            words = (self.replies[number] if number < len(self.replies) else self.reply).split(" ")
            for i, word in enumerate(words):
                if error is not None and i == self.words_before_error:
                    raise error
                yield TextDelta(word if i == 0 else " " + word)
                await asyncio.sleep(1 / self.tokens_per_s)
            yield Usage(20, len(words))
            self.completed += 1
        except (asyncio.CancelledError, GeneratorExit):
            self.cancelled += 1
            if self.closing_ms:
                await asyncio.sleep(self.closing_ms / 1_000)
            raise

    async def warm_up(self) -> None: ...

    async def aclose(self) -> None: ...


@dataclass
class ScriptedTTS:
    """Speaks `letter_ms` a letter after `ttfb_ms`, beginning with `lead_ms` of silence; notes what it was asked to say.

    What is `silent` has no sound at all, and what is `hanging` never comes.
    """

    ttfb_ms: float = 30
    lead_ms: float = 20
    letter_ms: float = 50
    errors: Sequence[Exception | None] = ()
    silent: Sequence[str] = ()
    hanging: Sequence[str] = ()
    said: list[str] = field(default_factory=list)
    cancelled: int = 0
    name: str = "scripted"
    sample_rate_hz: int = SAMPLE_RATE_HZ

    async def synthesize(self, text: str) -> AsyncGenerator[Pcm]:
        number = len(self.said)
        self.said.append(text)
        try:
            await asyncio.sleep(self.ttfb_ms / 1_000)
            if text in self.hanging:
                await forever()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if number < len(self.errors) and (error := self.errors[number]):
            raise error
        if text not in self.silent:
            yield np.concatenate([silence(self.lead_ms), voice(self.letter_ms * len(text))])


@dataclass
class Stages:
    """A session's parts with its defaults; `build` is what a replay wants."""

    mode: Mode = Mode.SPECULATIVE
    stt: ScriptedSTT = field(default_factory=ScriptedSTT)
    llm: ScriptedLLM = field(default_factory=ScriptedLLM)
    tts: ScriptedTTS = field(default_factory=ScriptedTTS)
    tools: Sequence[Tool] = ()
    context_window_tokens: int = 8_000
    session: Session | None = None

    def build(self, output: AudioOutput, observer: Observer) -> Session:
        vad = VoiceActivity(VadSettings(), loudness)
        listener = Listener(vad, self.stt, ENDPOINTING, now)
        settings = SessionSettings(
            self.mode, "Be brief.", ReplySettings(apology="Sorry."), BargeInSettings(), self.context_window_tokens, 400
        )
        self.session = Session(listener, ReplyStages(self.llm, self.tts, output, now, self.tools), settings, observer)
        return self.session

    @property
    def history(self) -> list[tuple[str, str]]:
        """The conversation as the session remembers it."""
        assert self.session is not None
        return [(message.role, message.text) for message in self.session.history]


def question(*parts: Pcm) -> Recording:
    """1.6 s of speech that ends at 1.92 s, on whole windows of the voice activity; `parts` instead of the speech."""
    return recording(silence(320), *(parts or (voice(1_600),)), silence(100))


def converse(stages: Stages, spoken: Recording | None = None) -> Replayed:
    """Replay a recording, one question unless given, through the scripted stages."""
    return run(Replay(spoken or question(), now, ms(10)).run(stages.build))
