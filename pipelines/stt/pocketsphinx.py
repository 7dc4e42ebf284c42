"""Streaming speech to text with PocketSphinx (optional extra): open vocabulary, lower case, no punctuation.

It decodes while it listens, so a final costs only the last slice. It knows nothing of endpointing.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from typing import Any, TypeVar

import numpy as np

from pipelines.errors import InputError, StageError
from pipelines.events import (
    SAMPLE_RATE_HZ,
    AudioFrame,
    Clock,
    Heard,
    Pcm,
    SpeechStarted,
    SpeechStopped,
    Transcript,
    Word,
)
from pipelines.stt.agreement import agreed

T = TypeVar("T")

_SLICE_SAMPLES = SAMPLE_RATE_HZ // 10
_LEAD_SAMPLES = SAMPLE_RATE_HZ // 5  # an onset is found late: what is kept of a pause
_FRAME_SAMPLES = SAMPLE_RATE_HZ // 100


class PocketSphinx:
    """A SpeechToText; any number of turns may be transcribed at once, two of them truly in parallel."""

    name = "pocketsphinx"

    def __init__(self, *, clock: Clock | None = None) -> None:
        """Load one decoder, about 0.5 s and 100 MB. Raises InputError where the package is missing."""
        if find_spec("pocketsphinx") is None:
            raise InputError(
                "stt 'pocketsphinx' is not installed; right would be: pip install 'quickturn[pocketsphinx]'"
            )
        self._clock = clock
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="pocketsphinx")
        # A decoder holds the state of one utterance, and costs too much to load for each.
        self._idle = [_Utterance()]

    async def transcribe(self, heard: AsyncIterator[Heard]) -> AsyncGenerator[Transcript, None]:
        """See SpeechToText. Stable text is by LocalAgreement-2 over the decoder's own partial hypotheses."""
        clock = self._clock or asyncio.get_running_loop().time
        utterance = self._idle.pop() if self._idle else await self._blocking(_Utterance)
        turn = _Turn(clock)
        async for event in heard:
            match event:
                case AudioFrame():
                    turn.append(event)
                    if turn.is_speaking and len(turn.pending) >= _SLICE_SAMPLES:
                        yield await self._decode(utterance, turn, is_final=False)
                case SpeechStarted():
                    turn.is_speaking = True
                case SpeechStopped():
                    yield await self._decode(utterance, turn, is_final=True)
        if turn.is_speaking:
            yield await self._decode(utterance, turn, is_final=True)
        # Not reached by a turn that was cancelled: a slice of it may still be decoding, so its decoder is let go.
        self._idle.append(utterance)

    async def _decode(self, utterance: "_Utterance", turn: "_Turn", *, is_final: bool) -> Transcript:
        started_s = turn.clock()
        pcm, start = turn.take()
        words = await self._blocking(lambda: utterance.hear(pcm, start, is_final=is_final))
        return turn.transcript(words, started_s, is_final=is_final)

    async def _blocking(self, work: Callable[[], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        except RuntimeError as error:
            raise StageError(f"speech to text (pocketsphinx) failed: {error}") from error


class _Turn:
    """Audio not yet decoded and words already understood."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.pending = np.zeros(0, np.int16)
        self.is_speaking = False
        self._end_samples = 0
        self._finished: tuple[Word, ...] = ()
        self._current: tuple[Word, ...] = ()

    def append(self, frame: AudioFrame) -> None:
        self.pending = np.concatenate([self.pending, frame.pcm])
        self._end_samples = frame.end_samples
        if not self.is_speaking:
            self.pending = self.pending[-_LEAD_SAMPLES:]

    def take(self) -> tuple[Pcm, int]:
        """The audio that waits, and its media time."""
        pcm, self.pending = self.pending, self.pending[:0]
        return pcm, self._end_samples - len(pcm)

    def transcript(self, words: tuple[Word, ...], started_s: float, *, is_final: bool) -> Transcript:
        stable = len(words) if is_final else agreed(self._current, words)
        spoken = self._finished + words
        texts = [word.text for word in spoken]
        self._current = words
        if is_final:
            self._finished, self._current, self.is_speaking = spoken, (), False
        return Transcript(
            text=" ".join(texts),
            stable_text=" ".join(texts[: len(texts) - len(words) + stable]),
            is_final=is_final,
            audio_end_samples=self._end_samples,
            started_s=started_s,
            ready_s=self.clock(),
            words=spoken,
        )


class _Utterance:
    """One decoder and the stretch of speech that it is in the middle of. Blocking."""

    def __init__(self) -> None:
        from pocketsphinx import Decoder

        self._decoder: Any = Decoder(samprate=SAMPLE_RATE_HZ, loglevel="FATAL")
        self._start_samples: int | None = None

    def hear(self, pcm: Pcm, start_samples: int, *, is_final: bool) -> tuple[Word, ...]:
        """Decode a slice that begins at media time `start_samples`; all words of the stretch of speech so far."""
        if self._start_samples is None:
            self._start_samples = start_samples
            self._decoder.start_utt()
        origin = self._start_samples
        if len(pcm):
            self._decoder.process_raw(pcm.tobytes())
        if is_final:
            self._decoder.end_utt()
            self._start_samples = None
        return tuple(self._words(origin))

    def _words(self, origin: int) -> list[Word]:
        if self._decoder.hyp() is None:
            return []
        # Fillers such as <sil> and [SPEECH] are no words; "tomorrow(2)" is a second pronunciation.
        return [
            Word(
                segment.word.partition("(")[0],
                origin + segment.start_frame * _FRAME_SAMPLES,
                origin + (segment.end_frame + 1) * _FRAME_SAMPLES,
            )
            for segment in self._decoder.seg()
            if segment.word[0] not in "<[+"
        ]
