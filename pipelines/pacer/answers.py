"""What the simulated provider says: an answer that fits the last user message, the same every time.

It knows the demo's domain (`intents`, `knowledge`), can add, count and tell a story, calls a tool where one fits,
and answers in general terms otherwise. It is no language model and knows nothing of HTTP or pace.
"""

import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

from pipelines.events import ChatMessage, ToolCall, ToolSpec
from pipelines.pacer.intents import INTENTS, Intent
from pipelines.pacer.knowledge import CAPITALS, EXPLANATIONS
from pipelines.pacer.spoken_numbers import NUMBER, parse_number
from pipelines.pacer.tool_choice import choose_tool, tell_result

_DEFAULTS = {
    "city": "your town",
    "count": "five",
    "cuisine": "Italian",
    "device": "light",
    "door": "door",
    "lang": "that language",
    "name": "friend",
    "people": "two",
    "place": "place",
    "song": "some music",
    "state": "on",
    "time": "seven o'clock",
    "to": "your destination",
    "unit": "minutes",
    "what": "that",
    "where": "list",
}

_GENERAL = (
    "That is an interesting thing to ask, and I would be glad to think it through with you. "
    "This is a simulated model, so my knowledge ends early. Ask me about fast language models, or for a timer "
    "or a joke.",
    "I am not certain that I understood you, but I am happy to try. "
    "You could ask me why wafer scale chips are fast, or let me tell you a story.",
)

_STORY = (
    "Once upon a time a {hero} lived at the edge of a quiet forest. "
    "Every morning it walked down to the river, because the river knew all the news of the world. "
    "One day the river was silent, and no fish, no leaf and no bird could say why. "
    "So the {hero} packed some bread and followed the water up into the hills. "
    "On the way it met a {friend}, who was looking for the same answer and was glad of the company. "
    "They climbed for two days, and at night they told each other about everything that they had ever lost and "
    "found again. "
    "At the top they found a stone that had rolled into the spring, too heavy for one of them alone. "
    "They pushed together until it moved, first a little, then a little more, and at last it rolled away. "
    "The water jumped up, laughed, and ran down to the valley as it had always done. "
    "Since then the river tells one story first on every morning, and it is the story of two friends who asked why. "
    "And if you listen closely, you can hear it too."
)

_ANIMAL = (
    r"\b(?:dog|cat|horse|bird|fish|rabbit|elephant|lion|tiger|bear|whale|snake|monkey|turtle|penguin|wolf|fox|owl|eagle|"
    r"dolphin)\b"
)
_POLITE = re.compile(
    r"^(?:(?:well|okay|so|actually|um|hey|hi|listen|oh|right|look|now|please|quickturn|hmm|"
    r"(?:could|can|would|will) you(?: please)?|i (?:want|need|would like) you to)\b[\s,.]*)+(?=\w)",
    re.IGNORECASE,
)
_FOLLOW_UP = re.compile(
    r"^(?:tell me more|keep going|go on|and then|continue|more|why|how so|really|what else|another one|again)\b"
    r"(?:\W+\w+){0,3}\W*$",
    re.IGNORECASE,
)
_SUMMARIZE = re.compile(r"summari[sz]e\b[^\n]*\n+(?P<text>.+)", re.IGNORECASE | re.DOTALL)
_SUMMARY_SENTENCES = 8
_REPEAT = re.compile(r"\b(?:say that again|repeat|what was that|pardon|come again)\b", re.IGNORECASE)
_EXPLAIN = re.compile(
    r"\b(?:explain|what (?:is|are)|how (?:does|do)|tell me|does|about|what do you know)\b", re.IGNORECASE
)
_SUM = re.compile(
    rf"(?P<a>{NUMBER}) (?P<op>plus|minus|times|multiplied by|divided by|percent of|\+) (?P<b>{NUMBER})", re.IGNORECASE
)
_COUNT = re.compile(rf"\bcount\b(?:.*?\bfrom (?P<a>{NUMBER}))?(?:.*?\bto (?P<b>{NUMBER}))?", re.IGNORECASE)
_COUNT_LIMIT = 1000


@dataclass(frozen=True, slots=True)
class Answer:
    """Either text to speak or a tool to call."""

    text: str = ""
    tool_call: ToolCall | None = None


def answer(messages: Sequence[ChatMessage], tools: Sequence[ToolSpec] = ()) -> Answer:
    """Answer the last user message of `messages`, or report the tool result that follows it."""
    asked = [message.text for message in messages if message.role == "user"]
    words = asked[-1].strip() if asked else ""
    if messages and messages[-1].role == "tool":
        return Answer(tell_result(messages[-1].text))
    call = choose_tool(words, tools)
    if call is not None:
        return Answer(tool_call=call)
    if _REPEAT.search(words):
        return Answer(_repeat(messages))
    if _FOLLOW_UP.search(words) and len(asked) > 1:
        return Answer(_follow_up(asked[-2]))
    return Answer(_say(words))


def _say(words: str) -> str:
    request = _POLITE.sub("", words) or words
    if asked := _SUMMARIZE.match(request):
        return _summary(asked["text"])
    return _computed(request) or _explanation(request) or _from_table(request) or _variant(_GENERAL, words)


def _summary(text: str) -> str:
    """The first sentence of some paragraphs, from all over the text: an extract, which is what a table can do."""
    openings = [
        re.split(r"(?<=[.!?])\s", paragraph.strip())[0] for paragraph in text.split("\n\n") if paragraph.strip()
    ]
    step = max(1, len(openings) // _SUMMARY_SENTENCES)
    return " ".join(openings[::step][:_SUMMARY_SENTENCES])


def _computed(request: str) -> str | None:
    if sum_ := _SUM.search(request):
        return _arithmetic(sum_["a"], sum_["op"].lower(), sum_["b"])
    if count := _COUNT.search(request):
        return _count(parse_number(count["a"] or "") or 1, parse_number(count["b"] or "") or 10)
    if capital := re.search(r"\bcapital of (\w+)", request, re.IGNORECASE):
        country = capital[1].capitalize()
        return f"The capital of {country} is {CAPITALS[country]}." if country in CAPITALS else None
    if re.search(r"\bstory\b", request, re.IGNORECASE):
        animals = [*re.findall(_ANIMAL, request.lower()), "fox", "owl"]
        return _STORY.format(hero=animals[0], friend=animals[1])
    return None


def _arithmetic(a_words: str, operation: str, b_words: str) -> str | None:
    a, b = parse_number(a_words), parse_number(b_words)
    if a is None or b is None:
        return None
    match operation:
        case "plus" | "+":
            result: float = a + b
        case "minus":
            result = a - b
        case "percent of":
            result = a * b / 100
        case "divided by" if b == 0:
            return "I cannot divide that by zero, and neither can anybody else. Would you like to try another number?"
        case "divided by":
            result = a / b
        case _:
            result = a * b
    spoken = f"{result:,.2f}".rstrip("0").rstrip(".").replace(",", "").replace("-", "minus ")
    sign = {"+": "plus", "multiplied by": "times"}.get(operation, operation)
    return f"If I have it right, {a} {sign} {b} is {spoken}."


def _count(first: int, last: int) -> str:
    step = 1 if first <= last else -1
    numbers = range(first, last + step, step)[:_COUNT_LIMIT]
    listed = ", ".join(map(str, numbers))
    return f"Sure, I will count from {first} to {numbers[-1]} for you. {listed}. There you are."


def _explanation(request: str) -> str | None:
    if not _EXPLAIN.search(request) or re.search(r"\bfaster|so fast|per second|first token\b", request, re.IGNORECASE):
        return None
    for subject, text in EXPLANATIONS.items():
        if re.search(rf"\b(?:{subject})\b", request, re.IGNORECASE):
            return text
    return None


def _from_table(request: str) -> str | None:
    found = _find(request)
    if found is None:
        return None
    intent, match = found
    return _variant(intent.answers, request).format_map(_DEFAULTS | _slots(match))


def _find(request: str) -> tuple[Intent, re.Match[str]] | None:
    matches = ((intent, intent.pattern.search(request)) for intent in INTENTS)
    return next(((intent, match) for intent, match in matches if match is not None), None)


def _slots(match: re.Match[str]) -> dict[str, str]:
    """The named groups that matched; `city2` fills `city`, since a pattern cannot use a name twice."""
    slots = {name.rstrip("2"): value.strip(" ,.?!") for name, value in match.groupdict().items() if value}
    return {name: re.sub(r"\bmy\b", "your", value) for name, value in slots.items()}


def _follow_up(earlier: str) -> str:
    found = _find(_POLITE.sub("", earlier) or earlier)
    if found is None:
        return _GENERAL[0]
    return found[0].more


def _repeat(messages: Sequence[ChatMessage]) -> str:
    said = next((m.text for m in reversed(messages) if m.role == "assistant" and m.text), None)
    return (
        f"Of course, this is what I said before. {said}"
        if said
        else "I have not said anything yet, so go ahead and ask."
    )


def _variant(variants: Sequence[str], words: str) -> str:
    # Not `hash`: Python salts it anew in every process.
    return variants[zlib.crc32(words.lower().encode()) % len(variants)]
