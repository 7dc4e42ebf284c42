import pytest

from pipelines.stt.wer import scored, word_error_rate


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
