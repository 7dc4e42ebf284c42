"""The normal form of texts, and whether two have the same words."""

import time

import pytest

from pipelines.text import normalise, same_words


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("Yes, please.", "yes please"),
        ("  What   time is it?", "what time is it"),
        ("It's 7:30.", "it's seven thirty"),
        ("I paid $42.50", "i paid forty two point five zero"),
        ("15% of 240", "fifteen percent of two hundred forty"),
        ("1,800 tokens", "one thousand eight hundred tokens"),
        ("don’t", "don't"),
        ("key-value caching", "key value caching"),
        ("call 5550142", "call five five five zero one four two"),
        ("at 07:05", "at zero seven zero five"),
        ("... ?!", ""),
        ("", ""),
        ("2x", "two x"),
    ],
)
def test_normal_form_has_words_only(text: str, normal: str) -> None:
    assert normalise(text) == normal
    assert normalise(normal) == normal


def test_normalising_costs_less_than_50_microseconds() -> None:
    text = "Could you please tell me how far it is to the airport, and what the traffic is like at 7:30?"
    normalise(text)
    started = time.perf_counter()
    for _ in range(200):
        normalise(text)
    assert (time.perf_counter() - started) / 200 < 50e-6


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("What time is it?", "what time, is it", True),
        ("At 7:30.", "at seven thirty", True),
        ("", "...", True),
        ("What time is it?", "What time was it?", False),
        ("fifteen", "50", False),
        ("can", "can't", False),
    ],
)
def test_texts_have_the_same_words_whatever_their_case_and_punctuation(first: str, second: str, same: bool) -> None:
    assert same_words(first, second) is same
