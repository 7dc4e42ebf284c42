"""Streaming speech to text with Whisper: decodes of growing audio off the event loop. It knows nothing of
endpointing.

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

    def decode(self, pcm: Pcm, known: Frames | None) -> tuple[tuple[Word, ...], Frames | None]:
        """The words of 16 kHz `pcm`, timed from its first sample, and mel frames for a longer decode of it."""
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
        self._decoder = decoder
        self._settings = settings or StreamingSettings()
        self._clock = clock
        self._pool = UrgentFirstPool(workers, "stt")

    async def transcribe(self, heard: AsyncIterator[Heard]) -> AsyncGenerator[Transcript, None]:
        """See SpeechToText. Stable text is by LocalAgreement-2, word times are from the model's cross-attention."""
        clock = self._clock or asyncio.get_running_loop().time
        turn = SpokenTurn(self._settings)
        reading: asyncio.Task[Heard | None] | None = _read(heard)
        running: _Running | None = None
        try:
            while reading or running:
                waits = {future for future in (reading, running and running.result) if future}
                await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
                if running and running.result.done():
                    finished, running = running, None
                    yield self._transcript(turn, finished, clock)
                if reading and reading.done():
                    event = reading.result()
                    if event is None:
                        reading = None
                        turn.end()
                    else:
                        reading = _read(heard)
                        turn.hear(event)
                if running and turn.is_stale(running.job):
                    running.result.cancel()
                    running = None
                if not running and (job := turn.next_job()):
                    running = self._submit(job, clock)
        finally:
            await _drop(reading, running)

    def _submit(self, job: DecodeJob, clock: Clock) -> _Running:
        work = partial(self._decoder.decode, job.pcm, job.known)
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
            audio_end_samples=finished.job.end_samples,
            started_s=finished.started_s,
            ready_s=clock(),
            words=spoken,
        )


def _read(heard: AsyncIterator[Heard]) -> asyncio.Task[Heard | None]:
    async def read() -> Heard | None:
        return await anext(heard, None)

    return asyncio.create_task(read(), name="stt-input")


async def _drop(reading: asyncio.Task[Heard | None] | None, running: _Running | None) -> None:
    if running:
        running.result.cancel()
    if reading:
        reading.cancel()
        await asyncio.wait({reading})
        if not reading.cancelled():
            reading.exception()
