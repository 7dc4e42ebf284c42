"""Does the user take the floor? What is said while the agent speaks: an interruption, or a sound that changes nothing.

Pure decision on words and time; it hears no audio and stops nobody. The agent has already fallen silent when this is
asked, so a wrong "not yet" costs no politeness, and a wrong "no" is mended by the next words.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto

from pipelines.events import SAMPLE_RATE_HZ, Transcript
from pipelines.text import normalise

_BACKCHANNELS = {
    tuple(phrase.split())
    for phrase in (
        "uh huh, uhhuh, uh, um, mm, mhm, mm hmm, mmhmm, hm, hmm, ah, aha, oh, huh, yeah, yep, yes, ok, okay, right, "
        "all right, alright, sure, i see, got it, wow, great, good, nice, cool, really, exactly, of course, go on, "
        "thanks, thank you"
    ).split(", ")
}
"""What listeners say to show that they listen (Yngve 1970, "On getting a word in edgewise")."""

_STOPS = {("stop",), ("wait",), ("no",), ("hold", "on"), ("quiet",), ("hey",), ("excuse", "me"), ("sorry",), ("pause",)}
_ECHO_SHARE = 0.7
_ECHO_WORDS = 3
_FASTEST_WORDS_PER_S = 8  # nobody speaks so fast, but recognisers make whole sentences of a grunt


@dataclass(frozen=True, slots=True)
class BargeInSettings:
    """`min_words`: fewer interrupt only where they ask to stop, for recognisers often take a grunt for a word.

    `min_speech_ms`: words that go on for so long are no backchannel, even before the pause after them. `resume_ms`: the
    agent goes on after so long a silence of its own if no word has been understood. `settle_ms`: what was no
    interruption must have been over for so long before the agent goes on, for a voice may stop for a moment inside its
    words. `reaction_ms`: what begins sooner after the agent is a reaction to nothing it has said (people take 200 ms
    and more: Stivers et al. 2009, "Universals and cultural variation in turn-taking in conversation"), so the user goes
    on with their own words, however few.
    """

    min_words: int = 2
    min_speech_ms: float = 500.0
    resume_ms: float = 2_000.0
    settle_ms: float = 120.0
    reaction_ms: float = 200.0


class Verdict(Enum):
    """What to do with the floor."""

    WAIT = auto()
    """Too little has been heard."""
    TAKEN = auto()
    """The user interrupts."""
    FALSE_START = auto()
    """The agent goes on where it was."""


def judge(
    heard: Transcript, started_samples: int, after_ms: float | None, saying: str, settings: BargeInSettings
) -> Verdict:
    """What a transcript of speech that began at `started_samples` means while the agent is `saying` something.

    `after_ms` is how long after the first audible sample of the agent it began, None if the agent has not been heard.
    """
    words = normalise(heard.text).split()
    spoken_ms = (heard.audio_end_samples - started_samples) * 1_000 / SAMPLE_RATE_HZ
    made_up = len(words) > 1 + _FASTEST_WORDS_PER_S * spoken_ms / 1_000
    own = normalise(saying).split()
    at_once = after_ms is not None and after_ms < settings.reaction_ms
    # At once, echo cancellation may not have learnt the room yet: then even a word of the agent's own is its echo.
    is_echo = after_ms is not None and _are_own(words, own) and (at_once or len(words) >= _ECHO_WORDS)
    if words and not made_up and not is_echo and (at_once or after_ms is None):
        return Verdict.TAKEN
    if not words or made_up or is_echo or _is_backchannel(words):
        return Verdict.FALSE_START if heard.is_final else Verdict.WAIT
    enough = len(words) >= settings.min_words and (heard.is_final or spoken_ms >= settings.min_speech_ms)
    if enough or _asks_to_stop(words):
        return Verdict.TAKEN
    return Verdict.FALSE_START if heard.is_final else Verdict.WAIT


def _is_backchannel(words: Sequence[str]) -> bool:
    """Whether it is nothing but backchannels, perhaps several in a row."""
    if not words:
        return True
    return any(
        tuple(words[:n]) in _BACKCHANNELS and _is_backchannel(words[n:]) for n in range(1, min(3, len(words)) + 1)
    )


def _asks_to_stop(words: Sequence[str]) -> bool:
    return any(tuple(words[: len(stop)]) == stop for stop in _STOPS)


def _are_own(words: Sequence[str], saying: Sequence[str]) -> bool:
    """Whether the microphone may have heard the agent itself: most words are its own."""
    own = set(saying)
    return bool(words) and sum(word in own for word in words) / len(words) >= _ECHO_SHARE
