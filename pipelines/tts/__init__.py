"""Text to speech behind one Protocol. Independent of turns, sentences or devices.

`piper` is the engine. It loads one of `voices`: a whole one, or one that has been `cut` in parts, which `cut_cache`
keeps, and speaks by `windows`.
"""

from collections.abc import AsyncGenerator
from typing import Protocol

from pipelines.events import Pcm


class TextToSpeech(Protocol):
    """A speech synthesizer; `sample_rate_hz` is the rate of the PCM that it yields."""

    name: str
    sample_rate_hz: int

    def synthesize(self, text: str) -> AsyncGenerator[Pcm]:
        """Yield the PCM of one speakable unit in pieces as they are ready; nothing for text without sound.

        Raises StageError.
        """
        ...
