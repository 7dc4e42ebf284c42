"""What is said while the agent speaks: does it interrupt?"""

import pytest

from pipelines.barge_in import BargeInSettings, Verdict, judge
from pipelines.events import SAMPLE_RATE_HZ, Transcript

SAYING = "The capital of Norway is Oslo, which lies at the end of a long fjord."


def heard(text: str, length_ms: float, *, final: bool, after_ms: float | None = 1_000) -> Verdict:
    """The verdict on `length_ms` of speech that began `after_ms` after the agent."""
    transcript = Transcript(text, text, final, round(length_ms * SAMPLE_RATE_HZ / 1_000) + 100, 0.0, 0.0)
    return judge(transcript, 100, after_ms, SAYING, BargeInSettings())


@pytest.mark.parametrize("text", ["", "Uh-huh.", "Mm-hmm.", "yeah", "Yeah, okay.", "oh I see right", "Thank you!"])
def test_backchannels_and_sounds_without_words_do_not_interrupt(text: str) -> None:
    assert heard(text, 900, final=True) is Verdict.FALSE_START
    assert heard(text, 900, final=False) is Verdict.WAIT


@pytest.mark.parametrize("text", ["Stop.", "wait", "No, the other", "Hold on"])
def test_who_asks_to_stop_is_obeyed_at_the_first_word(text: str) -> None:
    assert heard(text, 300, final=False) is Verdict.TAKEN


@pytest.mark.parametrize("text", ["What about Tokyo?", "Yeah but why"])
def test_other_words_interrupt_after_half_a_second_or_at_the_pause_after_them(text: str) -> None:
    assert heard(text, 400, final=False) is Verdict.WAIT
    assert heard(text, 500, final=False) is Verdict.TAKEN
    assert heard(text, 300, final=True) is Verdict.TAKEN


def test_a_single_word_that_does_not_ask_to_stop_may_have_been_a_grunt() -> None:
    assert heard("Opera.", 700, final=True) is Verdict.FALSE_START


def test_the_agents_own_words_are_its_echo() -> None:
    assert heard("lies at the end of", 700, final=True) is Verdict.FALSE_START
    assert heard("Norway, really?", 700, final=True) is Verdict.TAKEN
    assert heard("Which fjord do you mean by that?", 1_500, final=True) is Verdict.TAKEN


def test_a_sentence_that_nobody_could_have_said_so_fast_was_not_said() -> None:
    assert heard("Oh, I would like to order a regular fruit basket.", 350, final=True) is Verdict.FALSE_START
    assert heard("Oh, I would like to order a regular fruit basket.", 2_500, final=True) is Verdict.TAKEN


@pytest.mark.parametrize("after_ms", [None, -300, 150])
@pytest.mark.parametrize("text", ["eight", "Opera.", "yeah", "and the heater"])
def test_words_that_began_before_anybody_could_react_to_the_agent_go_on_with_the_turn(
    text: str, after_ms: float | None
) -> None:
    assert heard(text, 900, final=True, after_ms=after_ms) is Verdict.TAKEN
    assert heard(text, 900, final=False, after_ms=after_ms) is Verdict.TAKEN


def test_a_sound_without_words_is_no_speech_whenever_it_began() -> None:
    assert heard("", 900, final=True, after_ms=None) is Verdict.FALSE_START
    assert heard("Oh, I would like to order a fruit basket.", 350, final=True, after_ms=0) is Verdict.FALSE_START


def test_a_word_of_the_agents_own_as_it_begins_to_speak_is_its_echo() -> None:
    assert heard("the end.", 400, final=True, after_ms=30) is Verdict.FALSE_START
    assert heard("the end.", 400, final=True, after_ms=None) is Verdict.TAKEN
