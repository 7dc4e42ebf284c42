import pytest

from pipelines.playout import Played, heard_text
from pipelines.stopwatch.marks import Playout

UNIT = Played("One two three.", 10.0, 11.4)  # 100 ms a letter


@pytest.mark.parametrize(
    ("cut_s", "heard"),
    [
        (9.0, ""),
        (10.0, ""),
        (10.29, ""),
        (10.35, "One"),
        (10.69, "One"),
        (10.75, "One two"),
        (11.35, "One two"),
        (11.4, "One two three."),
        (20.0, "One two three."),
    ],
)
def test_a_word_half_said_was_not_heard(cut_s: float, heard: str) -> None:
    assert UNIT.heard(cut_s) == heard


def test_an_answer_that_was_not_cut_was_heard_whole() -> None:
    assert heard_text([UNIT, Played("Four.", 11.4, 12.0)], None) == "One two three. Four."


def test_of_an_answer_that_was_cut_the_earlier_sentences_were_heard() -> None:
    assert heard_text([UNIT, Played("Four five six.", 11.4, 12.8)], 12.3) == "One two three. Four five"


def test_a_sentence_that_had_not_begun_was_not_heard() -> None:
    assert heard_text([UNIT, Played("Four.", 11.4, 12.0)], 11.4) == "One two three."


def test_nothing_played_is_nothing_heard() -> None:
    assert heard_text([], 5.0) == ""


def test_of_a_sentence_that_is_still_being_synthesized_no_more_was_heard_than_can_be_said_in_that_time() -> None:
    playout, text = Playout(), "One two three four five six."
    playout.add(text, 10.0, 10.4, last=False)
    assert heard_text(playout.played, 10.4) == "One two"
    playout.add(text, 10.4, 12.8)
    assert heard_text(playout.played, 11.31) == "One two three"
    assert heard_text(playout.played, 12.8) == text


def test_a_sentence_is_over_when_the_next_one_begins() -> None:
    playout = Playout()
    playout.add("One two three four.", 1.0, 1.2, last=False)
    playout.add("Five.", 1.2, 1.5, last=False)
    assert heard_text(playout.played, 1.3) == "One two three four."
    playout.finish()
    assert heard_text(playout.played, 1.5) == "One two three four. Five."


def test_pieces_of_one_sentence_are_one_stretch_of_speech() -> None:
    playout, text = Playout(), "One two."
    playout.add(text, 1.0, 1.5)
    playout.add(text, 1.5, 2.0)
    assert playout.played == [Played("One two.", 1.0, 2.0)]
    assert playout.starved_ms == 0


def test_a_gap_between_pieces_is_starvation() -> None:
    playout = Playout()
    playout.add("One.", 1.0, 1.5)
    playout.add("Two.", 1.75, 2.0)
    assert playout.starved_ms == pytest.approx(250)
