"""The numerals that are neither money, measure nor time: ranges, fractions, versions, ordinals and plain numbers.

It runs last of the number readers: `say_numerals` leaves no digit behind.
"""
# ruff: noqa: RUF001 - typographic dashes and signs are what people write between numbers

import re
from fractions import Fraction
from unicodedata import normalize, numeric

from pipelines.spoken.numbers import NUMBER, cardinal, digits, number, ordinal, plural

_VULGAR = re.compile(r"(?P<whole>\d+)?\s?(?P<vulgar>[¼½¾⅐-⅞])")
_FRACTION = re.compile(r"(?<![\w.,/])(?:(?P<whole>\d+)[ -])?(?P<top>\d{1,4})[/⁄](?P<bottom>\d{1,4})(?![\w/]|[.,]\d)")
_SAID_AS_PAIR = {("24", "7"): "twenty-four seven", ("9", "11"): "nine eleven", ("50", "50"): "fifty-fifty"}

_RANGE = re.compile(r"(?<=[\d%])(?:\s?[–—]\s?|-)(?=[$€£]?\d)|(?<=\d[ap]m)\s?[-–—]\s?(?=\d)", re.IGNORECASE)
_RATIO = re.compile(r"(?<![\w:])(\d{1,3}):(\d{1,3})(?![\d:])")
_MINUS = re.compile(r"(?<![\w.)\]%])[-−](?=\.?\d)")
_SPACED_HYPHEN = re.compile(r"(?<=\d) [-−] (?=\d)")
_ORDINAL = re.compile(r"(?<![\w.])(\d{1,3}(?:,\d{3})+|\d+)(?:st|nd|rd|th)\b", re.IGNORECASE)
_VERSION_PREFIX = re.compile(r"\bv(?=\d)", re.IGNORECASE)
_DOTTED = re.compile(r"(?<![\d.])\d+(?:\.\d+){2,}(?!\d)")
# A single digit and K is a name (a 4K screen, a 5K run), not thousands.
_SCALED = re.compile(rf"(?<![\w.])(?P<number>{NUMBER})(?:(?P<thousand>k|(?<=[\d.]\d)K)|M)\b")
_TIMES = re.compile(rf"(?<![\w.])({NUMBER})[x×](?!\w)")
_SUPERSCRIPT = re.compile(r"(?<=\w)[⁰¹²³⁴⁵⁶⁷⁸⁹]+")
_POWERS = {"2": "squared", "3": "cubed"}
_LONG = re.compile(r"(?<![\d.,])\d{7,}(?![\d.,]*\d)")
_PLAIN = re.compile(NUMBER)
_EXOTIC = re.compile(r"[^\x00-\x7f]")


def say_ranges_and_signs(text: str) -> str:
    """10-12, 9am–5pm -> to; -5 -> minus 5. It comes before measures and times, which then see bare numbers."""
    text = _RANGE.sub(" to ", text)
    text = _SPACED_HYPHEN.sub(" minus " if "=" in text or "−" in text else " to ", text)
    return _MINUS.sub("minus ", text)


def say_numerals(text: str) -> str:
    """Put every numeral left into words; the result holds no digit."""
    if not text.isascii():
        text = _SUPERSCRIPT.sub(_power, _VULGAR.sub(_vulgar, text))
        text = _EXOTIC.sub(_ascii_digit, text)
    if "/" in text or "⁄" in text:
        text = _FRACTION.sub(_fraction, text)
    if ":" in text:
        text = _RATIO.sub(r"\1 to \2", text)
    text = _ORDINAL.sub(lambda found: ordinal(int(found[1].replace(",", ""))), text)
    text = _VERSION_PREFIX.sub("version ", text)
    text = _DOTTED.sub(_dotted, text)
    text = _TIMES.sub(lambda found: f"{number(found[1])} times", text)
    text = _SCALED.sub(
        lambda found: f"{number(found['number'])} {'thousand' if found['thousand'] else 'million'}", text
    )
    text = _LONG.sub(_long, text)
    return _PLAIN.sub(_plain, text)


def _vulgar(found: re.Match[str]) -> str:
    fraction = Fraction(numeric(found["vulgar"])).limit_denominator(10)
    return f"{found['whole'] or ''} {fraction.numerator}/{fraction.denominator}".lstrip()


def _fraction(found: re.Match[str]) -> str:
    """3/4 is three quarters, 9/10 nine out of ten, 120/80 one hundred twenty over eighty."""
    whole, top, bottom = found.group("whole", "top", "bottom")
    if not whole and (top, bottom) in _SAID_AS_PAIR:
        return _SAID_AS_PAIR[top, bottom]
    above, below = int(top), int(bottom)
    if above > below:
        words = f"{cardinal(above)} over {cardinal(below)}"
    elif above == below or below > 9:
        words = f"{cardinal(above)} out of {cardinal(below)}"
    else:
        part = {2: "half", 4: "quarter"}.get(below) or ordinal(below)
        words = f"{cardinal(above)} {part if above == 1 else plural(part)}"
    if not whole:
        return words
    return f"{cardinal(int(whole))} and {'a half' if words == 'one half' else words}"


def _dotted(found: re.Match[str]) -> str:
    """A version such as 1.2.10, read with "point"; four parts are an internet address, read with "dot"."""
    parts = found[0].split(".")
    return (" dot " if len(parts) == 4 else " point ").join(map(number, parts))


def _power(found: re.Match[str]) -> str:
    exponent = normalize("NFKC", found[0])
    return f" {_POWERS.get(exponent, f'to the power of {number(exponent)}')}"


def _ascii_digit(found: re.Match[str]) -> str:
    """Circled, subscript, full-width and other scripts' digits."""
    char = found[0]
    return str(int(numeric(char))) if char.isdigit() else char if not char.isnumeric() or char.isalpha() else " "


def _long(found: re.Match[str]) -> str:
    """Seven digits or more without a separator are an identifier, unless they end in a thousand."""
    return found[0] if found[0].endswith("000") else digits(found[0])


def _plain(found: re.Match[str]) -> str:
    """Set off from letters that touch it: H100 is H one hundred, 8B is eight B."""
    before, after = found.string[: found.start()][-1:], found.string[found.end() : found.end() + 1]
    return f"{' ' if before.isalpha() else ''}{number(found[0])}{' ' if after.isalpha() else ''}"
