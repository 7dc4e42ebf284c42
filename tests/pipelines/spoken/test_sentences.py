"""Sentences from token deltas: the units, their timing, and that neither depends on how the stream was cut."""

import random
import re
from itertools import combinations

import pytest

from pipelines.spoken.sentences import MAX_UNIT_CHARS, MIN_CLAUSE_CHARS, SentenceSplitter

CASES: list[tuple[str, list[str]]] = [
    ("Sure! It is warm.", ["Sure!", "It is warm."]),
    ("Is it? Yes.", ["Is it?", "Yes."]),
    ("Dr. Smith met Mrs. Lee. They talked.", ["Dr. Smith met Mrs. Lee.", "They talked."]),
    ("It costs $3.50 today. Fine.", ["It costs $3.50 today.", "Fine."]),
    ("Pi is 3.14159. OK.", ["Pi is 3.14159.", "OK."]),
    ("Use Llama 3.1 8B. It is fast.", ["Use Llama 3.1 8B.", "It is fast."]),
    ("Version 2.0.1 is out. Try it.", ["Version 2.0.1 is out.", "Try it."]),
    ("At 3:30 p.m. today. Bye.", ["At 3:30 p.m. today.", "Bye."]),
    ("We open at 9 a.m. Bring your ID.", ["We open at 9 a.m.", "Bring your ID."]),
    ("From 9 a.m. Monday to 5 p.m. Friday.", ["From 9 a.m. Monday to 5 p.m. Friday."]),
    ("Fruit, e.g. apples, i.e. Malus. Yum.", ["Fruit, e.g. apples, i.e. Malus.", "Yum."]),
    ("He lives in the U.S. Why? Work.", ["He lives in the U.S.", "Why?", "Work."]),
    ("The U.S. Army and St. Mary.", ["The U.S. Army and St. Mary."]),
    ("Turn at Main St. Then stop.", ["Turn at Main St.", "Then stop."]),
    ("No. I will not.", ["No.", "I will not."]),
    ("See No. 5. Done.", ["See No. 5.", "Done."]),
    ("By J. R. R. Tolkien. Read it.", ["By J. R. R. Tolkien.", "Read it."]),
    ("Take plan B. It works.", ["Take plan B.", "It works."]),
    ("About approx. 5 min. walk on Jan. 5. OK.", ["About approx. 5 min. walk on Jan. 5.", "OK."]),
    ("Hmm... let me see... Yes.", ["Hmm... let me see...", "Yes."]),
    ("Well… I know… maybe.", ["Well…", "I know… maybe."]),
    ("What?! Really!!! Wow.", ["What?", "Really!", "Wow."]),
    ('She said "Stop!" Then left.', ['She said "Stop!', "Then left."]),
    ('He said "it is late." Go on.', ['He said "it is late."', "Go on."]),
    ("(It is late.) Go “now.” Bye.", ["(It is late.)", "Go “now.”", "Bye."]),
    ("Great! 🎉 Let us go. 👍", ["Great!", "🎉 Let us go."]),
    ("1. First one. 2. Second one.", ["1. First one.", "2. Second one."]),
    ("Do this:\n1. Mix it\n2. Bake\n- Eat", ["Do this:", "1. Mix it", "2. Bake", "- Eat"]),
    ("**Really?** Yes. **Note.** Go.", ["**Really?", "Yes.", "**Note.**", "Go."]),
    ("# Title\n\nText.\n---\nMore", ["# Title", "Text.", "More"]),
    ("See [it](https://a.io/?q=1). Ok?", ["See [it](https://a.io/?q=1).", "Ok?"]),
    ("Go to https://a.io/x?y=1! Now.", ["Go to https://a.io/x?y=1!", "Now."]),
    ("Mail a.b@c.org. Or visit c.org.", ["Mail a.b@c.org.", "Or visit c.org."]),
    ("Run `a != b. c?` now. Ok.", ["Run `a != b. c?` now.", "Ok."]),
    ("If x != y stop. ![p](u) Ok.", ["If x != y stop.", "![p](u) Ok."]),
    ("So:\n```py\nf(1). g?\n```\nDone.", ["So:", "Done."]),
    ("```\nx = 1\n", []),
    ("你好。今天好！走吗？再见", ["你好。", "今天好！", "走吗？", "再见"]),
    ("It is 3.\nNext", ["It is 3.", "Next"]),
    ("... ? 🙂 !", []),
    ("", []),
]


def split(*deltas: str, first_unit: str = "sentence") -> list[str]:
    splitter = SentenceSplitter("clause" if first_unit == "clause" else "sentence")
    return [unit for delta in deltas for unit in splitter.push(delta)] + splitter.flush()


def words(text: str) -> list[str]:
    return re.findall(r"\w+", text)


@pytest.mark.parametrize(("text", "units"), CASES)
def test_a_reply_is_cut_into_its_sentences(text: str, units: list[str]) -> None:
    assert split(text) == units


@pytest.mark.parametrize(("text", "units"), CASES)
def test_units_do_not_depend_on_how_the_stream_was_cut(text: str, units: list[str]) -> None:
    assert split(*text) == units
    for cut in range(len(text) + 1):
        assert split(text[:cut], text[cut:]) == units
    for first, second in combinations(range(len(text) + 1), 2):
        assert split(text[:first], text[first:second], text[second:]) == units


@pytest.mark.parametrize("text", [text for text, _ in CASES if "```" not in text])
def test_no_speakable_word_is_lost(text: str) -> None:
    assert words(" ".join(split(text))) == words(text)


def test_random_mixtures_lose_no_word_and_do_not_depend_on_the_cut() -> None:
    dice = random.Random(20)
    pieces = [*"abA1.!?…\"'*`()-,:;/\n😀。 ", " ", "Dr.", "U.S.", "p.m.", " The ", "No.", "...", "3.5", "://", "**"]
    for _ in range(400):
        text = "".join(dice.choices(pieces, k=40)).replace("```", "`")
        whole = split(text)
        assert split(*text) == whole
        assert words(" ".join(whole)) == words(text)
        assert all(any(char.isalnum() for char in unit) and unit == unit.strip() for unit in whole)


@pytest.mark.parametrize(
    ("text", "units"),
    [
        ("Sure!", ["Sure!"]),
        ("Is it", []),
        ("Is it?", ["Is it?"]),
        ("It is 3.", []),
        ("It is warm.", []),
        ("It is warm. ", ["It is warm."]),
        ("It is warm.\n", ["It is warm."]),
        ('He said "no."', ['He said "no."']),
        ("Dr. ", []),
        ("No. ", []),
        ("No. I", ["No."]),
        ("No. 5", []),
        ("Well... I", ["Well..."]),
        ("At 9 a.m. Br", []),
        ("At 9 a.m. Bring ", ["At 9 a.m."]),
        ("A title\n", ["A title"]),
        ("好。", ["好。"]),
        ("Visit https://a.io/?", []),
    ],
)
def test_a_unit_is_handed_over_the_moment_its_end_is_certain(text: str, units: list[str]) -> None:
    splitter = SentenceSplitter()
    assert splitter.push(text[:-1]) == []
    assert splitter.push(text[-1]) == units


def test_the_first_clause_is_handed_over_if_asked_for_and_only_the_first() -> None:
    text = "The weather in Paris is lovely today, so take a walk, if you like. Then, as it gets dark, go home."
    assert split(text, first_unit="clause") == [
        "The weather in Paris is lovely today,",
        "so take a walk, if you like.",
        "Then, as it gets dark, go home.",
    ]


def test_a_clause_that_is_too_short_or_inside_a_date_does_not_end_the_first_unit() -> None:
    assert len("Well, sure,") < MIN_CLAUSE_CHARS
    assert split("Well, sure, yes. Ok.", first_unit="clause") == ["Well, sure, yes.", "Ok."]
    assert split("It happened on March 3, 2026 in Rome.", first_unit="clause") == [
        "It happened on March 3, 2026 in Rome."
    ]


def test_the_clause_units_do_not_depend_on_how_the_stream_was_cut() -> None:
    text = "The sky over Paris is blue - so go out; really. Ok, bye."
    units = split(text, first_unit="clause")
    assert units == ["The sky over Paris is blue -", "so go out; really.", "Ok, bye."]
    for first, second in combinations(range(len(text) + 1), 2):
        assert split(text[:first], text[first:second], text[second:], first_unit="clause") == units


@pytest.mark.parametrize(
    "text",
    [
        "and then we went on " * 60,
        "we went, and then " * 60,
        "x" * 1000,
        "see https://a.io/" + "y" * 700,
        "`" + "a b " * 200,
    ],
)
def test_a_run_on_is_cut_before_it_grows_too_long_and_loses_nothing(text: str) -> None:
    units = split(text)
    assert len(units) > 1
    assert max(map(len, units)) <= MAX_UNIT_CHARS
    assert split(*text) == units
    assert "".join(units).replace(" ", "") == text.replace(" ", "")


def test_a_run_on_is_cut_at_a_clause_rather_than_between_words() -> None:
    text = "word " * 30 + "clause, " + "word " * 30
    assert split(text)[0].endswith("clause,")


def test_a_run_on_does_not_wait_for_the_end_of_the_stream() -> None:
    splitter = SentenceSplitter()
    assert splitter.push("word " * (MAX_UNIT_CHARS // 5 + 1)) != []
