"""Speech to text for LiveKit's AgentSession: Quickturn's ear (Silero VAD, a streaming recogniser, endpointing by the
words) as a `livekit.agents.stt.STT`. Independent of what AgentSession does with the events.

Per utterance a stream tells START_OF_SPEECH, then INTERIM and PREFLIGHT transcripts, then, once the silence has been
long enough for these words or a flush was asked for, FINAL_TRANSCRIPT and END_OF_SPEECH. With
`turn_detection="stt"` that last decision is AgentSession's end of turn too.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Literal
from weakref import WeakSet

import anyio
import numpy as np
from livekit import rtc
from livekit.agents import (
    DEFAULT_API_CONNECT_OPTIONS,
    NOT_GIVEN,
    APIConnectOptions,
    APIError,
    LanguageCode,
    NotGivenOr,
    stt,
    utils,
)

from agent.models.load import load_stt, load_turn_detector
from agent.plugins.captions import ENGLISH, CaptionEvents, from_media_start, speech_data
from agent.plugins.faults import api_error
from agent.plugins.incoming import Incoming, mono
from agent.plugins.local import LocalEngine
from pipelines.audio import MediaClock, resample
from pipelines.endpointing import EndpointingSettings
from pipelines.errors import InputError, QuickturnError
from pipelines.events import (
    SAMPLE_RATE_HZ,
    AudioFrame,
    Heard,
    HearingFailed,
    SpeechStarted,
    SpeechStopped,
    Transcript,
    TurnEnded,
)
from pipelines.listening import Listener
from pipelines.smart_turn import TurnDetector
from pipelines.stt import SpeechToText
from pipelines.utterance import Utterance
from pipelines.vad import SpeechProbability, VadSettings, VoiceActivity, silero

_Kind = stt.SpeechEventType
_MEMORY_S = 1.0  # of arrivals: a track that was gone for a moment left a hole, behind which media time is late
_UTTERANCES_BOUND = 8  # they are taken as they begin, and one closes before the next


@dataclass(frozen=True, slots=True)
class HeardUtterance:
    """What a stream tells its STT's listeners of `utterance_ended`: an utterance with its marks, in loop time."""

    started_s: float
    started_samples: int
    ended_samples: int
    transcripts: tuple[Transcript, ...]
    ended: TurnEnded


class STT(LocalEngine, stt.STT[Literal["utterance_ended"]]):
    """Any of Quickturn's recognisers; all streams share the one model. English only.

    `engine` is a name (`whisper:SIZE_OR_PATH`), which is loaded here, fetched if need be, and blocks for a second or
    more, or a recogniser that is loaded already. Raises InputError or DownloadError.
    """

    engine: SpeechToText

    def __init__(
        self,
        engine: str | SpeechToText = "whisper:tiny.en",
        *,
        vad: VadSettings | None = None,
        endpointing: EndpointingSettings | None = None,
        turn_detector: str | TurnDetector | None = "turn:smart-turn-v3.2",
        new_probability: Callable[[], SpeechProbability] = silero,
    ) -> None:
        """`turn_detector` is a name, which is loaded here, or one that is loaded, or None for endpointing by the words
        alone; `new_probability` makes the voice detector of a stream.
        """
        super().__init__(
            capabilities=stt.STTCapabilities(
                streaming=True,
                interim_results=True,
                aligned_transcript="word",
                offline_recognize=True,
                manual_flush=True,
            )
        )
        new_probability()  # its weights are loaded once a process, and now rather than in the first stream
        self.engine = load_stt(engine) if isinstance(engine, str) else engine
        self._vad = vad or VadSettings()
        self._endpointing = endpointing or EndpointingSettings()
        self._turn_detector = load_turn_detector(turn_detector) if isinstance(turn_detector, str) else turn_detector
        self._new_probability = new_probability
        self._streams: WeakSet[RecognizeStream] = WeakSet()

    def stream(
        self,
        *,
        language: NotGivenOr[str] = NOT_GIVEN,
        conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS,
    ) -> "RecognizeStream":
        """Listen to one speaker; any number of streams may be open. Raises InputError for another language."""
        _check_language(language)
        stream = RecognizeStream(self, conn_options)
        self._streams.add(stream)
        return stream

    def listener(self) -> Listener:
        """An ear for one stretch of audio."""
        clock = asyncio.get_running_loop().time
        vad = VoiceActivity(self._vad, self._new_probability())
        listener = Listener(vad, self.engine, self._endpointing, clock, self._turn_detector)
        listener.media = MediaClock(clock, _MEMORY_S)
        return listener

    async def aclose(self) -> None:
        """Close every stream; the model stays loaded as long as this object."""
        for stream in list(self._streams):
            await stream.aclose()

    async def _recognize_impl(
        self, buffer: utils.AudioBuffer, *, language: NotGivenOr[str] = NOT_GIVEN, conn_options: APIConnectOptions
    ) -> stt.SpeechEvent:
        """All of the buffer is taken for speech."""
        _check_language(language)
        frame = rtc.combine_audio_frames(buffer)
        pcm = resample(np.ascontiguousarray(mono(frame)), frame.sample_rate, SAMPLE_RATE_HZ)
        heard = _heard_at_once(AudioFrame(pcm, 0))
        try:
            async with asyncio.timeout(conn_options.timeout), aclosing(self.engine.transcribe(heard)) as transcripts:
                said = [transcript async for transcript in transcripts]
        except TimeoutError:
            raise APIError(f"speech to text '{self.model}' took over {conn_options.timeout:g} s") from None
        except QuickturnError as error:
            raise api_error(error) from error
        nothing = stt.SpeechData(language=ENGLISH, text="")
        data = speech_data(said[-1].text, said[-1], 0, from_media_start) if said else nothing
        return stt.SpeechEvent(_Kind.FINAL_TRANSCRIPT, utils.shortuuid("stt_"), [data])


class RecognizeStream(stt.RecognizeStream):
    """One speaker's audio, of any sample rate, as speech events."""

    def __init__(self, plugin: STT, conn_options: APIConnectOptions) -> None:
        super().__init__(stt=plugin, conn_options=conn_options)
        self._plugin = plugin
        self._is_open = False  # whether an utterance has begun and not ended
        self._owes_final = False  # a flush was asked for, and has not been answered

    async def _run(self) -> None:
        incoming = Incoming(self._input_ch, asyncio.get_running_loop().time, self._flushed)
        while incoming.has_more:
            error = await self._hear(self._plugin.listener(), incoming)
            if error is not None:
                raise api_error(error) from error

    def _flushed(self) -> bool:
        """Whether there is anything to end. Who flushes waits for a final transcript, and for seconds if none comes."""
        self._owes_final = True
        if not self._is_open:
            self._send_owed()
        return self._is_open

    async def _hear(self, listener: Listener, incoming: Incoming) -> QuickturnError | None:
        """Hear a stretch to its end, or to the first utterance that could not be understood."""
        begun, utterances = anyio.create_memory_object_stream[Utterance](_UTTERANCES_BOUND)
        failed: QuickturnError | None = None
        async with asyncio.TaskGroup() as tasks, aclosing(incoming.stretch()) as frames, utterances:
            ear = tasks.create_task(listener.listen(frames, begun, finish=True), name="stt-ear")
            async for utterance in utterances:
                self._is_open = True
                failed = await self._tell(utterance, listener, incoming)
                self._is_open = False
                if failed is not None:
                    break
            ear.cancel()  # it has ended, unless an utterance failed
            await asyncio.wait({ear})
        return failed

    async def _tell(self, utterance: Utterance, listener: Listener, incoming: Incoming) -> QuickturnError | None:
        """The events of one utterance; what went wrong, if something did."""
        media, started, transcripts = listener.media, utterance.started_samples, list[Transcript]()
        request_id = utils.shortuuid("stt_")
        captions = CaptionEvents(request_id, lambda samples: self._since_start_s(media.process_time_s(samples)))
        self._send(_Kind.START_OF_SPEECH, request_id, start_s=media.process_time_s(started))
        async for update in utterance:
            match update:
                case Transcript():
                    transcripts.append(update)
                    if (event := captions.partial(update, started)) is not None:
                        self._event_ch.send_nowait(event)
                case TurnEnded(transcript=transcript, speech_end_s=end_s):
                    utterance.close()  # AgentSession decides what becomes of words that follow
                    end = media.samples(end_s)
                    heard = HeardUtterance(media.process_time_s(started), started, end, tuple(transcripts), update)
                    self._plugin.emit("utterance_ended", heard)
                    if transcript.text:
                        event = captions.final(transcript, started)
                        event.speech_end_time = self._wall_s(end_s)
                        self._owes_final = False
                        self._event_ch.send_nowait(event)
                    self._end(request_id, incoming.take_heard_s(), end_s)
                case HearingFailed(error=error):
                    self._end(request_id, incoming.take_heard_s(), None)
                    return error
        return None

    def _end(self, request_id: str, heard_s: float, end_s: float | None) -> None:
        self._send_owed()
        self._send(_Kind.END_OF_SPEECH, request_id, end_s=end_s)
        usage = stt.RecognitionUsage(audio_duration=heard_s)
        self._event_ch.send_nowait(stt.SpeechEvent(_Kind.RECOGNITION_USAGE, recognition_usage=usage))

    def _send_owed(self) -> None:
        if self._owes_final:
            self._owes_final = False
            nothing = stt.SpeechData(language=ENGLISH, text="")
            self._event_ch.send_nowait(stt.SpeechEvent(_Kind.FINAL_TRANSCRIPT, alternatives=[nothing]))

    def _send(
        self, kind: stt.SpeechEventType, request_id: str, *, start_s: float | None = None, end_s: float | None = None
    ) -> None:
        event = stt.SpeechEvent(kind, request_id)
        event.speech_start_time = None if start_s is None else self._wall_s(start_s)
        event.speech_end_time = None if end_s is None else self._wall_s(end_s)
        self._event_ch.send_nowait(event)

    def _since_start_s(self, loop_s: float) -> float:
        """LiveKit's time of a transcript: since the input of the whole session began."""
        return max(0.0, self._wall_s(loop_s) - self.start_time + self.start_time_offset)

    def _wall_s(self, loop_s: float) -> float:
        return time.time() - (asyncio.get_running_loop().time() - loop_s)


async def _heard_at_once(frame: AudioFrame) -> AsyncIterator[Heard]:
    for heard in (SpeechStarted(0), frame, SpeechStopped(frame.end_samples)):
        yield heard


def _check_language(language: NotGivenOr[str]) -> None:
    if utils.is_given(language) and LanguageCode(language).language != "en":
        raise InputError(f"speech to text: language {language!r} is not 'en', the only one that it knows")
