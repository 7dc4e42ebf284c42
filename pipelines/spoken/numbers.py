"""Numbers as American English words. Only the number's own spelling counts, not the text around it."""

from functools import lru_cache

# At module level on purpose: its import takes about 40 ms, which must not fall into the first turn of a conversation.
from num2words.lang_EN import Num2Word_EN

NUMBER = r"(?:(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?|\.\d+)"
"""Regular expression of a number that `number` reads: 7, 1,800, 3.14, .5."""

_ENGLISH = Num2Word_EN()
_LONGEST_CARDINAL = 15
_DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


def _american(words: str) -> str:
    """num2words writes "one thousand, two hundred and five"; Americans skip the "and"; the comma would pause."""
    return words.replace(",", "").replace(" and ", " ")


@lru_cache(maxsize=2048)
def cardinal(number: int) -> str:
    """1205 -> one thousand two hundred five."""
    return _american(_ENGLISH.to_cardinal(number))


@lru_cache(maxsize=512)
def ordinal(number: int) -> str:
    """103 -> one hundred third."""
    return _american(_ENGLISH.to_ordinal(number))


@lru_cache(maxsize=512)
def year(number: int) -> str:
    """1998 -> nineteen ninety-eight, 1905 -> nineteen oh-five, 2005 -> two thousand five."""
    return _american(_ENGLISH.to_year(number))


def digits(text: str) -> str:
    """007 -> zero zero seven; other characters are skipped."""
    return " ".join(_DIGITS[int(char)] for char in text if char.isdecimal())


def number(text: str) -> str:
    """A number as it is written: "1,800", "3.14", ".5", "007".

    Decimals are read one digit at a time, and so is what has more digits than names.
    """
    whole, _, fraction = text.replace(",", "").partition(".")
    is_code = (len(whole) > 1 and whole.startswith("0")) or len(whole) > _LONGEST_CARDINAL
    words = digits(whole) if is_code or not whole else cardinal(int(whole))
    return f"{words} point {digits(fraction)}".lstrip() if fraction else words


def plural(words: str) -> str:
    """Nineteen ninety -> nineteen nineties, half -> halves, foot -> feet, third -> thirds."""
    for singular, many in (("half", "halves"), ("foot", "feet"), ("inch", "inches"), ("hertz", "hertz"), ("y", "ies")):
        if words.endswith(singular):
            return words.removesuffix(singular) + many
    return f"{words}s"
