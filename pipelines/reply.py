"""One answer in the making: messages -> thinking -> sentences -> speech -> output.

A reply is silent, and runs no tool, until it is released; so it may be started on a guess and thrown away. Until its
first sample it may also be held back again, for a user who goes on. Three tasks of one TaskGroup pull in turn:
`_think` reads the LLM as fast as it writes, `_speak` synthesizes a little ahead, `_play` waits for the release. It
knows nothing of the user's audio or of why it was started.

A fault of the LLM ends the answer with a short apology; one of the synthesizer or the output ends it in silence. The
first of them is kept in `error`.
"""

import asyncio
import logging
from asyncio import TaskGroup
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from pipelines.audio import Resampler, first_audible_sample
from pipelines.errors import QuickturnError, StageError
from pipelines.events import (
    ChatMessage,
    Clock,
    Pcm,
)
from pipelines.llm import ChatModel
from pipelines.llm.history import Window
from pipelines.playout import AudioOutput
from pipelines.spoken.sentences import FirstUnit
from pipelines.spoken.speakable import speakable
from pipelines.stopwatch.marks import Playout, Request, Unit
from pipelines.thinking import Mind, Thinking
from pipelines.tools import Tool
from pipelines.tts import TextToSpeech

log = logging.getLogger(__name__)

# Sentences waiting for the synthesizer: more than any answer within `max_tokens` holds, so reading never waits.
_UNITS_BOUND = 256
_SPEECH_BOUND = 1  # synthesized units waiting for the output; with the one being made, speech stays two sentences ahead
_LEAD_MS = 10  # of the silence before the first word is kept, so that no soft onset is cut


@dataclass(frozen=True, slots=True)
class ReplySettings:
    """`first_unit`: what TTS starts on.

    `apology`: what is said when the LLM fails. `filler`: what is said while a tool runs longer than `filler_after_ms`;
    empty for nothing. `tts_timeout_s`: the synthesizer's time for each piece of speech.
    """

    first_unit: FirstUnit = "sentence"
    apology: str = "Sorry, something went wrong. Please say that again."
    filler: str = "One moment."
    filler_after_ms: float = 800.0
    tts_timeout_s: float = 10.0


@dataclass(frozen=True, slots=True)
class Voice:
    """The stages that a reply passes through; `standby` finishes an answer that `llm` breaks off."""

    llm: ChatModel
    tts: TextToSpeech
    output: AudioOutput
    clock: Clock
    tools: Sequence[Tool] = ()
    standby: ChatModel | None = None


@dataclass(frozen=True, slots=True)
class _Speech:
    unit: Unit
    pcm: Pcm
    last: bool  # of the unit


class Reply:
    """The answer to `messages`.

    With `streamed` off, speech waits for the whole text and playout for the whole speech.
    """

    def __init__(
        self,
        question: str,
        messages: Sequence[ChatMessage],
        voice: Voice,
        settings: ReplySettings,
        *,
        window: Window | None = None,
        streamed: bool = True,
    ) -> None:
        self.question = question
        self.error: QuickturnError | None = None
        self.units: list[Unit] = []
        self.playout = Playout()
        self._voice = voice
        self._settings = settings
        self.streamed = streamed
        self._released = asyncio.Event()
        self._may_begin: Callable[[], bool] = lambda: True
        mind = Mind(
            voice.llm,
            voice.standby,
            voice.tools,
            window or Window(None, 0),
            voice.clock,
            settings.first_unit,
            settings.filler,
            settings.filler_after_ms,
        )
        self._thinking = Thinking(messages, mind, self._released, streamed=streamed)
        self._has_voice = False  # whether something audible has been synthesized yet
        self._all_handed = False
        self._paused_s: float | None = None

    @property
    def text(self) -> str:
        """All that the model has written so far."""
        return self._thinking.text

    @property
    def requests(self) -> list[Request]:
        """The marks of all that was asked of a model."""
        return self._thinking.requests

    @property
    def used_tools(self) -> bool:
        """Whether a tool really ran."""
        return any(request.tools_ended_s is not None for request in self.requests)

    def release(self, may_begin: Callable[[], bool] = lambda: True) -> None:
        """The turn is committed: be heard. `may_begin` is asked once more right before the first sample; where it says
        no, the reply is held back.
        """
        self._may_begin = may_begin
        self._released.set()

    def hold(self) -> None:
        """Not yet: stay silent until the next release. What has begun to be heard is not held back."""
        self._released.clear()

    @property
    def is_paused(self) -> bool:
        """Whether it has fallen silent for now."""
        return self._paused_s is not None

    def pause(self) -> None:
        """Fall silent at once, for now."""
        if self._paused_s is None:
            self._voice.output.pause()
            self._paused_s = self._voice.clock()

    def resume(self) -> None:
        """Go on where it was paused."""
        if self._paused_s is not None:
            self._voice.output.resume()
            self.playout.delay(self._paused_s, self._voice.clock() - self._paused_s)
            self._paused_s = None

    def left_to_say_s(self) -> float | None:
        """How long it will still speak; None while that is unknown, for not all has been written and synthesized."""
        if not self._all_handed or not self.playout.played:
            return None
        now_s = self._voice.clock() if self._paused_s is None else self._paused_s
        return max(0.0, self.playout.played[-1].end_s - now_s)

    async def run(self) -> None:
        """Think, speak and, once released, play to the end; cancelling it cancels the request and the synthesis."""
        units_in, units_out = anyio.create_memory_object_stream[str](_UNITS_BOUND)
        speech_in, speech_out = anyio.create_memory_object_stream[_Speech](_SPEECH_BOUND)
        # Closed here too: a reply can be cancelled before its stages have begun.
        async with units_in, units_out, speech_in, speech_out, TaskGroup() as stages:
            stages.create_task(self._think(units_in), name="llm")
            stages.create_task(self._speak(units_out, speech_in), name="tts")
            stages.create_task(self._play(speech_out), name="playout")

    # ------------------------------------------------------------ think

    async def _think(self, units: MemoryObjectSendStream[str]) -> None:
        async with units:
            try:
                await self._thinking.run(units.send)
            except anyio.BrokenResourceError:
                return  # the synthesizer failed and no longer listens
            except Exception as error:
                self._fail(error, f"LLM '{self._voice.llm.name}'")
                with suppress(anyio.BrokenResourceError):
                    await units.send(self._settings.apology)

    # ------------------------------------------------------------ speak

    async def _speak(self, units: MemoryObjectReceiveStream[str], speech: MemoryObjectSendStream[_Speech]) -> None:
        async with units, speech:
            try:
                async for text in units:
                    if spoken := speakable(text):
                        await self._synthesize(text, spoken, speech)
            except anyio.BrokenResourceError:
                return  # playout is gone, and so is the need for speech
            except Exception as error:
                self._fail(error, f"text to speech '{self._voice.tts.name}'")

    async def _synthesize(self, text: str, spoken: str, speech: MemoryObjectSendStream[_Speech]) -> None:
        unit = Unit(text, self._voice.clock())
        rate_hz = self._voice.output.sample_rate_hz
        async with aclosing(speech_at(rate_hz, self._voice.tts, spoken, self._settings.tts_timeout_s)) as pieces:
            async for raw, last in pieces:
                pcm = self._ready_to_play(raw, rate_hz)
                if not len(pcm):
                    continue
                if unit.first_pcm_s is None:
                    unit.first_pcm_s = self._voice.clock()
                    self.units.append(unit)
                await speech.send(_Speech(unit, pcm, last))
        unit.tts_ended_s = self._voice.clock()

    def _ready_to_play(self, pcm: Pcm, rate_hz: int) -> Pcm:
        """Without the silence that synthesizers put before the first word of an answer."""
        if self._has_voice:
            return pcm
        audible = first_audible_sample(pcm, rate_hz)
        if audible is None:
            return pcm[:0]
        self._has_voice = True
        return pcm[max(0, audible - rate_hz * _LEAD_MS // 1_000) :]

    # ------------------------------------------------------------ play

    async def _play(self, speech: MemoryObjectReceiveStream[_Speech]) -> None:
        async with speech:
            try:
                pieces = aiter(speech)
                if self.streamed:
                    await self._released.wait()  # nothing is taken before, so synthesis stays only a little ahead
                ready = [await anext(pieces, None)] if self.streamed else [piece async for piece in pieces]
                await self._floor()
                for piece in filter(None, ready):
                    await self._play_piece(piece)
                async for piece in pieces:
                    await self._play_piece(piece)
                self._all_handed = True
                self.playout.finish()
                await self._voice.output.drain()
            except asyncio.CancelledError:
                self._fall_silent()
                raise
            except Exception as error:
                self._fail(error, "audio output")

    async def _floor(self) -> None:
        """Wait for the word to begin."""
        await self._released.wait()
        while not self._may_begin():
            self._released.clear()
            await self._released.wait()

    async def _play_piece(self, piece: _Speech) -> None:
        output, playout = self._voice.output, self.playout
        if playout.handed_s is None:
            playout.handed_s = self._voice.clock()
        start_s = await output.play(piece.pcm)
        end_s = start_s + len(piece.pcm) / output.sample_rate_hz
        if playout.started_s is None:
            playout.started_s = start_s
        if playout.audible_s is None:
            audible = first_audible_sample(piece.pcm, output.sample_rate_hz)
            playout.audible_s = None if audible is None else start_s + audible / output.sample_rate_hz
        playout.add(piece.unit.text, start_s, end_s, last=piece.last)

    def _fall_silent(self) -> None:
        """At once: what else belongs to the answer, such as a connection, may take its time to close."""
        if self.playout.handed_s is not None or self._paused_s is not None:
            self._voice.output.clear()
            self.playout.cut_s = self._voice.clock() if self._paused_s is None else self._paused_s

    def _fail(self, error: Exception, stage: str) -> None:
        """Keep the first fault, what follows comes of it; an unforeseen one goes to the log with its traceback."""
        if not isinstance(error, QuickturnError):
            log.error("%s failed", stage, exc_info=error)
            error = StageError(f"{stage} failed: {error!r}")
        self.error = self.error or error


async def speech_at(rate_hz: int, tts: TextToSpeech, text: str, timeout_s: float) -> AsyncGenerator[tuple[Pcm, bool]]:
    """The speech of `text`, piece by piece, at another rate, each with whether it is known to be the last.

    Raises what `next_piece` raises, and StageError.
    """
    resampler = Resampler(tts.sample_rate_hz, rate_hz)
    async with aclosing(tts.synthesize(text)) as pieces:
        while (raw := await next_piece(pieces, timeout_s)) is not None:
            yield resampler.push(raw), False
        yield resampler.flush(), True


async def next_piece(pieces: AsyncIterator[Pcm], timeout_s: float) -> Pcm | None:
    """The next piece of speech, None after the last. Raises StageError if it takes longer than `timeout_s`."""
    try:
        async with asyncio.timeout(timeout_s):
            return await anext(pieces, None)
    except TimeoutError:
        raise StageError(f"no speech within {timeout_s:g} s (reply.tts_timeout_s)") from None
