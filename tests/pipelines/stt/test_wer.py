import time

import pytest

from pipelines.stt.wer import normalise, word_error_rate


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


def test_word_error_rate_counts_each_kind_of_error_over_reference_words() -> None:
    assert word_error_rate("a b c d", "a x c") == pytest.approx(2 / 4)
    assert word_error_rate("a", "a b c") == pytest.approx(2.0)


def test_a_series_is_summed_before_dividing() -> None:
    assert word_error_rate(["a", "b c d"], ["x", "b c d"]) == pytest.approx(1 / 4)


def test_silence_understood_as_silence_is_right_and_as_speech_is_wrong() -> None:
    assert word_error_rate("", "") == 0
    assert word_error_rate("", "so it goes") == 1


def test_series_of_different_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="shorter"):
        word_error_rate(["a", "b"], ["a"])
