"""Dates, years and times of day as words, in American order. Independent of time zones and calendars."""

import re

from pipelines.spoken.numbers import cardinal, digits, ordinal, plural, year

_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
_MONTH_OF = {name[:3]: name for name in _MONTHS}
_MONTH = (
    r"(?P<month>January|February|March|April|May|June|July|August|September|October|November|December"
    r"|(?:Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept?|Oct|Nov|Dec)\b)"
)
_MONTH_NAME = re.compile(rf"\b{_MONTH}")
_DAY = r"(?P<day>3[01]|[12]\d|0?[1-9])"
_YEAR = r"(?P<year>(?:1[1-9]|20)\d\d)"
_NOT_MORE = r"(?![\d:%/]|[.,]\d)"

_ISO = re.compile(r"\b(?P<year>\d{4})-(?P<m>0[1-9]|1[0-2])-(?P<day>3[01]|[12]\d|0[1-9])(?:T(?=\d\d:)|\b)")
_SLASHED = re.compile(r"(?<![\d/.])(?P<m>\d{1,2})/(?P<day>\d{1,2})/(?P<year>(?:19|20)\d\d|\d\d)(?![\d/])")
_SLASHED_DAY = re.compile(r"(?<=\bon )(?P<m>1[0-2]|0?[1-9])/" + _DAY + r"(?![\d/])")
_MONTH_DAY = re.compile(rf"\b{_MONTH} {_DAY}(?:st|nd|rd|th)?\b{_NOT_MORE}(?:,? {_YEAR}\b{_NOT_MORE})?")
_DAY_MONTH = re.compile(rf"\b{_DAY}(?:st|nd|rd|th)?(?P<of> of)? {_MONTH}(?![\w])(?:,? {_YEAR}\b{_NOT_MORE})?")
_MONTH_YEAR = re.compile(rf"\b{_MONTH},? {_YEAR}\b{_NOT_MORE}")

_DECADE = re.compile(r"(?<![\w.,$€£¥])['’]?(?P<century>1[1-9]|20)?(?P<tens>\d0)['’]?s\b")
_SPAN = re.compile(rf"(?<![\w.,$€£¥-]){_YEAR}(?:\s?[-–—]\s?| to )(?P<to>(?:1[1-9]|20)\d\d|\d\d)(?![\w%]|[.,]\d)")
_PLAIN_YEAR = re.compile(r"(?<![\w.,$€£¥#/:-])(?:1[1-9]|20)\d\d(?![\w%°/:-]|[.,]\d)")
_BEFORE_A_YEAR = re.compile(
    r"\b(?:in|since|by|from|until|till|of|circa|around|before|after|during|year) $", re.IGNORECASE
)

_CLOCK = re.compile(
    r"(?<![\d:.])(?P<hour>2[0-4]|1\d|0?\d):(?P<minute>[0-5]\d)(?::(?P<second>[0-5]\d))?(?![\d:])"
    r"(?:\s?(?P<half>[AaPp])(?:\.[Mm]\.|[Mm]\b))?"
)
_HOUR = re.compile(r"(?<![\w:.])(?P<hour>1[0-2]|0?[1-9])\s?(?P<half>[AaPp])(?:\.[Mm]\.|[Mm]\b)")
_HALF_OF_DAY = re.compile(r"\b(?P<half>[ap])\.m\.", re.IGNORECASE)


def say_dates(text: str) -> str:
    """The 1990s, 3/15/2026, 2026-03-15, Mar 3, the 3rd of March, March 2026; in 13/5/2026 the 13 must be the day."""
    if "-" in text:
        text = _ISO.sub(_numeric_date, text)
    if "/" in text:
        text = _SLASHED.sub(_numeric_date, text)
        text = _SLASHED_DAY.sub(lambda found: f"{_MONTHS[int(found['m']) - 1]} {ordinal(int(found['day']))}", text)
    text = _DECADE.sub(_decade, text)
    if not _MONTH_NAME.search(text):
        return text
    text = _DAY_MONTH.sub(_day_month, text)
    text = _MONTH_DAY.sub(lambda found: _date(_full(found["month"]), int(found["day"]), found["year"]), text)
    return _MONTH_YEAR.sub(lambda found: f"{_full(found['month'])} {year(int(found['year']))}", text)


def say_years(text: str) -> str:
    """1998-2005, 1998; a number from 1100 to 1899 only where a word such as "in" makes it a year."""
    text = _SPAN.sub(_span, text)
    return _PLAIN_YEAR.sub(_year, text)


def say_times(text: str) -> str:
    """3:30 pm, 07:05, 14:00, 3 p.m.; a time at the end of the text keeps the full stop of its "p.m."."""
    if ":" in text:
        text = _CLOCK.sub(_clock, text)
    text = _HOUR.sub(lambda found: f"{cardinal(int(found['hour']))} {_half(found)}", text)
    return _HALF_OF_DAY.sub(_half, text)


def _full(month: str) -> str:
    return _MONTH_OF[month[:3]]


def _date(month: str, day: int, written_year: str | None) -> str:
    return f"{month} {ordinal(day)}" + (f", {year(int(written_year))}" if written_year else "")


def _numeric_date(found: re.Match[str]) -> str:
    month, day = int(found["m"]), int(found["day"])
    if month > 12:
        month, day = day, month
    if not (1 <= month <= 12 and 1 <= day <= 31):
        return found[0]
    written_year = found["year"] if len(found["year"]) == 4 else f"20{found['year']}"
    return _date(_MONTHS[month - 1], day, written_year) + (" at " if found[0].endswith("T") else "")


def _day_month(found: re.Match[str]) -> str:
    month, day = _full(found["month"]), int(found["day"])
    if not found["of"]:
        return _date(month, day, found["year"])
    return f"{ordinal(day)} of {month}" + (f", {year(int(found['year']))}" if found["year"] else "")


def _decade(found: re.Match[str]) -> str:
    if found["century"]:
        return plural(year(int(found["century"] + found["tens"])))
    return plural(cardinal(int(found["tens"]))) if int(found["tens"]) >= 20 else found[0]


def _span(found: re.Match[str]) -> str:
    end = int(found["to"])
    return f"{year(int(found['year']))} to {year(end) if end > 99 else cardinal(end)}"


def _year(found: re.Match[str]) -> str:
    number = int(found[0])
    is_year = number >= 1900 or _BEFORE_A_YEAR.search(found.string, max(0, found.start() - 8), found.start())
    return year(number) if is_year else found[0]


def _half(found: re.Match[str]) -> str:
    """AM or PM: espeak reads "a m" as the article and an m."""
    ends_text = found[0].endswith(".") and found.end() == len(found.string)
    return f"{found['half'].upper()}M{'.' if ends_text else ''}"


def _clock(found: re.Match[str]) -> str:
    hour, minute, second, half = int(found["hour"]), int(found["minute"]), found["second"], found["half"]
    words = cardinal(hour)
    if minute or second:
        words += f" {_sixtieth(minute)}" + (f" and {cardinal(int(second))} seconds" if second else "")
    elif not half:
        words = "midnight" if hour in (0, 24) else f"{words} o'clock" if hour <= 12 else f"{words} hundred"
    return f"{words} {_half(found)}" if half else words


def _sixtieth(minute: int) -> str:
    return cardinal(minute) if minute > 9 else f"oh {cardinal(minute)}" if minute else digits("00")
