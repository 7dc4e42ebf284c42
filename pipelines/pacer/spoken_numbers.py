"""Reads numbers as people say them: "twenty five", "three hundred and six", "45". Pure; English whole numbers only."""

import re

_SMALL = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"),
    *("thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"),
)
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_VALUES = {word: value for value, word in enumerate(_SMALL)} | {word: 20 + 10 * i for i, word in enumerate(_TENS)}
_WORD = "|".join(sorted((*_VALUES, "hundred", "thousand", "million"), key=len, reverse=True))
NUMBER = rf"(?:\d[\d,]*|\b(?:{_WORD})(?:[ -](?:and )?(?:{_WORD}))*\b)"
"""A regular expression for one number in lower or mixed case (use re.IGNORECASE)."""


def parse_number(text: str) -> int | None:
    """The value of what `NUMBER` matches; None for anything else."""
    words = re.findall(r"[a-z]+|\d+", text.lower().replace(",", ""))
    if not words:
        return None
    total = group = 0
    for word in words:
        if word.isdigit():
            group += int(word)
        elif word in _VALUES:
            group += _VALUES[word]
        elif word == "hundred":
            group = max(group, 1) * 100
        elif word in ("thousand", "million"):
            total, group = total + max(group, 1) * (1000 if word == "thousand" else 1_000_000), 0
        elif word != "and":
            return None
    return total + group
