import json
import re

import pytest

from pipelines.events import ChatMessage, ToolSpec
from pipelines.pacer.answers import Answer, answer
from pipelines.pacer.intents import INTENTS
from pipelines.pacer.knowledge import EXPLANATIONS
from pipelines.pacer.spoken_numbers import parse_number
from pipelines.pacer.tokens import split_tokens

ASKED = """
Why are wafer scale chips so fast?|wafer
How do wafer scale chips make language models faster?|wafer
How many tokens per second can the eight b model generate?|eighteen hundred
What is the time to first token for the small model?|time to first token
What is the latency of the new model?|latency
Explain speculative decoding in one sentence.|guesses
Could you please explain speculation?|before you have finished
What is streaming?|word by word
How do you handle interruptions?|stop at once
What is the price per million tokens?|ten cents
Set a timer for twenty five minutes.|twenty five minutes
Wake me up at half past seven.|half past seven
Remind me to water the plants.|water the plants
What time is it in Tokyo?|Tokyo
What is the weather like in Paris tomorrow?|Paris
Do I need an umbrella?|umbrella
Book a table for four at eight PM.|four at eight PM
Please make a reservation for six on Thursday at three o'clock.|six at three o'clock
I need a flight from Boston to Chicago on Monday.|Chicago
Give me directions to the train station.|train station
Where is the nearest pharmacy?|pharmacy
Find a good Thai restaurant near me.|Thai
I would like to order a large pizza with cheese.|large pizza with cheese
Turn on the lights in the kitchen.|lights should now be on
Turn the fan off.|fan should now be off
Play some relaxing music.|relaxing music
Hey, turn the volume up.|volume
How do you say good morning in French?|French
Tell me a joke.|
Tell me a story about a dog and a whale.|dog
Thank you, that is all I needed.|
Thanks for your help.|
Hello.|
Good morning.|
How are you today?|
Who are you?|Quickturn
My name is Sarah.|Sarah
Can you hear me?|hear you
Yes.|
No, thanks.|
Stop.|
Wait please.|
Okay stop.|
Wait, I meant Friday, not Monday.|Friday
Sorry, I meant twenty, not thirty.|twenty
What is twenty three plus forty five?|68
What is nine times 12?|108
What is fifteen percent of two hundred?|30
What is one hundred divided by eight?|12.5
What is the capital of France?|Paris
Count from three to six.|3, 4, 5, 6
I have a meeting with Anna tomorrow.|
The vision model has eighty seven billion parameters.|
Colourless green ideas sleep furiously.|
""".strip().split("\n")


def said(*texts: str, tools: tuple[ToolSpec, ...] = ()) -> Answer:
    """The answer to the last of `texts`, user and assistant taking turns."""
    roles = ["user", "assistant"] * len(texts)
    return answer([ChatMessage(role, text) for role, text in zip(roles, texts, strict=False)], tools)


@pytest.mark.parametrize("line", ASKED)
def test_an_answer_fits_the_question_and_is_fit_to_speak(line: str) -> None:
    question, _, expected = line.partition("|")
    text = said(question).text
    assert expected.lower() in text.lower()
    assert "{" not in text
    sentences = re.split(r"(?<=[.?!]) ", text)
    assert 6 <= len(sentences[0].split()) <= 20
    assert len(sentences) <= 4 or "story" in question


def test_no_question_of_the_table_falls_to_the_general_answer() -> None:
    general = said("Colourless green ideas sleep furiously.").text
    assert [line for line in ASKED[:-1] if said(line.partition("|")[0]).text == general] == []


def test_every_explanation_begins_with_a_sentence_of_speakable_length() -> None:
    firsts = [re.split(r"(?<=[.?!]) ", text)[0] for text in (*EXPLANATIONS.values(), *(i.more for i in INTENTS))]
    assert [first for first in firsts if not 6 <= len(first.split()) <= 22] == []


def test_an_answer_is_the_same_every_time_and_deaf_to_case() -> None:
    assert said("Tell me a joke.") == said("tell me a joke.") == said("Tell me a joke.")


def test_a_follow_up_goes_on_with_what_was_asked_before() -> None:
    why = "Why are wafer scale chips so fast?"
    more = said(why, said(why).text, "Tell me more.").text
    assert "bandwidth" in more
    assert more != said(why).text


def test_a_repetition_says_the_last_answer_again() -> None:
    assert "The joke." in said("Tell me a joke.", "The joke.", "Can you say that again?").text
    assert "not said anything" in said("Say that again.").text


def test_a_story_is_long_enough_to_measure_a_token_rate() -> None:
    assert len(split_tokens(said("Tell me a long story.").text)) >= 200


def test_silence_gets_an_answer_too() -> None:
    assert said("").text
    assert answer([]).text


# ---------------------------------------------------------------- tools


def tool(name: str, *required: str, **properties: dict[str, object]) -> ToolSpec:
    return ToolSpec(name, "", {"type": "object", "properties": properties, "required": list(required)})


TEXT: dict[str, object] = {"type": "string"}
WHOLE: dict[str, object] = {"type": "integer"}
TOOLS = (
    tool("get_time", "city", city=TEXT),
    tool("set_timer", "minutes", minutes={"type": "number"}),
    tool("getWeather", "location", location=TEXT, day=TEXT),
    tool("set_alarm", "time", time=TEXT),
    tool("book_table", "people", "time", people=WHOLE, time=TEXT, date=TEXT),
    tool("search_flights", "origin", "destination", origin=TEXT, destination=TEXT, date=TEXT),
    tool("control_device", "device", "state", device=TEXT, state={"type": "string", "enum": ["on", "off"]}, room=TEXT),
    tool("play_music", "query", query=TEXT),
)


@pytest.mark.parametrize(
    ("question", "name", "arguments"),
    [
        ("What time is it in New York?", "get_time", {"city": "New York"}),
        ("Set a timer for twenty five minutes.", "set_timer", {"minutes": 25}),
        ("Please set a timer for two hours.", "set_timer", {"minutes": 120}),
        ("Set a timer.", "set_timer", {"minutes": 1}),
        ("Will it rain in Lisbon tomorrow?", "getWeather", {"location": "Lisbon", "day": "tomorrow"}),
        ("What is the weather like?", "getWeather", {"location": "here"}),
        ("Wake me up at half past six.", "set_alarm", {"time": "half past six"}),
        (
            "Book a table for four at eight PM on Friday.",
            "book_table",
            {"people": 4, "time": "eight PM", "date": "Friday"},
        ),
        ("Find a flight from Oslo to Rome.", "search_flights", {"origin": "Oslo", "destination": "Rome"}),
        (
            "Turn off the lamp in the bedroom.",
            "control_device",
            {"device": "lamp", "state": "off", "room": "bedroom"},
        ),
        ("Could you play some jazz in the kitchen?", "play_music", {"query": "some jazz"}),
    ],
)
def test_a_request_calls_the_tool_that_it_needs(question: str, name: str, arguments: dict[str, object]) -> None:
    call = said(question, tools=TOOLS).tool_call
    assert call is not None
    assert (call.name, json.loads(call.arguments_json)) == (name, arguments)


def test_a_duration_is_given_in_the_unit_that_the_tool_asks_for() -> None:
    call = said("Set a timer for three minutes.", tools=(tool("start_timer", duration_seconds=WHOLE),)).tool_call
    assert call is not None
    assert json.loads(call.arguments_json) == {"duration_seconds": 180}


@pytest.mark.parametrize("question", ["Tell me a joke.", "Thank you.", "Why are wafer scale chips fast?", "Stop."])
def test_a_request_that_needs_no_tool_calls_none(question: str) -> None:
    assert said(question, tools=TOOLS).tool_call is None


def test_a_tool_that_does_not_fit_is_not_called() -> None:
    assert said("What time is it in Paris?", tools=(tool("set_timer", "minutes", minutes=WHOLE),)).tool_call is None


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        ('{"city": "Paris", "temperature_c": 18, "condition": "cloudy"}', "18 degrees in Paris and cloudy"),
        ('{"confirmed": true, "table": 7}', "confirmed yes, table 7"),
        ("sunny, 15 degrees", "sunny, 15 degrees"),
        ('{"error": "no such city"}', "no such city"),
        ("[1, 2]", "1, 2"),
        ("", "found"),
    ],
)
def test_a_tools_result_is_told_in_a_sentence(result: str, expected: str) -> None:
    messages = [ChatMessage("user", "What is the weather?"), ChatMessage("tool", result, (), "1")]
    text = answer(messages, TOOLS).text
    assert expected in text
    assert text.endswith(".")


# ---------------------------------------------------------------- words


@pytest.mark.parametrize(
    ("words", "value"),
    [
        ("zero", 0),
        ("twenty five", 25),
        ("forty-five", 45),
        ("three hundred and six", 306),
        ("seven thousand two hundred", 7200),
        ("twelve thousand", 12000),
        ("two million", 2_000_000),
        ("1,800", 1800),
        ("45", 45),
        ("plenty", None),
        ("", None),
    ],
)
def test_spoken_numbers_are_read(words: str, value: int | None) -> None:
    assert parse_number(words) == value


@pytest.mark.parametrize(
    "text",
    ["Hello, it's 12:45!", "  two  spaces\nand a line", "", "1234567", "naïve 你好 🙂 _x_", "$3.50 — “quoted”"],
)
def test_tokens_joined_are_the_text(text: str) -> None:
    assert "".join(split_tokens(text)) == text


def test_words_are_one_token_with_their_space_and_punctuation_is_its_own() -> None:
    assert split_tokens("Sure, the tower.") == ["Sure", ",", " the", " tower", "."]
