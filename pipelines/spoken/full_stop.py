"""What a full stop means: the end of a sentence, part of an abbreviation, or not yet known.

Pure functions over English words. They know no stream and no buffer: `pipelines.spoken.sentences` asks them.
"""

import re
from enum import Enum


class FullStop(Enum):
    """What a full stop that is followed by a space says; the last three depend on the word that comes next."""

    END = "the sentence ends"
    GOES_ON = "the sentence goes on"
    END_IF_CAPITAL = "the sentence ends if the next word is neither a number nor in lower case"
    END_IF_NOT_TIME = "the sentence ends if the next word is a capitalised one that does not belong to a time"
    END_IF_STARTER = "the sentence ends if the next word is one that begins sentences and is no name"


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_NEVER_END = _words("Mr Mrs Ms Messrs Prof Rev Hon Gen Col Sgt Capt Lt Gov Sen Rep Mt approx Approx vs cf ca viz")
_BEFORE_A_NUMBER = _words("No Nos no nos Fig Figs fig Vol vol Ch ch Sec Art pp p")
_MAY_END = _words("""
    Dr St Ave Blvd Rd Sr Jr Inc Ltd Co Corp Bros al dept Dept est Est min max sec hr hrs avg lb lbs oz
    Jan Feb Mar Apr Jun Jul Aug Sep Sept Oct Nov Dec Mon Tue Tues Wed Thu Thur Thurs Fri Sat Sun
""")
# After "Rodeo Dr." or "the U.S." one of these begins a sentence; any other capital may be a name ("Dr. Chen").
_STARTERS = _words("""
    The This That These Those It He She We You They I A And But So Or If In On At As For From To With When While Where
    What Why How Who Which There Here Then Now Also However Yes No Not My Your Our His Her Its Their Please Let Do Does
    Did Is Are Was Were Can Could Would Should Have Has After Before Once Because Although Since Until By Just Next
    Finally First Maybe Perhaps Sure Okay OK Well
""")
# After "9 a.m." these belong to the time.
_TIME_GOES_ON = _words("""
    Monday Tuesday Wednesday Thursday Friday Saturday Sunday January February March April May June July August September
    October November December Eastern Central Mountain Pacific EST EDT CST CDT MST MDT PST PDT ET CT PT GMT UTC CET
""")

_LIST_NUMBER = re.compile(r"[\s>#*_+(-]*(?:\d{1,3}|[a-z])")
_DOTTED = re.compile(r"(?:[^\W\d_]{1,2}\.)+[^\W\d_]{1,2}$")
_WORD = re.compile(r"(?<!\w)[^\W\d_]+$")


def full_stop(before: str) -> FullStop:
    """Judge a full stop followed by a space; `before` is the unit so far up to that stop, and without it."""
    if _LIST_NUMBER.fullmatch(before):
        return FullStop.GOES_ON
    if dotted := _DOTTED.search(before):
        match dotted[0].lower():
            case "e.g" | "i.e":
                return FullStop.GOES_ON
            case "a.m" | "p.m":
                return FullStop.END_IF_NOT_TIME
        return FullStop.END_IF_STARTER
    found = _WORD.search(before)
    word = found[0] if found else ""
    if word in _NEVER_END:
        return FullStop.GOES_ON
    if word in _BEFORE_A_NUMBER:
        return FullStop.END_IF_CAPITAL
    if word == "etc":
        return FullStop.END_IF_NOT_TIME
    if word in _MAY_END or (len(word) == 1 and word.isupper()):
        return FullStop.END_IF_STARTER
    return FullStop.END


def ends_before(stop: FullStop, word: str, after: str) -> bool | None:
    """Does the sentence end before `word`?

    `word` holds what has come of the next word, at least one letter or digit, and `after` the character behind it, ""
    while the word is still growing. None means that the whole word is needed.
    """
    if stop is FullStop.END_IF_CAPITAL:
        return not (word[0].islower() or word[0].isdigit())
    if word[0].islower() or word[0].isdigit():
        return False
    if not after:
        return None
    if stop is FullStop.END_IF_NOT_TIME:
        return word not in _TIME_GOES_ON
    is_initial = len(word) == 1 and after == "."
    return word in _STARTERS and not is_initial
