"""Is the turn over? A pure decision on the words so far and how they sounded: how much silence ends the turn. No I/O,
no clock, no audio.

A complete sentence that sounds finished earns a short wait, a dangling "and the" a long one. Three witnesses are heard,
because none is enough alone: the words, whose full stop a recogniser also puts behind hesitations; the recogniser's
own probability of that full stop; and the turn detector, to which half of the sentences that go on sound finished.
`quickturn endpointing-eval` measures what they are worth together.
"""

import re
from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class EndpointingSettings:
    """Silence that ends the turn, in ms, counted from the end of the last voiced window.

    Complete words end the turn after `sure_ms` if the recogniser is sure of their end mark and they sound finished
    (`sure_sound`). Else a question waits for `likely_ms`, and a statement, which goes on more often, for
    `likely_statement_ms` if it may be finished by its sound (`likely_sound`); where the end mark is in doubt, either
    waits for `doubtful_ms`. A question's mark is sure from `sure_question` and in doubt below `likely_question`, a
    statement's is sure from `statement_mark` and in doubt below. A statement of more than `short_words` is never sure:
    people who tell something pause between its clauses. The turn detector hears `listen_ms` of the silence. A witness
    that says nothing contradicts nothing, but without a turn detector nothing sounds finished.

    Words without an end mark wait for `likely_ms` or `doubtful_ms`, digits or letters that may go on for `list_ms` or
    `dangling_ms`, dangling ones always for `dangling_ms`. `wordless_ms` is for the sequential mode, which decides
    before there are words.

    `patience` lengthens every wait but the dangling one for a speaker who has gone on after the agent took them to
    have finished: by so much each time, at most twofold; a fifth of that is forgotten with each turn.
    """

    sure_ms: float = 220
    likely_ms: float = 600
    likely_statement_ms: float = 1_000
    doubtful_ms: float = 1_300
    list_ms: float = 1_000
    dangling_ms: float = 1_400
    wordless_ms: float = 500
    listen_ms: float = 160
    sure_sound: float = 0.85
    likely_sound: float = 0.5
    sure_question: float = 0.9
    likely_question: float = 0.8
    statement_mark: float = 0.75
    short_words: int = 10
    patience: float = 0.3
    transcript_timeout_ms: float = 10_000


class Completeness(StrEnum):
    """What the words so far promise about more to come."""

    COMPLETE = "complete"
    UNKNOWN = "unknown"
    LIST = "list"
    DANGLING = "dangling"


_NEVER_LAST = frozenset("a an the my your our their and or but because if".split())
"""Words on which English does not end an utterance, whatever mark a recogniser puts behind them."""

_LAST_IN_QUESTIONS = frozenset("of to for from with into than at by about".split())
"""Words that may end a question, "where are you from?", but nothing else."""

_CLAUSES_BEGIN_WITH = frozenset(
    """
    if when whenever while after before once since although though unless until because as in on at with without by for
    from during
    """.split()
)
"""Words that begin a clause or phrase to which the main one is still to come: "if it rains tomorrow." """

_SELDOM_LAST = frozenset(
    """
    this that these those his her its some any every each which whose what who where when while why how whether
    is are was were am be do does did can could will would should must have has had let not
    i we he she they it's i'm on in over through under before after between during near without so as like
    very really quite just um uh er hmm well
    """.split()
)
"""Words that may end one, but then with a mark behind them: "turn it on.", "yes, I am." """

_ASK_FOR_MORE = re.compile(
    r"((tell|show|give|bring|get|send|find|remind|(explain|say) to) (me|us)"
    r"|(was|am|i'm) wondering|i would like|would you mind|can i (have|get)|let me know)$"
)
"""Ends of clauses whose object is still to come: "can you explain to me ..."; a few of them may end a turn."""

_WHOLE_ANSWERS = frozenset(
    "yes yeah yep no nope okay ok sure right exactly maybe never thanks hello hi hey bye goodbye stop cancel continue "
    "repeat next help pause resume why how what".split()
)
"""Words that are a turn of their own, mark or no mark."""

_DIGITS = frozenset("zero oh one two three four five six seven eight nine double triple".split())
_LISTED = frozenset(
    """
    number numbers code codes pin zip postcode card account reference extension phone telephone digits serial password
    id spell spelled spelling spelt letters plate
    """.split()
)
"""Words that announce digits or letters, said one by one with pauses between them."""

_LONGEST_LIST = 10
"""Digits of a telephone number with its area code: who has said so many has said them all, more or less."""

_LAST_WORD = re.compile(r"([\w']+)\W*$")
_ITEM = re.compile(r"[a-z']+|\d+")
_OPEN_END = re.compile(r"(,|;|:|-|–|—|\.\.\.|…)\s*$")
_END_MARK = re.compile(r"[.?!]['\")\]]*\s*$")


def completeness(text: str) -> Completeness:
    """Judge the words of a turn so far; punctuation counts where the speech recogniser writes it."""
    last = _LAST_WORD.search(text.lower())
    if last is None:
        return Completeness.UNKNOWN
    if _is_whole_answer(text):
        return Completeness.COMPLETE
    if _may_go_on_as_a_list(text):
        return Completeness.LIST
    marked = _END_MARK.search(text) is not None
    asked = text.rstrip().endswith("?")
    if (
        _OPEN_END.search(text)
        or last[1] in _NEVER_LAST
        or (last[1] in _LAST_IN_QUESTIONS and not asked)
        or (last[1] in _SELDOM_LAST and not marked)
    ):
        return Completeness.DANGLING
    is_half = not asked and "," not in text and text.lower().split()[0].strip(",.") in _CLAUSES_BEGIN_WITH
    is_half = is_half or _ASK_FOR_MORE.search(" ".join(_ITEM.findall(text.lower())[-3:])) is not None
    return Completeness.COMPLETE if marked and not is_half else Completeness.UNKNOWN


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known about a silence: the words before it, the recogniser's probability that they end with a mark
    (`ends_marked`), the turn detector's that the speaker has finished (`sounds_finished`), each None if nobody says,
    and how often this speaker has lately gone on after a turn was taken for over (`resumptions`).
    """

    text: str
    ends_marked: float | None = None
    sounds_finished: float | None = None
    resumptions: float = 0.0


def silence_needed_ms(heard: Evidence, settings: EndpointingSettings) -> float:
    """How long the silence after these words must last before the turn counts as over."""
    needed_ms = settings.sure_ms if _is_whole_answer(heard.text) else _by_the_witnesses(heard, settings)
    return min(needed_ms * min(2.0, 1 + settings.patience * heard.resumptions), settings.dangling_ms)


def _by_the_witnesses(heard: Evidence, settings: EndpointingSettings) -> float:
    """The table: how complete the words are against how finished they sound."""
    sound = heard.sounds_finished
    sounds_finished = sound is not None and sound >= settings.sure_sound
    match completeness(heard.text):
        case Completeness.COMPLETE:
            return _after_a_sentence(heard, settings, sounds_finished=sounds_finished)
        case Completeness.UNKNOWN:
            return settings.likely_ms if sounds_finished else settings.doubtful_ms
        case Completeness.LIST:
            return settings.list_ms if sounds_finished or sound is None else settings.dangling_ms
        case Completeness.DANGLING:
            return settings.dangling_ms


def _after_a_sentence(heard: Evidence, settings: EndpointingSettings, *, sounds_finished: bool) -> float:
    asked = heard.text.rstrip().endswith("?")
    mark = 1.0 if heard.ends_marked is None else heard.ends_marked
    if mark < (settings.likely_question if asked else settings.statement_mark):
        return settings.doubtful_ms
    # Who has said so much without asking anything is telling something, and pauses between its clauses.
    is_telling = not asked and len(_ITEM.findall(heard.text.lower())) > settings.short_words
    if sounds_finished and not is_telling and (not asked or mark >= settings.sure_question):
        return settings.sure_ms
    if asked:
        return settings.likely_ms
    may_be_finished = heard.sounds_finished is None or heard.sounds_finished >= settings.likely_sound
    return settings.likely_statement_ms if may_be_finished else settings.doubtful_ms


def _is_whole_answer(text: str) -> bool:
    return text.strip(" .,!?").lower() in _WHOLE_ANSWERS


def _may_go_on_as_a_list(text: str) -> bool:
    """Whether the words end in digits or letters said one by one: "four eight", or "the code is 4"."""
    words = _ITEM.findall(text.lower())
    listed = 0
    while words and (words[-1].isdigit() or words[-1] in _DIGITS or len(words[-1]) == 1):
        last = words.pop()
        listed += len(last) if last.isdigit() else 1
    announced = not words or not _LISTED.isdisjoint(words)
    return 0 < listed < _LONGEST_LIST and announced
