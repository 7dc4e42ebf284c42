"""Measures as words: a number and its unit, a rate per something, a height. Independent of money and times of day."""

import re

from pipelines.spoken.numbers import NUMBER, number, plural

_UNITS = {
    **{"km": "kilometer", "m": "meter", "cm": "centimeter", "mm": "millimeter", "nm": "nanometer", "mi": "mile"},
    **{"ft": "foot", "yd": "yard", "kg": "kilogram", "g": "gram", "mg": "milligram", "lb": "pound", "lbs": "pound"},
    **{"oz": "ounce", "L": "liter", "l": "liter", "ml": "milliliter", "mL": "milliliter", "gal": "gallon"},
    **{"tbsp": "tablespoon", "tsp": "teaspoon", "ha": "hectare", "ns": "nanosecond", "ms": "millisecond"},
    **{"μs": "microsecond", "µs": "microsecond", "us": "microsecond", "s": "second", "sec": "second", "secs": "second"},
    **{"min": "minute", "mins": "minute", "h": "hour", "hr": "hour", "hrs": "hour"},
    **{"KB": "kilobyte", "kB": "kilobyte", "MB": "megabyte", "GB": "gigabyte", "TB": "terabyte", "PB": "petabyte"},
    **{"KiB": "kibibyte", "MiB": "mebibyte", "GiB": "gibibyte"},
    **{"Hz": "hertz", "kHz": "kilohertz", "MHz": "megahertz", "GHz": "gigahertz", "dB": "decibel", "px": "pixel"},
    **{"W": "watt", "kW": "kilowatt", "MW": "megawatt", "kWh": "kilowatt hour", "V": "volt", "mAh": "milliamp hour"},
    **{"cal": "calorie", "kcal": "kilocalorie", "tok": "token", "tokens": "token", "req": "request"},
    **{"requests": "request", "words": "word", "frames": "frame", "°C": "degree Celsius", "°F": "degree Fahrenheit"},
    **{"°": "degree", "℃": "degree Celsius", "℉": "degree Fahrenheit", "%": "percent"},
}
_RATES = {
    **{"mph": "mile per hour", "kph": "kilometer per hour", "kmh": "kilometer per hour", "fps": "frame per second"},
    **{"rpm": "revolution per minute", "bpm": "beat per minute", "wpm": "word per minute"},
    **{"kbps": "kilobit per second", "Mbps": "megabit per second", "Gbps": "gigabit per second"},
}
_PER = {
    **{"s": "second", "sec": "second", "min": "minute", "h": "hour", "hr": "hour", "mo": "month", "yr": "year"},
    **{"kg": "kilogram", "g": "gram", "lb": "pound", "L": "liter", "l": "liter", "tok": "token"},
    **{name: name for name in ("second", "minute", "hour", "day", "night", "week", "month", "year", "person", "token")},
}
_POWERS = {"²": "square ", "³": "cubic "}


def _one_of(names: dict[str, str]) -> str:
    return "|".join(sorted(map(re.escape, names), key=len, reverse=True))


_MEASURE = re.compile(
    rf"(?<![\w./])(?P<number>(?:\d+ )?\d+/\d+|{NUMBER})(?P<scale>\s(?:hundred|thousand|million|billion|trillion)\b)?"
    rf"(?P<gap>[ -]?)(?:(?P<rate>{_one_of(_RATES)})|(?P<unit>{_one_of(_UNITS)})(?P<power>[²³])?)"
    rf"(?:\s?/\s?(?P<per>{_one_of(_PER)}))?(?![\w'’])(?:\.(?= [a-z]))?"
)
_PER_ALONE = re.compile(rf"(?<=\w)\s?/\s?(?P<per>{_one_of(_PER)})\b")
_HEIGHT = re.compile(r"(?<!\w)(?P<feet>\d)['′]\s?(?P<inches>1[01]|\d)(?:[\"″]|\b)")


def say_measures(text: str) -> str:
    """5 km, 20 °C, 3.5 GB, 60 mph, 50%, 1,800 tok/s, 12 m², 9.8 m/s, a 5-km run, 5'10"."""
    text = _HEIGHT.sub(lambda found: f"{number(found['feet'])} foot {number(found['inches'])}", text)
    return _MEASURE.sub(_measure, text)


def say_rates(text: str) -> str:
    """What is left of "per": twenty dollars/month, tokens/s."""
    return _PER_ALONE.sub(lambda found: f" per {_PER[found['per']]}", text)


def _measure(found: re.Match[str]) -> str:
    unit = found["rate"] or found["unit"]
    name = _RATES.get(unit) or _POWERS.get(found["power"], "") + _UNITS[unit]
    written = found["number"]
    is_fraction = "/" in written  # which is read later, like any other
    is_single = (written == "1" and not found["scale"]) or found["gap"] == "-" or (is_fraction and " " not in written)
    words = (written if is_fraction else number(written)) + (found["scale"] or "") + (found["gap"] or " ")
    words += name if is_single or unit == "%" else _plural_unit(name)
    return words + (f" per {_PER[found['per']]}" if found["per"] else "")


def _plural_unit(name: str) -> str:
    """Miles per hour, degrees Celsius, kilowatt hours: the head of the name takes the plural."""
    for tail in (" per ", " Celsius", " Fahrenheit"):
        head, found, rest = name.partition(tail)
        if found:
            return f"{plural(head)}{found}{rest}"
    return plural(name)
