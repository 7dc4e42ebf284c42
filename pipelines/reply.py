"""One answer in the making: messages -> sentences -> speech -> output.

A reply is silent, and runs no tool that could change anything, until it is released; so it may be started on
speculation and thrown away. Until its first sample it may also be held back again, for a user who goes on. Three stages
pull in turn, each an async generator but for the last: `_sentences` reads the LLM as fast as it writes, `_speech`
synthesizes a little ahead, `_play` waits for the release. Independent of the user's audio and of why it was started.

A fault of the LLM ends the answer with a short apology; one of the synthesizer or the output ends it in silence. The
first of them is kept in `error`.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing

from pipelines.ahead import ahead
from pipelines.audio import first_audible_sample
from pipelines.errors import QuickturnError, StageError
from pipelines.events import ChatMessage
from pipelines.generation import Generation
from pipelines.llm.history import Window
from pipelines.reply_stages import ReplySettings, ReplyStages
from pipelines.speech import Speech, SpeechPiece
from pipelines.stopwatch.marks import Playout, Request, Unit

log = logging.getLogger(__name__)

# Sentences waiting for the synthesizer: more than any answer within `max_tokens` holds, so reading never waits.
_SENTENCES_BOUND = 256
_SPEECH_BOUND = 1  # synthesized units waiting for the output; with the one being made, speech stays two sentences ahead


class Reply:
    """The answer to `messages`.

    With `streamed` off, speech waits for the whole text and playout for the whole speech.
    """

    def __init__(
        self,
        question: str,
        messages: Sequence[ChatMessage],
        stages: ReplyStages,
        settings: ReplySettings,
        *,
        window: Window | None = None,
        streamed: bool = True,
    ) -> None:
        self.question = question
        self.error: QuickturnError | None = None
        self.playout = Playout()
        self.streamed = streamed
        self._stages = stages
        self._settings = settings
        self._released = asyncio.Event()
        self._may_begin: Callable[[], bool] = lambda: True
        self._generation = Generation(
            messages, stages, settings, window or Window(None, 0), self._released, streamed=streamed
        )
        self._voiced = Speech(stages.tts, stages.output.sample_rate_hz, stages.clock, settings.tts_timeout_s)
        self._all_handed = False
        self._paused_s: float | None = None

    @property
    def text(self) -> str:
        """All that the model has written so far."""
        return self._generation.text

    @property
    def requests(self) -> list[Request]:
        """The marks of each request to a model."""
        return self._generation.requests

    @property
    def units(self) -> list[Unit]:
        """The marks of each sentence that has been synthesized, or has begun to be."""
        return self._voiced.units

    @property
    def used_tools(self) -> bool:
        """Whether a tool really ran."""
        return any(request.tools_ended_s is not None for request in self.requests)

    def release(self, may_begin: Callable[[], bool] = lambda: True) -> None:
        """The turn is committed: be heard. `may_begin` is asked once more right before the first sample; if it says no,
        the reply is held back.
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
            self._stages.output.pause()
            self._paused_s = self._stages.clock()

    def resume(self) -> None:
        """Go on where it was paused."""
        if self._paused_s is not None:
            self._stages.output.resume()
            self.playout.delay(self._paused_s, self._stages.clock() - self._paused_s)
            self._paused_s = None

    def left_to_say_s(self) -> float | None:
        """How long it will still speak, in seconds; None while that is unknown, for not all has been written and
        synthesized.
        """
        if not self._all_handed or not self.playout.played:
            return None
        now_s = self._stages.clock() if self._paused_s is None else self._paused_s
        return max(0.0, self.playout.played[-1].end_s - now_s)

    async def run(self) -> None:
        """Write, speak and, once released, play to the end; cancelling it cancels the request and the synthesis."""
        async with (
            ahead(self._sentences(), _SENTENCES_BOUND, "llm") as sentences,
            ahead(self._speech(sentences), _SPEECH_BOUND, "tts") as speech,
        ):
            await self._play(speech)

    async def _sentences(self) -> AsyncGenerator[str]:
        """What the LLM writes, and an apology if it fails."""
        try:
            async with aclosing(self._generation.sentences()) as sentences:
                async for sentence in sentences:
                    yield sentence
        except Exception as error:
            self._fail(error, f"LLM '{self._stages.llm.name}'")
            yield self._settings.apology

    async def _speech(self, sentences: AsyncIterator[str]) -> AsyncGenerator[SpeechPiece]:
        """The sentences spoken, up to the first that cannot be."""
        try:
            async for sentence in sentences:
                async with aclosing(self._voiced.say(sentence)) as pieces:
                    async for piece in pieces:
                        yield piece
        except Exception as error:
            self._fail(error, f"text to speech '{self._stages.tts.name}'")

    async def _play(self, speech: AsyncIterator[SpeechPiece]) -> None:
        try:
            if self.streamed:
                await self._released.wait()  # nothing is taken before, so synthesis stays only a little ahead
            ready = [await anext(speech, None)] if self.streamed else [piece async for piece in speech]
            await self._begin()
            for piece in filter(None, ready):
                await self._play_piece(piece)
            async for piece in speech:
                await self._play_piece(piece)
            self._all_handed = True
            self.playout.finish()
            await self._stages.output.drain()
        except asyncio.CancelledError:
            self._fall_silent()
            raise
        except Exception as error:
            self._fail(error, "audio output")

    async def _begin(self) -> None:
        """Wait until the answer may be heard."""
        await self._released.wait()
        while not self._may_begin():
            self._released.clear()
            await self._released.wait()

    async def _play_piece(self, piece: SpeechPiece) -> None:
        output, playout = self._stages.output, self.playout
        if playout.handed_s is None:
            playout.handed_s = self._stages.clock()
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
            self._stages.output.clear()
            self.playout.cut_s = self._stages.clock() if self._paused_s is None else self._paused_s

    def _fail(self, error: Exception, stage: str) -> None:
        """Keep the first fault, what follows comes of it; an unforeseen one goes to the log with its traceback."""
        if not isinstance(error, QuickturnError):
            log.error("%s failed", stage, exc_info=error)
            error = StageError(f"{stage} failed: {error!r}")
        self.error = self.error or error
