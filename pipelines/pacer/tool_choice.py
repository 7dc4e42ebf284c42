"""How the simulated provider uses tools: which one a request needs, its arguments from the user's words, and its
result as speech.

It knows common names of tools and parameters (`get_weather`, `city`, `minutes`), not the tools of any one agent.
"""

import json
import re
from collections.abc import Sequence

from pipelines.events import ToolCall, ToolSpec
from pipelines.json_object import JsonObject
from pipelines.pacer.intents import DAY, TIME
from pipelines.pacer.spoken_numbers import NUMBER, parse_number

_SUBJECTS: tuple[tuple[str, str], ...] = (
    # (what the user says, words in the tool's name)
    (r"\btimer\b", r"timer"),
    (r"\balarm\b|\bwake me\b", r"alarm"),
    (r"\bremind", r"remind\w*|task|todo"),
    (
        r"\b(?:weather|forecast|umbrella|temperature in|how (?:cold|warm|hot)|rain|snow|freeze)\b",
        r"weather|forecast",
    ),
    (r"\bwhat time is it\b|\bthe time in\b", r"time|clock"),
    (r"\bfl(?:y|ight)\b", r"flight"),
    (r"\bbook\b|\breserv|\btable (?:for|at)\b", r"book\w*|reserv\w*|table"),
    (r"\bturn (?:on|off)\b|\blights?\b|\bturn .* (?:on|off)\b", r"light|device|switch|home"),
    (r"\b(?:un)?lock\b", r"lock|door"),
    (r"\bplay\b", r"play|music|song|media"),
    (r"\b(?:directions|how do i get|nearest)\b", r"direction|route|map|navigat\w*"),
    (r"\brestaurant\b", r"restaurant|place"),
    (r"\b(?:call|text|message)\b", r"call|message|sms|text"),
    (r"\border\b|\bcan i get\b", r"order"),
    (r"\btranslate\b", r"translat\w*"),
)  # fmt: skip

_NAME = r"(?-i:[A-Z][a-z]+(?: [A-Z][a-z]+)?)"
_PLACE_DEFAULT = "here"


def choose_tool(words: str, tools: Sequence[ToolSpec]) -> ToolCall | None:
    """The call that answers `words`, or None if no offered tool fits."""
    for said, named in _SUBJECTS:
        if not re.search(said, words, re.IGNORECASE):
            continue
        for tool in tools:
            # Word by word: "set_timer" must not answer to "time".
            parts = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", tool.name).lower().split("_")
            if any(re.fullmatch(rf"(?:{named})s?", part) for part in parts):
                return ToolCall(f"call_{tool.name}", tool.name, json.dumps(_arguments(words, tool.parameters)))
    return None


def _arguments(words: str, schema: JsonObject) -> dict[str, object]:
    properties: dict[str, JsonObject] = schema.get("properties") or {}
    required = schema.get("required") or ()
    arguments = {name: _value(name, kind, words, name in required) for name, kind in properties.items()}
    return {name: value for name, value in arguments.items() if value is not None}


def _value(name: str, schema: JsonObject, words: str, required: bool) -> object:
    """What `words` say about the parameter; None if they are silent and it may be left out."""
    choices = schema.get("enum")
    if choices:
        said = next((c for c in choices if re.search(rf"\b{re.escape(str(c))}\b", words, re.IGNORECASE)), None)
        return said if said is not None or not required else choices[0]
    match schema.get("type"):
        case "integer" | "number":
            number = _quantity(name.lower(), words)
            return number if number is not None or not required else 1
        case "boolean":
            return re.search(r"\b(?:off|unlock|close|stop)\b", words, re.IGNORECASE) is None
        case _:
            text = _phrase(name.lower(), words)
            return text if text is not None or not required else _fallback(name.lower(), words)


def _quantity(name: str, words: str) -> int | None:
    """A number in the unit that the parameter's name asks for, the duration converted where both name one."""
    duration = re.search(rf"(?P<n>{NUMBER}|an?\b) (?P<unit>second|minute|hour)s?", words, re.IGNORECASE)
    per_unit = {"second": 1, "minute": 60, "hour": 3600}
    # `duration_minutes` or `duration_min`.
    wanted = next((unit for unit in per_unit if unit in name or name.endswith(unit[:3])), None)
    if duration is not None and (wanted or "duration" in name):
        seconds = (parse_number(duration["n"]) or 1) * per_unit[duration["unit"].lower()]
        return seconds // per_unit[wanted or "second"]
    counted = re.search(rf"\bfor (?P<n>{NUMBER})\b", words, re.IGNORECASE) if _counts_people(name) else None
    number = counted or re.search(rf"(?P<n>{NUMBER})", words, re.IGNORECASE)
    return parse_number(number["n"]) if number is not None else None


def _counts_people(name: str) -> bool:
    return re.search(r"people|guest|party|person|size", name) is not None


_PHRASES: tuple[tuple[str, str], ...] = (
    # (in the parameter's name, where the user says it)
    (r"origin|from", rf"\bfrom (?P<v>{_NAME})"),
    (r"destination", rf"\bto (?P<v>{_NAME})"),
    (r"city|location|where", rf"\b(?:in|for|at) (?P<v>{_NAME})"),
    (r"date|day", DAY.replace("?P<day>", "?P<v>")),
    (r"time|when", rf"\bat {TIME.replace('?P<time>', '?P<v>')}"),
    (r"time|when", rf"\bfor {TIME.replace('?P<time>', '?P<v>')}"),
    (r"room", r"\bin the (?P<v>[\w ]+?)\W*$"),
    (
        r"device|light|appliance",
        r"\bturn (?:on|off) (?:the )?(?P<v>[\w ]+?)(?: in .*)?\W*$|\bturn (?:the )?(?P<v2>[\w ]+?) (?:on|off)\b",
    ),
    (r"state|action|power", r"\b(?P<v>on|off|lock|unlock|open|close)\b"),
    (r"cuisine|food", r"\b(?P<v>\w+) restaurant"),
    (r"song|query|music|track|genre|media", r"\bplay (?P<v>[\w ]+?)(?: in the .*| at .*)?\W*$"),
    (r"task|text|message|label|title|note", r"\bto (?P<v>[\w ]+?)(?: at .*| on .*)?\W*$"),
    (r"name|contact|recipient|person", rf"\b(?:call|text|message|for|to|tell) (?P<v>{_NAME})"),
    (r"place|address|destination", r"\b(?:to|nearest|is) (?:the )?(?P<v>[\w ]+?)(?: from here)?\W*$"),
)  # fmt: skip


def _phrase(name: str, words: str) -> str | None:
    for named, said in _PHRASES:
        if re.search(named, name):
            match = re.search(said, words, re.IGNORECASE)
            if match is not None:
                return next(value for value in match.groups() if value is not None).strip()
    return None


def _fallback(name: str, words: str) -> str:
    return _PLACE_DEFAULT if re.search(r"city|location|place|where", name) else words.rstrip(".?!")


def tell_result(result: str) -> str:
    """Say a tool's result, JSON or plain text, in a spoken sentence."""
    try:
        value = json.loads(result)
    except ValueError:
        value = result
    match value:
        case {"error": error}:
            return f"I am sorry, but that did not work this time: {_flat(error)}."
        case dict() if weather := _weather(value):
            return weather
        case dict() | list():
            return f"Here is what I found out for you just now: {_flat(value)}."
        case _:
            return f"Here is what I found out for you: {_flat(value).rstrip('.')}."


def _weather(value: JsonObject) -> str | None:
    def said(*names: str) -> str | None:
        return next((str(v) for k, v in value.items() if any(name in k.lower() for name in names)), None)

    degrees, city = said("temp", "degrees"), said("city", "location")
    sky = said("condition", "sky", "description", "weather")
    if degrees is None:
        return None
    where = f" in {city}" if city else " outside"
    return f"Right now it is {degrees} degrees{where}{f' and {sky}' if sky else ''}, and I hope that suits your plans."


def _flat(value: object) -> str:
    match value:
        case dict():
            return ", ".join(f"{str(key).replace('_', ' ')} {_flat(item)}" for key, item in value.items())
        case list():
            return ", ".join(_flat(item) for item in value)
        case bool():
            return "yes" if value else "no"
        case _:
            return " ".join(str(value).split())[:300]
