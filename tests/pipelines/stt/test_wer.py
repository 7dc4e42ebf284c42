import time

import pytest

from pipelines.stt.wer import normalise, scored, word_error_rate


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


def test_word_error_rate_ignores_case_and_punctuation() -> None:
    assert word_error_rate("Book a table for 2.", "book a table, for two") == 0


@pytest.mark.parametrize(
    ("said", "written"),
    [
        ("five five five zero one four two", "555-0142."),
        ("four one five two six seven", "415. 267"),
        ("seven thirty", "7:30"),
        ("it costs five dollars", "It costs $5"),
        ("okay", "OK."),
        ("one hundred and forty", "140"),
        ("my favourite colour", "My favorite color"),
        ("doctor Smith", "Dr. Smith"),
        ("my name is K A T E", "My name is K-A-T-E."),
        ("at zero seven zero five", "at 07:05"),
        ("two point five", "2.5"),
        ("maybe later", "Maybe... later..."),
    ],
)
def test_the_same_words_score_the_same_however_they_are_written(said: str, written: str) -> None:
    assert scored(said) == scored(written)
    assert word_error_rate(said, written) == 0


@pytest.mark.parametrize(
    ("said", "written"),
    [("fifteen", "50"), ("seven thirty", "7:13"), ("can", "can't"), ("two point five", "25"), ("oak", "OK")],
)
def test_other_words_never_score_the_same(said: str, written: str) -> None:
    assert word_error_rate(said, written) > 0


def test_word_error_rate_counts_each_kind_of_error_over_reference_words() -> None:
    assert word_error_rate("one red fox ran", "one big fox") == pytest.approx(2 / 4)
    assert word_error_rate("fox", "fox and dog") == pytest.approx(2.0)


def test_a_series_is_summed_before_dividing() -> None:
    assert word_error_rate(["fox", "red dog ran"], ["box", "red dog ran"]) == pytest.approx(1 / 4)


def test_silence_understood_as_silence_is_right_and_as_speech_is_wrong() -> None:
    assert word_error_rate("", "") == 0
    assert word_error_rate("", "so it goes") == 1


def test_series_of_different_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="shorter"):
        word_error_rate(["a", "b"], ["a"])
