"""Streaming speech to text with Whisper: decodes of growing audio off the event loop. Independent of endpointing.

A decode takes the newest audio when the one before has ended, so stale work never queues up; a final decode starts
at the onset of silence and goes before all partials. What is no longer wanted is dropped: an abandoned decode runs
out in its thread unheard.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from pipelines.errors import StageError
from pipelines.events import Clock, Heard, Pcm, Transcript, Word
from pipelines.stt.mel import Frames
from pipelines.stt.pool import UrgentFirstPool
from pipelines.stt.segments import DecodeJob, SpokenTurn, StreamingSettings


class Decoder(Protocol):
    """A blocking recogniser of one stretch of speech."""

    def decode(self, pcm: Pcm, known: Frames | None, *, aligned: bool) -> tuple[tuple[Word, ...], Frames | None]:
        """The words of 16 kHz `pcm`, timed from its first sample, and mel frames for a longer decode of it.

        Where they are not to be `aligned`, rough times will do.
        """
        ...


@dataclass(frozen=True, slots=True)
class _Running:
    job: DecodeJob
    result: asyncio.Future[tuple[tuple[Word, ...], Frames | None]]
    started_s: float


class StreamingWhisper:
    """A SpeechToText over one shared model; any number of turns may be transcribed at once."""

    def __init__(
        self,
        name: str,
        decoder: Decoder,
        *,
        workers: int = 2,
        settings: StreamingSettings | None = None,
        clock: Clock | None = None,
    ) -> None:
        """`workers` is how many decodes run at once; `clock` is the running loop's time unless given."""
        self.name = name
        self.decoder = decoder
        self._settings = settings or StreamingSettings()
        self._clock = clock
        self._pool = UrgentFirstPool(workers, "stt")

    async def transcribe(self, heard: AsyncIterator[Heard]) -> AsyncGenerator[Transcript, None]:
        """See SpeechToText. Stable text is by LocalAgreement-2, word times are from the model's
        cross-attention in long speech, and elsewhere in proportion to the letters."""
        clock = self._clock or asyncio.get_running_loop().time
        turn = SpokenTurn(self._settings)
        news = asyncio.Event()
        hearing = asyncio.create_task(_hear(heard, turn, news), name="stt-input")
        hearing.add_done_callback(lambda _: news.set())
        running: _Running | None = None
        try:
            while running or not hearing.done():
                await news.wait()
                news.clear()
                if running and running.result.done():
                    finished, running = running, None
                    yield self._transcript(turn, finished, clock)
                if hearing.done():
                    hearing.result()
                if running and turn.is_stale(running.job):
                    running.result.cancel()
                    running = None
                if not running and (job := turn.next_job()):
                    running = self._submit(job, clock)
                    running.result.add_done_callback(lambda _: news.set())
        finally:
            await _drop(hearing, running)

    def _submit(self, job: DecodeJob, clock: Clock) -> _Running:
        work = partial(self.decoder.decode, job.pcm, job.known, aligned=job.aligned)
        return _Running(job, asyncio.wrap_future(self._pool.submit(work, urgent=job.stop_samples is not None)), clock())

    def _transcript(self, turn: SpokenTurn, finished: _Running, clock: Clock) -> Transcript:
        try:
            words, frames = finished.result.result()
        except Exception as error:
            raise StageError(f"speech to text ({self.name}) failed: {type(error).__name__}: {error}") from error
        turn.apply(finished.job, words, frames)
        spoken = turn.words()
        texts = [word.text for word in spoken]
        return Transcript(
            text=" ".join(texts),
            stable_text=" ".join(texts[: turn.stable_count()]),
            is_final=turn.is_final(),
            audio_end_samples=turn.heard_samples(finished.job),
            started_s=finished.started_s,
            ready_s=clock(),
            words=spoken,
        )


async def _hear(heard: AsyncIterator[Heard], turn: SpokenTurn, news: asyncio.Event) -> None:
    async for event in heard:
        turn.hear(event)
        news.set()
    turn.end()


async def _drop(hearing: asyncio.Task[None], running: _Running | None) -> None:
    if running:
        running.result.cancel()
    hearing.cancel()
    await asyncio.wait({hearing})
    if not hearing.cancelled():
        hearing.exception()
