"""Speech to text: one file per engine behind one Protocol. Independent of turns or endpointing."""

from collections.abc import AsyncGenerator, AsyncIterator
from typing import Protocol

from pipelines.events import Heard, Transcript


class SpeechToText(Protocol):
    """A streaming speech recogniser.

    `transcribe` is called once per turn. Its input begins with `SpeechStarted`, followed by the audio frames from a
    little before that onset on, without a gap; each `SpeechStopped` asks for the final decode of the speech so far at
    once (it is the onset of silence, so the decode hides behind the endpointing delay); a further `SpeechStarted`
    says that the same turn goes on. The turn is over when the input ends. Every transcript holds the whole turn so
    far. Raises StageError.
    """

    name: str

    def transcribe(self, heard: AsyncIterator[Heard]) -> AsyncGenerator[Transcript]:
        """Yield growing partial transcripts, and a final one for each pause."""
        ...
