"""Text made fit to be said: one table of readings, and what must hold for any text."""

import random
import re
import statistics
import time

import pytest

from agent.models.fetch import voice_path
from pipelines.spoken.speakable import speakable

READINGS = [
    # money
    ("It is $42.50.", "It is forty-two dollars and fifty cents."),
    ("$3 million", "three million dollars"),
    ("$3.5M", "three point five million dollars"),
    ("$1,200", "one thousand two hundred dollars"),
    ("$1", "one dollar"),
    ("-$5.00", "minus five dollars"),
    ("$0.99", "ninety-nine cents"),
    ("$0.0005", "zero point zero zero zero five dollars"),
    ("$10-12 or $10–$12", "ten to twelve dollars or ten to twelve dollars"),
    ("$5/month", "five dollars per month"),
    ("a $20 bill", "a twenty dollar bill"),
    ("€5, 7 € and £3.01", "five euros, seven euros and three pounds and one penny"),
    ("50¢", "fifty cents"),
    ("$0.10/1M tokens", "ten cents per one million tokens"),
    # dates and years
    ("3/15/2026", "March fifteenth, twenty twenty-six"),
    ("13/5/2026", "May thirteenth, twenty twenty-six"),
    ("2026-03-15", "March fifteenth, twenty twenty-six"),
    ("2026-03-15T14:30", "March fifteenth, twenty twenty-six at fourteen thirty"),
    ("March 3rd", "March third"),
    ("On March 3, 2026, it began.", "On March third, twenty twenty-six, it began."),
    ("Mar. 3 and 4 July 2025", "March third and July fourth, twenty twenty-five"),
    ("the 3rd of March", "the third of March"),
    ("on 3/15", "on March fifteenth"),
    ("March 2026", "March twenty twenty-six"),
    ("in 1998", "in nineteen ninety-eight"),
    ("in 1850", "in eighteen fifty"),
    ("1500 people", "one thousand five hundred people"),
    ("since 2005", "since two thousand five"),
    ("1998-2005", "nineteen ninety-eight to two thousand five"),
    ("from 1861 to 1865", "from eighteen sixty-one to eighteen sixty-five"),
    ("the 1990s and the '80s", "the nineteen nineties and the eighties"),
    # times
    ("At 3:30 pm today.", "At three thirty PM today."),
    ("Come at 3:30 p.m.", "Come at three thirty PM."),
    ("07:05", "seven oh five"),
    ("at 14:00", "at fourteen hundred"),
    ("at 3:00", "at three o'clock"),
    ("9am-5pm", "nine AM to five PM"),
    ("9 a.m. to 5 p.m. daily", "nine AM to five PM daily"),
    ("00:00", "midnight"),
    ("10 a.m. - 5 p.m.", "ten AM to five PM."),
    # telephone numbers and codes
    ("Call 555-123-4567.", "Call five five five, one two three, four five six seven."),
    ("(555) 123-4567", "five five five, one two three, four five six seven"),
    ("+44 20 7946 0958", "plus four four, two zero, seven nine four six, zero nine five eight"),
    ("555-0123", "five five five, zero one two three"),
    ("Call 911 now", "Call nine one one now"),
    ("zip code 90210", "zip code nine zero two one zero"),
    ("The code is 4821.", "The code is four eight two one."),
    # measures
    ("5 km", "five kilometers"),
    ("1 km", "one kilometer"),
    ("a 5-km run", "a five-kilometer run"),
    ("20 °C", "twenty degrees Celsius"),
    ("-5°F", "minus five degrees Fahrenheit"),
    ("80 ms", "eighty milliseconds"),
    ("1,800 tok/s", "one thousand eight hundred tokens per second"),
    ("450 tokens/s", "four hundred fifty tokens per second"),
    ("3.5 GB", "three point five gigabytes"),
    ("60 mph", "sixty miles per hour"),
    ("100 km/h", "one hundred kilometers per hour"),
    ("5-10%", "five to ten percent"),
    ("12 m²", "twelve square meters"),
    ("5'10\" tall", "five foot ten tall"),
    ("1/2 tsp, 1 1/2 km and ½ mi", "one half teaspoon, one and a half kilometers and one half mile"),
    ("a 5 min. walk", "a five minutes walk"),
    # other numerals
    ("the 1st, 22nd and 103rd", "the first, twenty-second and one hundred third"),
    ("10-12 people", "ten to twelve people"),
    ("1/2, 3/4 and 2/3", "one half, three quarters and two thirds"),
    ("1 1/2 or 2½ cups", "one and a half or two and a half cups"),
    ("4.5/5 stars", "four point five out of five stars"),
    ("between 100-1250", "between one hundred to one thousand two hundred fifty"),
    ("9/10 and 120/80", "nine out of ten and one hundred twenty over eighty"),
    ("open 24/7", "open twenty-four seven"),
    ("1,234,567", "one million two hundred thirty-four thousand five hundred sixty-seven"),
    ("3.14 and .5", "three point one four and point five"),
    ("-7", "minus seven"),
    ("007", "zero zero seven"),
    ("10K steps, a 4K screen", "ten thousand steps, a four K screen"),
    ("1.5M users, 2x faster", "one point five million users, two times faster"),
    ("Llama 3.1 8B", "Llama three point one eight B"),
    ("v2.0.1", "version two point zero point one"),
    ("an H100 and GPT-4", "an H one hundred and GPT-four"),
    ("192.168.1.1", "one hundred ninety-two dot one hundred sixty-eight dot one dot one"),
    ("a 16:9 screen", "a sixteen to nine screen"),
    ("10⁶ and x²", "ten to the power of six and x squared"),
    ("H₂O ③ ٤", "H two O three four"),
    ("order 12345678, pop. 5000000", "order one two three four five six seven eight, pop. five million"),
    # addresses
    ("Mail jane.doe_42@mail.example.com.", "Mail jane dot doe underscore forty-two at mail dot example dot com."),
    ("https://www.example.com/docs?q=1#x.", "example dot com slash docs."),
    ("See github.com/foo/bar.", "See github dot com slash foo slash bar."),
    ("edit main.py in /etc/app", "edit main dot py in slash etc slash app"),
    # abbreviations, initials, acronyms
    ("Dr. Smith, Mr. and Mrs. Lee", "Doctor Smith, Mister and Missus Lee"),
    ("Rodeo Dr. is near.", "Rodeo Drive is near."),
    ("In St. Louis and on Main St.", "In Saint Louis and on Main Street."),
    ("Visit St. Mary.", "Visit Saint Mary."),
    ("No. 5 is approx. right, e.g. here", "number five is approximately right, for example here"),
    ("No. I will not.", "No. I will not."),
    ("J. R. R. Tolkien and A. A. Milne", "J R R Tolkien and A.A Milne"),
    ("the U.S. economy", "the US economy"),
    ("Read the FAQs on AWS.", "Read the F.A.Q's on A.W.S."),
    ("LLM, GPUs, API and TTFT", "LLM, GPUs, API and TTFT"),
    ("Jan. and Feb. with A. Lee in row A1", "January and February with A. Lee in row A-one"),
    ("World War II, Henry VIII and Act I", "World War two, Henry the eighth and Act one"),
    ("Then I said XX, and Wi-Fi is OK.", "Then I said XX, and Wi-Fi is OK."),
    # symbols
    ("R&D", "R and D"),
    ("2+2=4, 5 - 3 = 2", "two plus two equals four, five minus three equals two"),
    ("C++ and C#", "C plus plus and C sharp"),
    ("and/or, TCP/IP, w/ milk", "and or, TCP IP, with milk"),
    ("#1 of ~5", "number one of about five"),
    ("3 * 4 × 5", "three times four times five"),
    ("A → B", "A to B"),
    # Markdown and emoji
    ("**Bold**, *it*, __u__, ~~s~~ and `code`", "Bold, it, u, s and code"),
    ("## Heading", "Heading"),
    ("- [x] item", "item"),
    ("1. First", "one, First"),
    ("> a [link](https://x.com/a_b) ![alt](u.png)", "a link alt"),
    ("| a | b |\n|---|---|\n| c | d |", "a, b. c, d"),
    ("Look:\n```python\nx = 1\n```\nDone.", "Look: Done."),
    ("<b>hi</b> &amp; bye, snake_case", "hi and bye, snake case"),
    ("**Really?", "Really?"),
    ("A fact.[1] Hi 🎉👍🏽!", "A fact. Hi!"),
    ("one\ntwo", "one. two"),
]

SILENT = ["", " ", "...", "?", "🙂", "**", "---", "```\ncode\n```", "|---|---|", "![](u.png)", "“”", "#", "…", "()"]

PROSE = [
    "Sure, it is warm today.",
    "It’s a “lovely” day — isn't it?",
    "Well… I don't know; maybe (just maybe) we should go: now!",
    "The well-known café in Zürich closes early.",
    "NASA and the BBC use an LLM.",
    "I am. You may march in May. He said no.",
    "你好。",
]

FORBIDDEN = re.compile(r"[\d*_`~#|<>\[\]{}\\^$€£%@&+=/\U0001f000-\U0001faff\u2600-\u27bf]")


@pytest.mark.parametrize(("text", "reading"), READINGS)
def test_written_text_becomes_the_words_that_are_said(text: str, reading: str) -> None:
    assert speakable(text) == reading


@pytest.mark.parametrize("text", PROSE)
def test_plain_prose_comes_back_unchanged(text: str) -> None:
    assert speakable(text) == text


@pytest.mark.parametrize("text", SILENT)
def test_text_without_sound_becomes_the_empty_string(text: str) -> None:
    assert speakable(text) == ""


@pytest.mark.parametrize(("text", "reading"), READINGS)
def test_a_reading_read_again_stays_the_same(text: str, reading: str) -> None:
    assert speakable(reading) == reading


def test_no_digit_marker_or_emoji_survives_in_any_text() -> None:
    dice = random.Random(4)
    pieces = [
        *"0123456789 .,:;!?-–/$€%*_`~#|<>[](){}\\^@&+='’\"°²½③🙂👍🏽️\nabAM",
        *(
            " in ",
            "km",
            "°C",
            "pm",
            "p.m.",
            "March ",
            "st",
            "k",
            "v",
            "St. ",
            "No. ",
            "www.",
            ".com",
            "```",
            "](",
            "tok/s",
        ),
        *(
            "1,800",
            "2026",
            "3/15/2026",
            "555-123-4567",
            "$4.50",
            " million",
            "https://a.io/",
            "x",
            "\u00a0",
            "\u200b",
            "١",
        ),
    ]
    for _ in range(3000):
        text = "".join(dice.choices(pieces, k=dice.randint(1, 25)))
        said = speakable(text)
        assert not FORBIDDEN.search(said), text
        assert not any(char.isdigit() for char in said), text
        assert said == "" or any(char.isalnum() for char in said), text


@pytest.mark.parametrize(
    "text",
    [
        "9" * 5000,
        "*" * 5000,
        "[" * 5000,
        "1-" * 2500,
        "a." * 2500,
        "/a" * 2500,
        "$1," * 1500,
        "9" * 5000 + "th",
        "$" + "9" * 5000 + ".99",
        "9" * 5000 + " km",
        "9" * 5000 + " 1/2",
        "€" * 5000,
    ],
)
def test_hostile_text_is_read_in_reasonable_time(text: str) -> None:
    assert "\n" not in speakable(text)


@pytest.mark.slow
def test_piper_hears_the_same_phonemes_in_a_reading_as_in_words_written_by_hand() -> None:
    from piper import PiperVoice

    voice = PiperVoice.load(voice_path("en_US-joe-medium"))
    by_hand = {
        "It costs $42.50.": "It costs forty two dollars and fifty cents.",
        "We met on 3/15/2026.": "We met on March fifteenth, twenty twenty six.",
        "It was in 1998.": "It was in nineteen ninety eight.",
        "Come at 3:30 p.m. today.": "Come at three thirty pee em today.",
        "Come at 7:05 am.": "Come at seven oh five eigh em.",
        "Call 555-0123.": "Call five five five, zero one two three.",
        "It runs at 1,800 tok/s.": "It runs at one thousand eight hundred tokens per second.",
        "Llama 3.1 8B is fast.": "Llama three point one eight bee is fast.",
        "Dr. Lee lives on Main St.": "Doctor Lee lives on Main Street.",
        "Mail me@example.com.": "Mail me at example dot com.",
        "**Note**: it is 20 °C.": "Note: it is twenty degrees Celsius.",
        "Read our FAQ on LLMs and GPUs.": "Read our F eigh Q on L L ems and G P ewes.",
    }

    def sounds(text: str) -> str:
        """Phonemes without stress and length, gaps and the glide that links a vowel to the next."""
        phonemes = "".join(symbol for sentence in voice.phonemize(text) for symbol in sentence)
        return re.sub(r"[ˈˌː ʲ]", "", phonemes)

    for text, words in by_hand.items():
        assert sounds(speakable(text)) == sounds(words), text


@pytest.mark.bench
@pytest.mark.parametrize(
    "text",
    [
        "The weather in Paris is lovely today, so you might want to take a walk along the river before dinner and "
        "enjoy the evening light while it lasts, because rain is expected tomorrow and on Sunday.",
        "The train leaves at 3:30 pm and takes about 45 minutes, so you would arrive well before dinner; a single "
        "ticket costs $12.50, and **return tickets** are a little cheaper if you buy them before Friday.",
        "The meeting on March 3, 2026 at 3:30 pm costs $42.50 and takes 10-12 minutes; **call** me at 555-123-4567 or "
        "mail me@example.com, Dr. Smith said, it is 20 °C and 1,800 tok/s in about 1998 at 5 km or so.",
    ],
    ids=["prose", "three numbers", "ten numbers"],
)
def test_how_long_a_sentence_of_two_hundred_characters_takes(text: str) -> None:
    took_ms = []
    for _ in range(1000):
        start = time.perf_counter()
        speakable(text)
        took_ms.append((time.perf_counter() - start) * 1e3)
    print(f"{len(text)} characters: p50 {statistics.median(took_ms):.2f} ms")
