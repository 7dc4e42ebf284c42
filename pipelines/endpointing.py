"""Is the turn over? A pure decision on the length of a silence and the words before it; no I/O, no clock.

A complete sentence earns a short wait, a dangling "and the" a long one, anything else a middle one: the words tell more about
whether somebody has finished than the silence does. It knows nothing of audio.
"""

import re
from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class EndpointingSettings:
    """Silence that ends the turn, in ms, counted from the end of the last voiced window, by completeness of the words."""

    complete_ms: float = 180
    unknown_ms: float = 600
    dangling_ms: float = 1400


class Completeness(StrEnum):
    """What the words so far promise about more to come."""

    COMPLETE = "complete"
    UNKNOWN = "unknown"
    DANGLING = "dangling"


_DANGLING_WORDS = frozenset(
    """
    a an the this that these those my your his her its our their some any every each another no
    and or but so because if when while although unless until than as like whether
    of to in on at for from with without by about into onto over under between through during near before after around
    is are was were be am do does did can could will would should shall may might must have has had let
    i you he she we they it's i'm
    very really quite too more most just maybe also please-and uh um er hmm well
    what which who whose where how why
    """.split()
)
"""Words that English hardly ever ends an utterance on: determiners, conjunctions, prepositions, auxiliaries, fillers."""

_WHOLE_ANSWERS = frozenset("why how what who where when really maybe well so more no".split())
"""Of these, the ones that are an utterance of their own when they stand alone."""

_LAST_WORD = re.compile(r"([\w']+)\W*$")
_OPEN_END = re.compile(r"(,|;|:|-|–|—|\.\.\.|…)\s*$")
_END_MARK = re.compile(r"[.?!]['\")\]]*\s*$")


def completeness(text: str) -> Completeness:
    """Judge the words of a turn so far; punctuation counts where the speech recogniser writes it."""
    last = _LAST_WORD.search(text.lower())
    if last is None:
        return Completeness.UNKNOWN
    if _OPEN_END.search(text):
        return Completeness.DANGLING
    alone = last.start() == 0 or not text[: last.start()].strip()
    if last[1] in _DANGLING_WORDS and not (alone and last[1] in _WHOLE_ANSWERS) and not text.rstrip().endswith("?"):
        return Completeness.DANGLING
    return Completeness.COMPLETE if _END_MARK.search(text) else Completeness.UNKNOWN


def silence_needed_ms(text: str, settings: EndpointingSettings) -> float:
    """How long the silence after these words must last before the turn counts as over."""
    match completeness(text):
        case Completeness.COMPLETE:
            return settings.complete_ms
        case Completeness.DANGLING:
            return settings.dangling_ms
        case Completeness.UNKNOWN:
            return settings.unknown_ms
