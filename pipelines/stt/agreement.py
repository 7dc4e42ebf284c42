"""Which leading words of a partial transcript will stay, and how the parts of a turn read as one. Text only.

LocalAgreement-2 (Macháček, Dabre and Bojar 2023, "Turning Whisper into Real-Time Transcription System"): what two
consecutive hypotheses over growing audio agree on, from the start, is stable.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from pipelines.events import Word
from pipelines.text import normalise

_END_MARKS = ".?!"

# Speech that resumes with one of these goes on with the sentence before: they rarely begin one that stands apart.
_CONTINUING_WORDS = """
about above across after against along among and around as at because before behind below beside between beyond but by
down during except for from if in inside into like near of off on onto or out over past per since than that then
through till to toward under until up upon when where which while who whose with within without"""
_CONTINUING = frozenset(_CONTINUING_WORDS.split())

# Closed-class words carry no capital inside a sentence. Others keep theirs: "in" | "Paris" must not become "paris".
_CLOSED_CLASS_WORDS = """
a all also an another any are be been both can could did do does each eight either eleven every few fifteen fifty five
forty four had has have he her here his how hundred is it its just many maybe me more most much my nine no not now one
only other our please seven she should six so some ten thank thanks the their them there these they thirty this those
three today tomorrow tonight too twelve twenty two us very was we were what why will would yes yesterday you your"""
_UNCAPITALISED = _CONTINUING | frozenset(_CLOSED_CLASS_WORDS.split())


def agreed(previous: Sequence[Word], current: Sequence[Word]) -> int:
    """How many leading words of `current` are the same as in `previous`, up to case and punctuation."""
    count = 0
    for one, other in zip(previous, current, strict=False):
        if normalise(one.text) != normalise(other.text):
            break
        count += 1
    return count


def join(parts: Iterable[Sequence[Word]]) -> tuple[Word, ...]:
    """The words of a turn whose stretches of speech were decoded apart, written as a speaker who paused meant them.

    A full stop that only a pause had brought is dropped, and a capital that only a new decode had brought made
    small, where the speech plainly goes on: after an unfinished part, or with a word that does not begin a sentence.
    Word counts and times are unchanged.
    """
    joined: list[Word] = []
    for part in parts:
        if part and joined and _goes_on(joined[-1].text, part[0].text):
            joined[-1] = replace(joined[-1], text=joined[-1].text.rstrip("."))
            joined.append(replace(part[0], text=_inside_a_sentence(part[0].text)))
            joined.extend(part[1:])
        else:
            joined.extend(part)
    return tuple(joined)


def _goes_on(last: str, first: str) -> bool:
    if last[-1:] not in _END_MARKS:
        return True
    # A question or an exclamation was heard in the voice: more than a pause ended it.
    return last[-1] == "." and (first[:1].islower() or normalise(first) in _CONTINUING)


def _inside_a_sentence(word: str) -> str:
    return word[:1].lower() + word[1:] if normalise(word) in _UNCAPITALISED else word
