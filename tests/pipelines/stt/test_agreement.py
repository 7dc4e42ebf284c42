import pytest

from pipelines.events import Word
from pipelines.stt.agreement import agreed, join


def words(text: str) -> tuple[Word, ...]:
    return tuple(Word(word, i, i + 1) for i, word in enumerate(text.split()))


def text(spoken: tuple[Word, ...]) -> str:
    return " ".join(word.text for word in spoken)


@pytest.mark.parametrize(
    ("previous", "current", "count"),
    [
        ("", "what", 0),
        ("what time", "what time is", 2),
        ("What time.", "what time is", 2),
        ("what dime is", "what time is", 1),
        ("set a time", "set a timer", 2),
    ],
)
def test_two_hypotheses_agree_on_their_common_beginning(previous: str, current: str, count: int) -> None:
    assert agreed(words(previous), words(current)) == count


@pytest.mark.parametrize(
    ("parts", "reads"),
    [
        (["Book a table for two.", "At seven."], "Book a table for two at seven."),
        (["Turn off the", "The heater."], "Turn off the the heater."),
        (["Tickets to", "Paris."], "Tickets to Paris."),
        (["What time is it?", "I must go."], "What time is it? I must go."),
        (["Thank you.", "Goodbye."], "Thank you. Goodbye."),
        (["I need", "I need help."], "I need I need help."),
        (["", "Yes."], "Yes."),
        (["It costs", "3.5 dollars."], "It costs 3.5 dollars."),
        (["one", "two", "three"], "one two three"),
    ],
)
def test_parts_read_as_one_utterance(parts: list[str], reads: str) -> None:
    assert text(join(words(part) for part in parts)) == reads


def test_joining_keeps_the_number_of_words_and_their_times() -> None:
    parts = [words("Book a table."), words("For two.")]
    joined = join(parts)
    assert [(w.start_samples, w.end_samples) for w in joined] == [
        (w.start_samples, w.end_samples) for part in parts for w in part
    ]
