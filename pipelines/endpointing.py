"""Is the turn over? A pure decision on the length of a silence and the words before it; no I/O, no clock.

A complete sentence earns a short wait, a dangling "and the" a long one, anything else a middle one: the words tell
more about whether somebody has finished than the silence does. It knows nothing of audio.
"""

import re
from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class EndpointingSettings:
    """Silence that ends the turn, in ms, counted from the end of the last voiced window.

    `complete_ms`, `unknown_ms` and `dangling_ms` go by the words; `wordless_ms` is for the sequential mode, which
    decides before there are any. Speakers also hesitate after words that look complete, so where the recogniser tells
    how sure it is that the sentence has ended, it is complete from `confident_end_probability` on and dangling below
    `likely_end_probability`.
    """

    complete_ms: float = 190
    unknown_ms: float = 750
    dangling_ms: float = 1400
    wordless_ms: float = 500
    transcript_timeout_ms: float = 10_000
    confident_end_probability: float = 0.85
    likely_end_probability: float = 0.5


class Completeness(StrEnum):
    """What the words so far promise about more to come."""

    COMPLETE = "complete"
    UNKNOWN = "unknown"
    DANGLING = "dangling"


_NEVER_LAST = frozenset("a an the my your our their and or but because if".split())
"""Words on which English does not end an utterance, whatever mark a recogniser puts behind them."""

_LAST_IN_QUESTIONS = frozenset("of to for from with into than at".split())
"""Words that may end a question, "where are you from?", but nothing else."""

_SELDOM_LAST = frozenset(
    """
    this that these those his her its some any every each which whose what who where when while why how whether
    is are was were am be do does did can could will would should must have has had let not
    i we he she they it's i'm on in about over through under before after between during near without by so as like
    very really quite just um uh er hmm well
    """.split()
)
"""Words that may end one, but then with a mark behind them: "turn it on.", "yes, I am." """

_WHOLE_ANSWERS = frozenset(
    "yes yeah yep no nope okay ok sure right exactly maybe never thanks hello hi hey bye goodbye stop cancel continue "
    "repeat next help pause resume why how what".split()
)
"""Words that are a turn of their own, mark or no mark."""

_LAST_WORD = re.compile(r"([\w']+)\W*$")
_OPEN_END = re.compile(r"(,|;|:|-|–|—|\.\.\.|…)\s*$")
_END_MARK = re.compile(r"[.?!]['\")\]]*\s*$")


def completeness(text: str) -> Completeness:
    """Judge the words of a turn so far; punctuation counts where the speech recogniser writes it."""
    last = _LAST_WORD.search(text.lower())
    if last is None:
        return Completeness.UNKNOWN
    if _is_whole_answer(text):
        return Completeness.COMPLETE
    marked = _END_MARK.search(text) is not None
    asked = text.rstrip().endswith("?")
    if (
        _OPEN_END.search(text)
        or last[1] in _NEVER_LAST
        or (last[1] in _LAST_IN_QUESTIONS and not asked)
        or (last[1] in _SELDOM_LAST and not marked)
    ):
        return Completeness.DANGLING
    return Completeness.COMPLETE if marked else Completeness.UNKNOWN


def silence_needed_ms(text: str, end_probability: float | None, settings: EndpointingSettings) -> float:
    """How long the silence after these words must last before the turn counts as over.

    `end_probability` is the recogniser's own that the last sentence has ended, None where it does not tell.
    """
    judged = completeness(text)
    if judged is Completeness.DANGLING:
        return settings.dangling_ms
    if end_probability is None or _is_whole_answer(text):
        return settings.complete_ms if judged is Completeness.COMPLETE else settings.unknown_ms
    if end_probability >= settings.confident_end_probability:
        return settings.complete_ms
    return settings.unknown_ms if end_probability >= settings.likely_end_probability else settings.dangling_ms


def _is_whole_answer(text: str) -> bool:
    return text.strip(" .,!?").lower() in _WHOLE_ANSWERS
