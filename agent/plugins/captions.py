"""Transcripts of one utterance -> LiveKit's speech events. No I/O and no clock.

AgentSession begins a reply on a PREFLIGHT and gives it up at an INTERIM with other words; a PREFLIGHT once more, or a
FINAL that differs from it in so much as a comma, makes it begin anew. So a preflight stands until the words change,
and the final one has its very text as long as the words are the same.
"""

from collections.abc import Callable

from livekit.agents import LanguageCode, stt
from livekit.agents.tokenize.basic import split_words
from livekit.agents.types import TimedString

from pipelines.events import SAMPLE_RATE_HZ, Transcript
from pipelines.speculation import worth_speculating

ENGLISH = LanguageCode("en")


class CaptionEvents:
    """Makes the events of one utterance; `since_start_s` places media time (samples) within LiveKit's stream."""

    def __init__(self, request_id: str, since_start_s: Callable[[int], float]) -> None:
        self._request_id = request_id
        self._since_start_s = since_start_s
        self._preflight: str | None = None
        self._shown = ""

    def partial(self, transcript: Transcript, started_samples: int) -> stt.SpeechEvent | None:
        """INTERIM, PREFLIGHT where an answer may well be begun, or None if the text tells nothing new."""
        if not transcript.text:
            return None
        if self._preflight is not None and keeps_reply(self._preflight, transcript.text):
            return self._interim(transcript, started_samples)
        if worth_speculating(transcript):
            self._preflight = self._shown = transcript.text
            return self._event(stt.SpeechEventType.PREFLIGHT_TRANSCRIPT, transcript.text, transcript, started_samples)
        self._preflight = None
        return self._interim(transcript, started_samples)

    def final(self, transcript: Transcript, started_samples: int) -> stt.SpeechEvent:
        """FINAL, in the words of the preflight if it stands."""
        text = transcript.text
        if self._preflight is not None and keeps_reply(self._preflight, text):
            text = self._preflight
        return self._event(stt.SpeechEventType.FINAL_TRANSCRIPT, text, transcript, started_samples)

    def _interim(self, transcript: Transcript, started_samples: int) -> stt.SpeechEvent | None:
        if transcript.text == self._shown:
            return None
        self._shown = transcript.text
        return self._event(stt.SpeechEventType.INTERIM_TRANSCRIPT, transcript.text, transcript, started_samples)

    def _event(
        self, kind: stt.SpeechEventType, text: str, transcript: Transcript, started_samples: int
    ) -> stt.SpeechEvent:
        return stt.SpeechEvent(
            type=kind,
            request_id=self._request_id,
            alternatives=[speech_data(text, transcript, started_samples, self._since_start_s)],
        )


def speech_data(
    text: str, transcript: Transcript, started_samples: int, since_start_s: Callable[[int], float]
) -> stt.SpeechData:
    """What was said, with the times of its words. No confidence: none of the engines tells one that means anything."""
    said = transcript.words
    words = [TimedString(w.text, since_start_s(w.start_samples), since_start_s(w.end_samples)) for w in said]
    end_samples = said[-1].end_samples if said else transcript.audio_end_samples
    return stt.SpeechData(
        language=ENGLISH,
        text=text,
        start_time=since_start_s(started_samples),
        end_time=since_start_s(end_samples),
        words=words or None,
    )


def from_media_start(samples: int) -> float:
    """Seconds of a recording."""
    return samples / SAMPLE_RATE_HZ


def keeps_reply(first: str, second: str) -> bool:
    """Whether AgentSession keeps a reply to `first` as one to `second`: it looks past case and punctuation."""
    return _words(first) == _words(second)


def _words(text: str) -> list[str]:
    return [word.casefold() for word, _, _ in split_words(text, ignore_punctuation=True, split_character=True)]
