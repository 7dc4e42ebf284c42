"""Is the turn over? A pure decision on the length of a silence and the words before it; no I/O, no clock.

A complete sentence earns a short wait, a dangling "and the" a long one, anything else a middle one: the words tell
more about whether somebody has finished than the silence does. It knows nothing of audio.
"""

import re
from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class EndpointingSettings:
    """Silence that ends the turn, in ms, counted from the end of the last voiced window, by completeness of the
    words.
    """

    complete_ms: float = 180
    unknown_ms: float = 600
    dangling_ms: float = 1400


class Completeness(StrEnum):
    """What the words so far promise about more to come."""

    COMPLETE = "complete"
    UNKNOWN = "unknown"
    DANGLING = "dangling"


_NEVER_LAST = frozenset("a an the my your our their and or but because if of to for from with into than at".split())
"""Words on which English does not end an utterance, whatever mark a recogniser puts behind them."""

_SELDOM_LAST = frozenset(
    """
    this that these those his her its some any every each which whose what who where when while why how whether
    is are was were am be do does did can could will would should must have has had let not
    i we he she they it's i'm on in about over through under before after between during near without by so as like
    very really quite just um uh er hmm well
    """.split()
)
"""Words that may end one, but then with a mark behind them: "turn it on.", "yes, I am." """

_LAST_WORD = re.compile(r"([\w']+)\W*$")
_OPEN_END = re.compile(r"(,|;|:|-|–|—|\.\.\.|…)\s*$")
_END_MARK = re.compile(r"[.?!]['\")\]]*\s*$")


def completeness(text: str) -> Completeness:
    """Judge the words of a turn so far; punctuation counts where the speech recogniser writes it."""
    last = _LAST_WORD.search(text.lower())
    if last is None:
        return Completeness.UNKNOWN
    marked = _END_MARK.search(text) is not None
    if _OPEN_END.search(text) or last[1] in _NEVER_LAST or (last[1] in _SELDOM_LAST and not marked):
        return Completeness.DANGLING
    return Completeness.COMPLETE if marked else Completeness.UNKNOWN


def silence_needed_ms(text: str, settings: EndpointingSettings) -> float:
    """How long the silence after these words must last before the turn counts as over."""
    match completeness(text):
        case Completeness.COMPLETE:
            return settings.complete_ms
        case Completeness.DANGLING:
            return settings.dangling_ms
        case Completeness.UNKNOWN:
            return settings.unknown_ms
