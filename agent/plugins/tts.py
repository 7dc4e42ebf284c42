"""Text to speech for LiveKit's AgentSession: a Piper voice as a `livekit.agents.tts.TTS`.

It takes the LLM's raw text: sentences are cut the moment their end is certain, and each is put into words (numbers,
Markdown, symbols) before it is synthesized, so `tts_text_transforms=None` saves the words that AgentSession's own
filters hold back. The silence that a synthesizer puts before the first word is cut off.
"""

import asyncio
from contextlib import aclosing

import anyio
from anyio.streams.memory import MemoryObjectSendStream
from livekit.agents import DEFAULT_API_CONNECT_OPTIONS, APIConnectOptions, tts, utils

from agent.models.load import load_tts
from agent.plugins.faults import api_error
from agent.plugins.local import LocalEngine
from pipelines.speech import Speech
from pipelines.spoken.sentences import FirstUnit, SentenceSplitter
from pipelines.spoken.speakable import speakable
from pipelines.stopwatch.marks import Unit
from pipelines.tts import TextToSpeech

_UNITS_BOUND = 256  # sentences that wait for the synthesizer: more than an answer holds, so reading never waits
_NOTHING_MS = 20  # 20 ms is also what the 10 ms that an emitter holds back, and a frame, take


class TTS(LocalEngine, tts.TTS[str]):
    """Any of Quickturn's voices, at its own sample rate; several texts may be synthesized at once.

    `engine` is a name (`piper:VOICE_OR_PATH`), which is loaded here, fetched if need be, and blocks for a second or
    more, or a voice that is loaded already. With `first_unit="clause"` speech may begin with a clause.
    Raises InputError or DownloadError.
    """

    engine: TextToSpeech

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

    def speech(self, timeout_s: float) -> Speech:
        """The speech of one answer, at the engine's rate; `timeout_s` is for each piece."""
        return Speech(self.engine, self.sample_rate, asyncio.get_running_loop().time, timeout_s)

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
        speech = self._plugin.speech(self._conn_options.timeout)
        try:
            for text in [*splitter.push(self.input_text), *splitter.flush()]:
                await _speak(speech, text, output_emitter)
        except Exception as error:
            raise api_error(error) from error
        _end(speech, output_emitter, self._plugin.sample_rate)


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
        speech = self._plugin.speech(self._conn_options.timeout)
        self.units.clear()  # of an attempt before this one
        speech.units = self.units
        failed: Exception | None = None
        send, units = anyio.create_memory_object_stream[str](_UNITS_BOUND)
        async with send, units, asyncio.TaskGroup() as tasks:
            reading = tasks.create_task(self._read(send), name="tts-text")
            try:
                async for text in units:
                    if speakable(text):
                        self._mark_started()
                    await _speak(speech, text, output_emitter)
            except Exception as error:
                failed = error
                reading.cancel()
        if failed is not None:
            raise api_error(failed) from failed
        _end(speech, output_emitter, self._plugin.sample_rate)

    async def _read(self, units: MemoryObjectSendStream[str]) -> None:
        splitter = SentenceSplitter(self._plugin.first_unit)
        async with units:
            async for item in self._input_ch:
                for text in splitter.push(item) if isinstance(item, str) else splitter.flush():
                    await units.send(text)
            for text in splitter.flush():
                await units.send(text)


async def _speak(speech: Speech, text: str, emitter: tts.AudioEmitter) -> None:
    """Speak a sentence as the LLM wrote it. Raises StageError."""
    async with aclosing(speech.say(text)) as pieces:
        async for piece in pieces:
            emitter.push(piece.pcm.tobytes())
    emitter.flush()  # else the end of it waits for the next sentence


def _end(speech: Speech, emitter: tts.AudioEmitter, rate_hz: int) -> None:
    """What has no sound at all, an emoji say, is a moment of silence: for no audio LiveKit would ask again."""
    if not speech.has_sound:
        emitter.push(bytes(2 * rate_hz * _NOTHING_MS // 1_000))
