"""Text to speech for LiveKit's AgentSession: a Piper voice as a `livekit.agents.tts.TTS`.

It takes the LLM's raw text: sentences are cut the moment their end is certain, and each is put into words (numbers,
Markdown, symbols) before it is synthesized, so `tts_text_transforms=None` saves the words that AgentSession's own
filters hold back. The silence that a synthesizer puts before the first word is cut off.
"""

import asyncio
from collections.abc import Callable
from contextlib import aclosing

import anyio
from anyio.streams.memory import MemoryObjectSendStream
from livekit.agents import DEFAULT_API_CONNECT_OPTIONS, APIConnectOptions, tts, utils

from agent.models.load import load_tts
from agent.plugins.faults import api_error
from pipelines.audio import first_audible_sample
from pipelines.events import Pcm
from pipelines.reply import next_piece
from pipelines.spoken.sentences import FirstUnit, SentenceSplitter
from pipelines.spoken.speakable import speakable
from pipelines.stopwatch.marks import Unit
from pipelines.tts import TextToSpeech

_UNITS_BOUND = 256  # sentences that wait for the synthesizer: more than an answer holds, so reading never waits
_LEAD_MS = 10  # of the silence before the first word is kept, so that no soft onset is cut
_NOTHING_MS = 20  # 20 ms is also what the 10 ms that an emitter holds back, and a frame, take


class TTS(tts.TTS[str]):
    """Any of Quickturn's voices, at its own sample rate; several texts may be synthesized at once.

    `engine` is a name (`piper:VOICE_OR_PATH`), which is loaded here, fetched if need be, and blocks for a second or
    more, or a voice that is loaded already. With `first_unit="clause"` speech may begin with a clause.
    Raises InputError or DownloadError.
    """

    def __init__(
        self, engine: str | TextToSpeech = "piper:en_US-joe-medium", *, first_unit: FirstUnit = "sentence"
    ) -> None:
        self.engine = load_tts(engine) if isinstance(engine, str) else engine
        self.first_unit: FirstUnit = first_unit
        super().__init__(
            capabilities=tts.TTSCapabilities(streaming=True),
            sample_rate=self.engine.sample_rate_hz,
            num_channels=1,
        )

    @property
    def model(self) -> str:
        """The voice's name."""
        return self.engine.name

    @property
    def provider(self) -> str:
        """Who speaks: this process."""
        return "quickturn"

    def synthesize(
        self, text: str, *, conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS
    ) -> "ChunkedStream":
        """Speak a whole text, sentence by sentence."""
        return ChunkedStream(self, text, conn_options)

    def stream(self, *, conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS) -> "SynthesizeStream":
        """Speak a text while it is still being written."""
        return SynthesizeStream(self, conn_options)


class ChunkedStream(tts.ChunkedStream):
    """A text being spoken."""

    def __init__(self, plugin: TTS, text: str, conn_options: APIConnectOptions) -> None:
        super().__init__(tts=plugin, input_text=text, conn_options=conn_options)
        self._plugin = plugin

    async def _run(self, output_emitter: tts.AudioEmitter) -> None:
        output_emitter.initialize(
            request_id=utils.shortuuid("tts_"),
            sample_rate=self._plugin.sample_rate,
            num_channels=1,
            mime_type="audio/pcm",
        )
        splitter = SentenceSplitter()
        mouth = _Mouth(self._plugin.engine, output_emitter, self._conn_options.timeout)
        try:
            for text in [*splitter.push(self.input_text), *splitter.flush()]:
                await mouth.say(text)
        except Exception as error:
            raise api_error(error) from error
        mouth.close()


class SynthesizeStream(tts.SynthesizeStream):
    """A text being spoken while it is written. `units` are its sentences so far, with their marks in loop time."""

    def __init__(self, plugin: TTS, conn_options: APIConnectOptions) -> None:
        super().__init__(tts=plugin, conn_options=conn_options)
        self.units: list[Unit] = []
        self._plugin = plugin

    async def _run(self, output_emitter: tts.AudioEmitter) -> None:
        request_id = utils.shortuuid("tts_")
        output_emitter.initialize(
            request_id=request_id,
            sample_rate=self._plugin.sample_rate,
            num_channels=1,
            mime_type="audio/pcm",
            stream=True,
        )
        output_emitter.start_segment(segment_id=request_id)
        mouth = _Mouth(self._plugin.engine, output_emitter, self._conn_options.timeout, self._mark_started)
        self.units.clear()  # of an attempt before this one
        mouth.units = self.units
        failed: Exception | None = None
        send, units = anyio.create_memory_object_stream[str](_UNITS_BOUND)
        async with send, units, asyncio.TaskGroup() as tasks:
            reading = tasks.create_task(self._read(send), name="tts-text")
            try:
                async for text in units:
                    await mouth.say(text)
            except Exception as error:
                failed = error
                reading.cancel()
        if failed is not None:
            raise api_error(failed) from failed
        mouth.close()

    async def _read(self, units: MemoryObjectSendStream[str]) -> None:
        splitter = SentenceSplitter(self._plugin.first_unit)
        async with units:
            async for item in self._input_ch:
                for text in splitter.push(item) if isinstance(item, str) else splitter.flush():
                    await units.send(text)
            for text in splitter.flush():
                await units.send(text)


class _Mouth:
    """Speaks sentence after sentence into an emitter, each as a `Unit` with its marks."""

    def __init__(
        self,
        engine: TextToSpeech,
        emitter: tts.AudioEmitter,
        timeout_s: float,
        on_started: Callable[[], None] = lambda: None,
    ) -> None:
        self.units: list[Unit] = []
        self._engine = engine
        self._emitter = emitter
        self._timeout_s = timeout_s
        self._on_started = on_started
        self._clock = asyncio.get_running_loop().time
        self._has_voice = False

    async def say(self, text: str) -> None:
        """Synthesize a sentence as the LLM wrote it. Raises StageError."""
        if not (spoken := speakable(text)):
            return
        unit = Unit(text, self._clock())
        self._on_started()
        async with aclosing(self._engine.synthesize(spoken)) as pieces:
            while (raw := await next_piece(pieces, self._timeout_s)) is not None:
                pcm = self._without_leading_silence(raw)
                if not len(pcm):
                    continue
                if unit.first_pcm_s is None:
                    unit.first_pcm_s = self._clock()
                    self.units.append(unit)
                self._emitter.push(pcm.tobytes())
        self._emitter.flush()  # else the end of it waits for the next sentence
        unit.tts_ended_s = self._clock()

    def close(self) -> None:
        """What has no sound at all, an emoji say, is a moment of silence: for no audio LiveKit would ask again."""
        if not self._has_voice:
            self._emitter.push(bytes(2 * self._engine.sample_rate_hz * _NOTHING_MS // 1_000))

    def _without_leading_silence(self, pcm: Pcm) -> Pcm:
        if self._has_voice:
            return pcm
        audible = first_audible_sample(pcm, self._engine.sample_rate_hz)
        if audible is None:
            return pcm[:0]
        self._has_voice = True
        return pcm[max(0, audible - self._engine.sample_rate_hz * _LEAD_MS // 1_000) :]
