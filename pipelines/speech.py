"""Sentences into samples: the one place where text is made speakable, synthesized, resampled and trimmed."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass

from pipelines.audio import Resampler, first_audible_sample
from pipelines.errors import StageError
from pipelines.events import Clock, Pcm
from pipelines.spoken.speakable import speakable
from pipelines.stopwatch.marks import Unit
from pipelines.tts import TextToSpeech

_LEAD_MS = 10  # of the silence before the first word is kept, so that no soft onset is cut


@dataclass(frozen=True, slots=True)
class SpeechPiece:
    """Some of the speech of a sentence; `last` marks its end, if that is known."""

    unit: Unit
    pcm: Pcm
    last: bool


class Speech:
    """The speech of one answer, sentence after sentence, without the silence before its first word.

    `units` are the sentences that have a sound, each with its marks in process time. `timeout_s` is the synthesizer's
    time for each piece.
    """

    def __init__(self, tts: TextToSpeech, rate_hz: int, clock: Clock, timeout_s: float) -> None:
        self.units: list[Unit] = []
        self.has_sound = False
        self._tts = tts
        self._rate_hz = rate_hz
        self._clock = clock
        self._timeout_s = timeout_s

    async def say(self, text: str) -> AsyncGenerator[SpeechPiece]:
        """The speech of a sentence as the LLM wrote it; nothing for what cannot be said, such as an emoji.

        Raises what `speech_at` raises.
        """
        if not (spoken := speakable(text)):
            return
        unit = Unit(text, self._clock())
        async with aclosing(speech_at(self._rate_hz, self._tts, spoken, self._timeout_s)) as pieces:
            async for raw, last in pieces:
                pcm = self._without_leading_silence(raw)
                if not len(pcm):
                    continue
                if unit.first_pcm_s is None:
                    unit.first_pcm_s = self._clock()
                    self.units.append(unit)
                yield SpeechPiece(unit, pcm, last)
        unit.tts_ended_s = self._clock()

    def _without_leading_silence(self, pcm: Pcm) -> Pcm:
        if self.has_sound:
            return pcm
        audible = first_audible_sample(pcm, self._rate_hz)
        if audible is None:
            return pcm[:0]
        self.has_sound = True
        return pcm[max(0, audible - self._rate_hz * _LEAD_MS // 1_000) :]


async def speech_at(rate_hz: int, tts: TextToSpeech, text: str, timeout_s: float) -> AsyncGenerator[tuple[Pcm, bool]]:
    """The speech of `text`, piece by piece, at another rate, each with whether it is known to be the last.

    Raises StageError if a piece takes longer than `timeout_s`, and what the synthesizer raises.
    """
    resampler = Resampler(tts.sample_rate_hz, rate_hz)
    async with aclosing(tts.synthesize(text)) as pieces:
        while (raw := await _next_piece(pieces, timeout_s)) is not None:
            yield resampler.push(raw), False
        yield resampler.flush(), True


async def _next_piece(pieces: AsyncIterator[Pcm], timeout_s: float) -> Pcm | None:
    """The next piece of speech, None after the last."""
    try:
        async with asyncio.timeout(timeout_s):
            return await anext(pieces, None)
    except TimeoutError:
        raise StageError(f"no speech within {timeout_s:g} s (reply.tts_timeout_s)") from None
