"""Text to what is said: makes one unit of an LLM's reply fit for espeak-ng and Piper.

It decides only the order in which the readers of `pipelines.spoken` see the text: what has the narrowest form goes
first, so that a date is not read as a fraction nor a telephone number as a range. American English; it knows no other
language. It does not know where sentences end (`pipelines.spoken.sentences`) or who synthesizes them.
"""

import re

from pipelines.spoken.addresses import say_addresses, say_phone_numbers
from pipelines.spoken.markdown import plain_text
from pipelines.spoken.measures import say_measures, say_rates
from pipelines.spoken.money import say_money
from pipelines.spoken.names import say_abbreviations, say_acronyms
from pipelines.spoken.numerals import say_numerals, say_ranges_and_signs, say_roman_numerals
from pipelines.spoken.times import say_dates, say_times, say_years

_SYMBOLS = {
    **{
        "&": "and",
        "+": "plus",
        "±": "plus or minus",
        "×": "times",
        "÷": "divided by",
        "^": "to the power of",
        "√": "root",
    },
    **{"=": "equals", "==": "equals", "!=": "does not equal", "≠": "does not equal", "≈": "is about", ">": "is over"},
    **{
        "<": "is under",
        ">=": "is at least",
        "≥": "is at least",
        "<=": "is at most",
        "≤": "is at most",
        "∞": "infinity",
    },
    **{
        "->": "to",
        "=>": "to",
        "→": "to",
        "⇒": "to",
        "@": "at",
        "§": "section",
        "°": "degrees",
        "%": "percent",
        "π": "pi",
    },
}
_SYMBOL = re.compile("|".join(sorted(map(re.escape, _SYMBOLS), key=len, reverse=True)))
_ABOUT = re.compile(r"(?<!\w)~\s?(?=[$€£]?\d)")
_NUMBER_SIGN = re.compile(r"(?<!\w)#(?=\d)")
_SHARP = re.compile(r"\b([A-G])#(?!\w)")
_SLASHED = {"w/": "with", "w/o": "without", "n/a": "not applicable", "and/or": "and or", "he/she": "he or she"}
_SLASHED_WORD = re.compile(r"(?<![\w/])(?:w/o?|n/a|and/or|he/she)(?![\w/])", re.IGNORECASE)
_SLASH = re.compile(r"\s*/\s*")

_NUMERIC = re.compile(r"[\d²³¹¼½¾⁰-₉⅐-↏①-⓿❶-➓]")
_LINE_END = re.compile(r"(?<=[^\s.!?:;,…])[ \t]*\n\s*")
_SPACED_DASH = re.compile(r"(?<=\w) -+ (?=\w)")
_UNSPEAKABLE = re.compile(r"[\[\]{}<>|\\^_*`~#$€£¥₹]+")
_SPACE_BEFORE_MARK = re.compile(r"\s+(?=[,.;:!?…)](?:\s|$))")
_REPEATED_MARK = re.compile(r"([,;:!?])(?:\s*[,;:!?])+|,\s*(?=\.(?:\s|$))|(?<=\.)\s*,")
_EMPTY_BRACKETS = re.compile(r"\(\s*\)")
_LEADING_MARKS = re.compile(r"^[\s,;:.!?)…—–-]+")


def speakable(text: str) -> str:
    """Put one unit into words: no digit, no Markdown, no emoji, no symbol is left.

    "" means that nothing can be spoken. Plain prose comes back as it is, apart from surplus space.
    """
    text = say_abbreviations(say_addresses(plain_text(text)))
    text = _ABOUT.sub("about ", text)
    if _NUMERIC.search(text):
        text = _say_numbers(text)
    text = say_acronyms(say_roman_numerals(_say_slashes(text)))
    text = _tidy(text)
    return text if any(char.isalnum() for char in text) else ""


def _say_numbers(text: str) -> str:
    text = say_dates(say_phone_numbers(text))
    text = say_ranges_and_signs(text)
    text = say_measures(say_times(say_money(text)))
    text = _NUMBER_SIGN.sub("number ", say_years(text))
    return say_numerals(text)


def _say_slashes(text: str) -> str:
    """Between words that are left, a slash is a short pause: "TCP/IP", "input/output"."""
    if "/" not in text:
        return text
    text = _SLASHED_WORD.sub(lambda found: _SLASHED[found[0].lower()], say_rates(text))
    return _SLASH.sub(" ", text)


def _tidy(text: str) -> str:
    text = _LINE_END.sub(". ", text.strip())
    text = _SYMBOL.sub(lambda found: f" {_SYMBOLS[found[0]]} ", _SHARP.sub(r"\1 sharp", text))
    text = _SPACED_DASH.sub(", ", text)
    text = _EMPTY_BRACKETS.sub(" ", _UNSPEAKABLE.sub(" ", text))
    text = _REPEATED_MARK.sub(r"\1", _SPACE_BEFORE_MARK.sub("", text))
    return " ".join(_LEADING_MARKS.sub("", text).split())
