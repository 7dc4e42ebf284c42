"""The numerals that are neither money, measure nor time: ranges, fractions, versions, ordinals and plain numbers.

It runs last of the number readers: `say_numerals` leaves no digit behind.
"""

import re
from fractions import Fraction
from unicodedata import normalize, numeric

from pipelines.spoken.numbers import NUMBER, cardinal, digits, number, ordinal, plural

_VULGAR = re.compile(r"(?:(?P<whole>\d+)\s?)?(?P<vulgar>[¼½¾⅐-⅞])")
_FRACTION = re.compile(
    r"(?<![\w.,/])(?:(?P<whole>\d+)[ -])?(?P<top>\d{1,4}(?:\.\d+)?)[/⁄](?P<bottom>\d{1,4})(?![\w/]|[.,]\d)"
)
_SAID_AS_PAIR = {("24", "7"): "twenty-four seven", ("9", "11"): "nine eleven", ("50", "50"): "fifty-fifty"}

_RANGE = re.compile(
    r"(?<=[\d%])(?:\s?[–—]\s?|-)(?=[$€£]?\d)|(?:(?<=\d[ap]m)|(?<=\d [ap]m)|(?<=[ap]\.m\.))\s?[-–—]\s?(?=\d)",
    re.IGNORECASE,
)
_RATIO = re.compile(r"(?<![\w:.])(\d{1,3}):(\d{1,3})(?![\d:])")
_MINUS = re.compile(r"(?<![\w.)\]%])[-−](?=\.?\d)")
_DASH = re.compile(r"[-−–—]")
_SPACED_HYPHEN = re.compile(r"(?<=\d) [-−] (?=\d)")
_ORDINAL = re.compile(r"(?<![\w.])(\d{1,3}(?:,\d{3})+|\d{1,12})(?:st|nd|rd|th)\b", re.IGNORECASE)
_VERSION_PREFIX = re.compile(r"\bv(?=\d)", re.IGNORECASE)
_DOTTED = re.compile(r"(?<![\d.])\d+(?:\.\d+){2,}(?!\d)")
# A single digit and K is a name (a 4K screen, a 5K run), not thousands.
_SUFFIXED = re.compile(rf"(?<![\w.])({NUMBER})(k|(?<=[\d.]\d)K|M|x|×)(?!\w)")
_SUFFIXES = {"k": "thousand", "K": "thousand", "M": "million", "x": "times", "×": "times"}
_SUPERSCRIPT = re.compile(r"(?<=\w)[⁰¹²³⁴⁵⁶⁷⁸⁹]+")
_POWERS = {"2": "squared", "3": "cubed"}
_ROMAN_VALUES = {"I": 1, "V": 5, "X": 10}
_ROMAN = re.compile(
    r"\b(?P<name>(?P<regent>Henry|Louis|Charles|George|William|Edward|James|Richard|Elizabeth|Philip|Paul|John|Pius"
    r"|Benedict|Napoleon|Frederick|Catherine|Nicholas|Alexander|Leo|Gregory|Francis)|[A-Z][a-z]+) "
    r"(?P<roman>(?=[IVX]{2})X{0,2}(?:IX|IV|V?I{0,3})"
    r"|(?<=War )I|(?<=Part )[IVX]|(?<=Chapter )[IVX]|(?<=Act )[IVX]|(?<=Type )I)\b(?![.'’-])"
)
_LONG = re.compile(r"(?<![\d.,])\d{7,}(?![\d.,]*\d)")
_PLAIN = re.compile(NUMBER)
_LONE_A = re.compile(r"\bA$")
_EXOTIC = re.compile(r"[^\x00-\x7f]")


def say_ranges_and_signs(text: str) -> str:
    """10-12, 9am–5pm -> to; -5 -> minus 5; ½ -> 1/2: measures and times, read later, then see bare numbers."""
    if not text.isascii():
        text = _VULGAR.sub(_vulgar, text)
    if not _DASH.search(text):
        return text
    text = _RANGE.sub(" to ", text)
    text = _SPACED_HYPHEN.sub(" minus " if "=" in text or "−" in text else " to ", text)
    return _MINUS.sub("minus ", text)


def say_numerals(text: str) -> str:
    """Put every numeral left into words; the result holds no digit."""
    if not text.isascii():
        text = _SUPERSCRIPT.sub(_power, text)
        text = _EXOTIC.sub(_ascii_digit, text)
    if "/" in text or "⁄" in text:
        text = _FRACTION.sub(_fraction, text)
    if ":" in text:
        text = _RATIO.sub(r"\1 to \2", text)
    text = _ORDINAL.sub(lambda found: ordinal(int(found[1].replace(",", ""))), text)
    text = _VERSION_PREFIX.sub("version ", text)
    text = _DOTTED.sub(_dotted, text)
    text = _SUFFIXED.sub(lambda found: f"{number(found[1])} {_SUFFIXES[found[2]]}", text)
    text = _LONG.sub(_long, text)
    return _PLAIN.sub(_plain, text)


def say_roman_numerals(text: str) -> str:
    """World War II, Chapter IV, Henry VIII; a lone "I" only after a word that is numbered."""
    return _ROMAN.sub(_roman, text)


def _roman(found: re.Match[str]) -> str:
    value = sum(_ROMAN_VALUES[sign] for sign in found["roman"])
    value -= 2 * sum(found["roman"].count(pair) * _ROMAN_VALUES[pair[0]] for pair in ("IV", "IX"))
    return f"{found['name']} the {ordinal(value)}" if found["regent"] else f"{found['name']} {cardinal(value)}"


def _vulgar(found: re.Match[str]) -> str:
    fraction = Fraction(numeric(found["vulgar"])).limit_denominator(10)
    return f"{found['whole'] or ''} {fraction.numerator}/{fraction.denominator}".lstrip()


def _fraction(found: re.Match[str]) -> str:
    """3/4 is three quarters, 9/10 nine out of ten, 120/80 one hundred twenty over eighty."""
    whole, top, bottom = found.group("whole", "top", "bottom")
    if not whole and (top, bottom) in _SAID_AS_PAIR:
        return _SAID_AS_PAIR[top, bottom]
    if "." in top:
        return f"{number(top)} out of {number(bottom)}"
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
    return f"{number(whole)} and {'a half' if words == 'one half' else words}"


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
    before, after = found.string[: found.start()], found.string[found.end() : found.end() + 1]
    # A lone A would be an article: A1 is A-one.
    gap = "-" if _LONE_A.search(before) else " " if before[-1:].isalpha() else ""
    return f"{gap}{number(found[0])}{' ' if after.isalpha() else ''}"
