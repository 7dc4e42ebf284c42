"""What travels between the stages of a turn.

Frozen values with their units in their names. Media time is counted in samples of the input (`_samples`), process
time in seconds of the one injected monotonic clock (`_s`); the two are never mixed. "Never happened" is None. This
module knows no stage.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from pipelines.errors import QuickturnError

Pcm = NDArray[np.int16]
"""Mono PCM, shape (samples,)."""

Clock = Callable[[], float]
"""Monotonic seconds. In production the running event loop's `time`, in tests a driven one."""

SAMPLE_RATE_HZ = 16_000
"""The one rate inside the pipeline: what Silero, Whisper and Smart Turn take."""


# ---------------------------------------------------------------- audio in, voice activity


@dataclass(frozen=True, slots=True)
class AudioFrame:
    """Captured audio at 16 kHz; `start_samples` is the media time of its first sample."""

    pcm: Pcm
    start_samples: int

    @property
    def end_samples(self) -> int:
        """Media time just after its last sample."""
        return self.start_samples + len(self.pcm)


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """Voice began; `at_samples` is the start of the first voiced window."""

    at_samples: int


@dataclass(frozen=True, slots=True)
class SpeechStopped:
    """Voice paused, for now or for good; `at_samples` is the end of the last voiced window."""

    at_samples: int


Heard = AudioFrame | SpeechStarted | SpeechStopped
"""What a speech-to-text stage listens to."""


# ---------------------------------------------------------------- transcripts


@dataclass(frozen=True, slots=True)
class Word:
    """A word with its media time.

    `end_probability` is how sure the recogniser is that a sentence ends with it; None if it does not tell.
    """

    text: str
    start_samples: int
    end_samples: int
    end_probability: float | None = None


@dataclass(frozen=True, slots=True)
class Transcript:
    """What the user said so far in this turn.

    `text` is all of it and `stable_text` the leading part that is not expected to change any more. `is_final` marks a
    decode of everything up to a `SpeechStopped`; speech that resumes afterwards brings further transcripts, each
    holding the whole turn. `audio_end_samples` is how far it has listened; `started_s` and `ready_s` bound the decode
    in process time.
    """

    text: str
    stable_text: str
    is_final: bool
    audio_end_samples: int
    started_s: float
    ready_s: float
    words: tuple[Word, ...] = ()

    @property
    def end_probability(self) -> float | None:
        """How sure the recogniser is that the last sentence has ended; None if it does not tell."""
        return self.words[-1].end_probability if self.words else None


@dataclass(frozen=True, slots=True)
class TurnEnded:
    """The user has finished. `transcript` is final; the marks are process time.

    `speech_end_s` is the end of the last voiced window, `paused_s` when that was noticed, `endpoint_s` when the
    silence had lasted long enough for these words. The transcript may have come later still: then the recogniser was
    the wait.
    """

    transcript: Transcript
    speech_end_s: float
    paused_s: float
    endpoint_s: float


@dataclass(frozen=True, slots=True)
class SpeechResumed:
    """The user goes on after `TurnEnded`, before the answer was heard: the turn is not over."""


@dataclass(frozen=True, slots=True)
class HearingFailed:
    """The recogniser broke; the utterance cannot be answered."""

    error: QuickturnError


UtteranceUpdate = Transcript | TurnEnded | SpeechResumed | HearingFailed
"""What becomes of an utterance while it is listened to."""


# ---------------------------------------------------------------- the LLM


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A function the model wants called; `arguments_json` is verbatim and not yet validated."""

    call_id: str
    name: str
    arguments_json: str


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """One message of a Chat Completions conversation. `role` is system, user, assistant or tool."""

    role: str
    text: str
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """A function offered to the model; `parameters` is a JSON schema."""

    name: str
    description: str
    parameters: dict[str, object]


@dataclass(frozen=True, slots=True)
class TextDelta:
    """Answer text: the only kind that is spoken and that counts as a first token."""

    text: str


@dataclass(frozen=True, slots=True)
class ReasoningDelta:
    """The model thinking aloud; never spoken, never a first token."""

    text: str


@dataclass(frozen=True, slots=True)
class Usage:
    """The provider's own token count, sent once at the end of a stream; None if it told nothing.

    `completion_tokens` includes `reasoning_tokens`.
    """

    prompt_tokens: int | None
    completion_tokens: int | None
    reasoning_tokens: int | None = None
    cached_tokens: int | None = None


class FailoverAction(StrEnum):
    """What failover decided; each is a line in the trace and in the report."""

    SWITCHED = "switched"
    """The model asked first failed before its first token, and the other is asked instead."""
    HEDGED = "hedged"
    """No first token within the budget: the other is asked too."""
    WON = "won"
    """Of two that were asked, this one's first token came first."""
    KEPT_OUT = "kept_out"
    """The circuit breaker is open, so the primary is not asked at all."""
    PROBED = "probed"
    """The breaker lets one request through to see whether the primary works again."""
    RECOVERED = "recovered"
    """The probe was answered; the primary is back."""
    FINISHED = "finished"
    """The answer broke off after its first words; the standby finishes it from what has been spoken."""


@dataclass(frozen=True, slots=True)
class FailoverDecision:
    """One decision of failover: when (process time), what, which model it turns to by its catalogue name, and why.

    `gave_up` names the model whose request was given up by this after it had been accepted: it is paid all the same.
    """

    at_s: float
    action: FailoverAction
    llm: str
    reason: str
    gave_up: str | None = None


@dataclass(frozen=True, slots=True)
class Answering:
    """The tokens from here on are those of `llm`; told before its first token where several could have answered."""

    llm: str


ChatEvent = TextDelta | ReasoningDelta | ToolCall | Usage | FailoverDecision | Answering
"""What a Chat Completions stream yields; a `ToolCall` comes whole, once its last chunk has arrived.

The last two come of failover alone: one provider by itself never yields them.
"""
