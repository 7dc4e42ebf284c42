"""The ear: audio frames -> utterances, each a stream of transcripts that ends when the turn is over.

It joins voice activity, speech to text, the turn detector and endpointing. Independent of the LLM, of answers or
of who is listening.

Lifecycle: `SpeechStarted` opens an utterance and hands it to the session at once (it may be a barge-in); its
recogniser runs as one task of the ear's own TaskGroup. `TurnEnded` says that the turn is over by all that is known;
a user who goes on before anybody has answered takes that back (`SpeechResumed`), and what they say joins the turn. The
utterance is over when the one who answers closes it, or with `HearingFailed`.
"""

import asyncio
import logging
from asyncio import Task, TaskGroup
from collections import deque
from collections.abc import AsyncIterator
from contextlib import aclosing, suppress

import anyio
import numpy as np
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from pipelines.audio import MediaClock
from pipelines.endpointing import EndpointingSettings, Evidence, silence_needed_ms
from pipelines.errors import QuickturnError, StageError
from pipelines.events import (
    SAMPLE_RATE_HZ,
    AudioFrame,
    Clock,
    Heard,
    HearingFailed,
    Pcm,
    SpeechResumed,
    SpeechStarted,
    SpeechStopped,
    Transcript,
    TurnEnded,
)
from pipelines.smart_turn import HEARS_S, TurnDetector
from pipelines.stt import SpeechToText
from pipelines.utterance import Utterance
from pipelines.vad import VoiceActivity

log = logging.getLogger(__name__)

_SAMPLES_PER_MS = SAMPLE_RATE_HZ // 1_000
_PRE_ROLL_SAMPLES = SAMPLE_RATE_HZ * 3 // 10  # before the first voiced window: Silero was up to 0.22 s late on ours
_REMEMBERED_SAMPLES = SAMPLE_RATE_HZ * HEARS_S  # what the turn detector hears; the pre-roll is far less
_HEARD_BOUND = 60_000  # frames for the recogniser: ten minutes of 10 ms; only the sequential mode lets them wait at all
_WORDS_FIRST_MS = 32  # the turn detector gives way to the final decode for a frame of 32 ms, if that is still running
_FORGETTING = 0.8  # of what is known about the speaker's hesitations, a fifth with each turn


class _OpenUtterance:
    """What the ear keeps about the utterance that is being spoken."""

    def __init__(self, started: SpeechStarted) -> None:
        self.utterance = Utterance(started.at_samples)
        self.heard_send: MemoryObjectSendStream[Heard]
        self.heard: MemoryObjectReceiveStream[Heard]
        self.heard_send, self.heard = anyio.create_memory_object_stream[Heard](_HEARD_BOUND)
        self.stopped: SpeechStopped | None = None
        self.paused_s = 0.0
        self.transcript: Transcript | None = None
        self.recogniser: Task[None] | None = None
        self.listened_to: SpeechStopped | None = None  # the pause that the turn detector has been asked about ...
        self.sounds_finished: float | None = None  # ... and its answer
        self.decided_s: float | None = None  # the end of the turn, where it was decided before there were words
        self.is_over = False  # its end has been told, and not been taken back
        self.is_last = False  # no more audio comes: no silence is waited for

    async def hear(self, heard: Heard) -> None:
        """Pass on to the recogniser; an utterance that ended while this waited for room has nothing more to hear."""
        try:
            self.heard_send.send_nowait(heard)
        except anyio.WouldBlock:
            with suppress(anyio.ClosedResourceError, anyio.BrokenResourceError):
                await self.heard_send.send(heard)

    @property
    def final(self) -> Transcript | None:
        """The transcript that covers all the speech before the present pause, once it is there."""
        transcript, stopped = self.transcript, self.stopped
        if transcript is None or stopped is None or not transcript.is_final:
            return None
        return transcript if transcript.audio_end_samples >= stopped.at_samples else None


async def _each(heard: MemoryObjectReceiveStream[Heard]) -> AsyncIterator[Heard]:
    """All that waits at once. anyio hands over one item in a round of the event loop: where rounds take longer than
    frames, its reader would fall behind for good.
    """
    with suppress(anyio.EndOfStream):
        while True:
            try:
                event = heard.receive_nowait()
            except anyio.WouldBlock:
                event = await heard.receive()
            yield event


class Listener:
    """Listens to one input for the length of a conversation.

    With `recognise_while_speaking` off, which may be set between utterances, the recogniser starts only after the end
    of the turn, which is then decided on silence alone: the walkie-talkie of the sequential mode.
    """

    def __init__(
        self,
        vad: VoiceActivity,
        stt: SpeechToText,
        endpointing: EndpointingSettings,
        clock: Clock,
        detector: TurnDetector | None = None,
    ) -> None:
        self.recognise_while_speaking = True
        self._vad = vad
        self._stt = stt
        self._endpointing = endpointing
        self._clock = clock
        self._detector = detector
        self._remembered: deque[AudioFrame] = deque()
        self._open: _OpenUtterance | None = None
        self._now_samples = 0
        self._resumptions = 0.0  # how often the user has gone on after the end of a turn, lately
        self._answered_samples = 0  # up to here, speech belongs to turns that are over
        self.media = MediaClock(clock)

    @property
    def agent_has_floor(self) -> bool:
        """Whether the agent is thinking or speaking, so that speech is an interruption."""
        return self._vad.agent_has_floor

    @agent_has_floor.setter
    def agent_has_floor(self, has: bool) -> None:
        self._vad.agent_has_floor = has

    async def listen(
        self,
        frames: AsyncIterator[AudioFrame],
        utterances: MemoryObjectSendStream[Utterance],
        *,
        finish: bool = False,
    ) -> None:
        """Run until the frames end; an utterance still open then has failed, or with `finish` is all that was said."""
        async with utterances, TaskGroup() as recognisers:
            try:
                async for frame in frames:
                    await self._hear(frame, recognisers, utterances)
                if self._open is not None and finish and not self._open.is_over:
                    await self._finish(self._open, recognisers)
                if self._open is not None and not self._open.is_over:
                    self._fail(StageError("the audio ended before the turn did"))
            finally:
                if self._open is not None:  # cancelled in the middle of an utterance, or nobody can go on with it
                    self._open.utterance.close()
                    self._close()

    async def _hear(
        self, frame: AudioFrame, recognisers: TaskGroup, utterances: MemoryObjectSendStream[Utterance]
    ) -> None:
        if self._open is not None and self._open.is_over and self._open.utterance.is_closed:
            self._resumptions *= _FORGETTING
            self._close()
        self._now_samples = frame.end_samples
        self.media.frame_arrived(frame.end_samples)
        self._remember(frame)
        events = self._vad.hear(frame)
        if self._open is not None:
            await self._open.hear(frame)
        for event in events:
            await self._take(event, recognisers, utterances)
        self._listen_to_the_pause(recognisers)
        self._end_if_over(recognisers)

    async def _finish(self, opened: _OpenUtterance, recognisers: TaskGroup) -> None:
        """End the utterance as soon as it is understood, however short the silence."""
        opened.is_last = True
        if opened.stopped is None:
            opened.stopped, opened.paused_s = SpeechStopped(self._now_samples), self._clock()
            await opened.hear(opened.stopped)
        self._end_if_over(recognisers)
        if self._open is opened and opened.recogniser is not None:
            await asyncio.wait({opened.recogniser}, timeout=self._endpointing.transcript_timeout_ms / 1_000)

    def _remember(self, frame: AudioFrame) -> None:
        self._remembered.append(frame)
        while self._remembered[0].end_samples < frame.end_samples - _REMEMBERED_SAMPLES:
            self._remembered.popleft()

    async def _take(
        self,
        event: SpeechStarted | SpeechStopped,
        recognisers: TaskGroup,
        utterances: MemoryObjectSendStream[Utterance],
    ) -> None:
        match event:
            case SpeechStarted():
                if self._open is None:
                    self._open = await self._begin(event, recognisers)
                    await utterances.send(self._open.utterance)
                else:
                    if self._open.is_over:
                        self._open.utterance.tell(SpeechResumed())
                        self._resumptions += 1
                    self._open.is_over = False
                    self._open.stopped = self._open.decided_s = None
                    self._open.utterance.is_sounding = True
                    await self._open.hear(event)
            case SpeechStopped() if self._open is not None:
                self._open.stopped = event
                self._open.utterance.is_sounding = False
                self._open.paused_s = self._clock()
                await self._open.hear(event)
            case SpeechStopped():
                pass  # the tail of an utterance that was closed by a failure

    async def _begin(self, event: SpeechStarted, recognisers: TaskGroup) -> _OpenUtterance:
        opened = _OpenUtterance(event)
        await opened.hear(event)
        after = max(event.at_samples - _PRE_ROLL_SAMPLES, self._answered_samples)
        for frame in self._remembered:
            if frame.end_samples > after:
                await opened.hear(frame)
        if self.recognise_while_speaking:
            self._recognise(opened, recognisers)
        return opened

    def _recognise(self, opened: _OpenUtterance, recognisers: TaskGroup) -> None:
        name = f"stt@{opened.utterance.started_samples}"
        opened.recogniser = recognisers.create_task(self._transcribe(opened, recognisers), name=name)

    async def _transcribe(self, opened: _OpenUtterance, recognisers: TaskGroup) -> None:
        try:
            async with opened.heard, aclosing(self._stt.transcribe(_each(opened.heard))) as transcripts:
                async for transcript in transcripts:
                    opened.transcript = transcript
                    opened.utterance.tell(transcript)
                    self._listen_to_the_pause(recognisers)
                    self._end_if_over(recognisers)
            if self._open is opened:
                raise StageError(f"speech to text '{self._stt.name}' ended before the turn did")
        except Exception as error:
            if not isinstance(error, QuickturnError):
                log.exception("speech to text failed")
                error = StageError(f"speech to text '{self._stt.name}' failed: {error!r}")
            if self._open is not opened:
                return
            if opened.is_over:  # what was understood is answered; what may still be said is another utterance
                opened.utterance.close()
                self._close()
            else:
                self._fail(error)

    def _listen_to_the_pause(self, tasks: TaskGroup) -> None:
        """Ask the turn detector once a pause, when enough of it has been heard."""
        opened = self._open
        if self._detector is None or not self.recognise_while_speaking or opened is None or opened.stopped is None:
            return
        silent_ms = (self._now_samples - opened.stopped.at_samples) / _SAMPLES_PER_MS
        # The words first: answering waits for them, and on two cores the detector would slow their decode down.
        wanted_ms = self._endpointing.listen_ms + (0 if opened.final is not None else _WORDS_FIRST_MS)
        if opened.listened_to is opened.stopped or silent_ms < wanted_ms:
            return
        opened.listened_to, opened.sounds_finished = opened.stopped, None
        begin = max(opened.utterance.started_samples - _PRE_ROLL_SAMPLES, self._answered_samples)
        pcm = np.concatenate([frame.pcm for frame in self._remembered if frame.end_samples > begin])
        tasks.create_task(self._judge_sound(opened, opened.stopped, self._detector, pcm, tasks), name="turn-detector")

    async def _judge_sound(
        self, opened: _OpenUtterance, stopped: SpeechStopped, detector: TurnDetector, pcm: Pcm, tasks: TaskGroup
    ) -> None:
        try:
            probability = await detector.probability(pcm)
        except Exception:  # the words are enough to go on with
            log.exception("turn detector '%s' failed", detector.name)
            return
        if opened.stopped is stopped:
            opened.sounds_finished = probability
            if self._open is opened:
                self._end_if_over(tasks)

    def _fail(self, error: QuickturnError) -> None:
        assert self._open is not None
        self._open.utterance.tell(HearingFailed(error))
        self._open.utterance.close()
        if self._open.recogniser is not None:
            self._open.recogniser.cancel()  # it may hang, and would keep the session from ending
        self._open.heard.close()  # a recogniser that is cancelled before it began closes nothing
        self._close()

    def _end_if_over(self, recognisers: TaskGroup) -> None:
        opened = self._open
        if opened is None or opened.is_over or opened.stopped is None:
            return
        if self._vad.suspects_speech and not opened.is_last:
            return
        silence_ms = (self._now_samples - opened.stopped.at_samples) * 1_000 / SAMPLE_RATE_HZ
        if opened.recogniser is None:
            if silence_ms >= self._endpointing.wordless_ms:
                opened.decided_s = self._clock()
                self._recognise(opened, recognisers)
            return
        final = opened.final
        if final is None:
            if silence_ms >= self._endpointing.transcript_timeout_ms:
                waited_s = self._endpointing.transcript_timeout_ms / 1_000
                self._fail(
                    StageError(f"speech to text '{self._stt.name}' gave no final transcript within {waited_s:g} s")
                )
            return
        sounds_finished = opened.sounds_finished if opened.listened_to is opened.stopped else None
        heard = Evidence(final.text, final.end_probability, sounds_finished, self._resumptions)
        needed_ms = silence_needed_ms(heard, self._endpointing)
        if not self.recognise_while_speaking:
            needed_ms = self._endpointing.wordless_ms  # decided before there were words
        if opened.is_last:
            needed_ms = 0.0
        if silence_ms >= needed_ms:
            self._end(opened, opened.stopped, final, needed_ms)

    def _end(self, opened: _OpenUtterance, stopped: SpeechStopped, final: Transcript, needed_ms: float) -> None:
        speech_end_s = self.media.process_time_s(stopped.at_samples)
        now_s = self._clock()
        enough_s = max(speech_end_s + needed_ms / 1_000, opened.paused_s)
        # Where the silence was long enough before the words were known, the recogniser was the wait, not the endpoint.
        endpoint_s = opened.decided_s or (enough_s if now_s >= final.ready_s > enough_s else now_s)
        opened.utterance.tell(TurnEnded(final, speech_end_s, opened.paused_s, endpoint_s))
        opened.is_over = True
        if opened.is_last:
            opened.utterance.close()
            self._close()

    def _close(self) -> None:
        assert self._open is not None
        stopped = self._open.stopped
        self._answered_samples = stopped.at_samples if stopped else self._now_samples
        self._open.heard_send.close()
        if self._open.recogniser is None:
            self._open.heard.close()
        self._open = None
