import pytest

from pipelines.endpointing import Completeness, EndpointingSettings, completeness, silence_needed_ms

SETTINGS = EndpointingSettings(
    complete_ms=1, unknown_ms=2, dangling_ms=3, wordless_ms=4, confident_end_probability=0.9, likely_end_probability=0.5
)
COMPLETE, UNKNOWN, DANGLING = Completeness.COMPLETE, Completeness.UNKNOWN, Completeness.DANGLING


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("What time is it?", COMPLETE),
        ("Set a timer for ten minutes.", COMPLETE),
        ("Stop!", COMPLETE),
        ("Yes.", COMPLETE),
        ("No.", COMPLETE),
        ("Why?", COMPLETE),
        ("Really?", COMPLETE),
        ("Turn it on.", COMPLETE),
        ('She said "hello."', COMPLETE),
        ("It costs 42 dollars.", COMPLETE),
        ("what time is it in tokyo", UNKNOWN),
        ("Boston", UNKNOWN),
        ("no", COMPLETE),
        ("okay", COMPLETE),
        ("why", COMPLETE),
        ("How?", COMPLETE),
        ("What?", COMPLETE),
        ("What is", DANGLING),
        ("Where are you from?", COMPLETE),
        ("What are you looking at?", COMPLETE),
        ("Where are you from", DANGLING),
        ("Where are you from.", DANGLING),
        ("Who is it for!", DANGLING),
        ("How far is it from Rome to.", DANGLING),
        ("What is the?", DANGLING),
        ("Is it because?", DANGLING),
        ("no sugar", UNKNOWN),
        ("", UNKNOWN),
        ("?", UNKNOWN),
        ("Tell me about the", DANGLING),
        ("Tell me about the.", DANGLING),
        ("I want to go to Boston and", DANGLING),
        ("AND", DANGLING),
        ("The weather in", DANGLING),
        ("Set a timer for,", DANGLING),
        ("I would like...", DANGLING),
        ("I would like …", DANGLING),
        ("First of all:", DANGLING),
        ("Well, um", DANGLING),
        ("I think it's", DANGLING),
    ],
)
def test_the_words_tell_whether_somebody_has_finished(text: str, expected: Completeness) -> None:
    assert completeness(text) is expected
    needed_ms = {COMPLETE: 1, UNKNOWN: 2, DANGLING: 3}[expected]
    assert silence_needed_ms(text, None, SETTINGS) == needed_ms


@pytest.mark.parametrize(
    ("text", "end_probability", "needed_ms"),
    [
        ("What time is it?", 1.0, 1),
        ("What time is it?", 0.9, 1),
        ("What time is it?", 0.89, 2),
        ("What time is it?", 0.5, 2),
        ("What time is it?", 0.49, 3),
        ("Yes.", 0.0, 1),
        ("no", 0.0, 1),
        ("Why?", 0.0, 1),
        ("Where are you from?", 0.95, 1),
        ("Where are you from?", 0.6, 2),
        ("Where are you from", 0.95, 3),
        ("", 0.0, 3),
        ("what time is it in tokyo", 0.9, 1),
        ("what time is it in tokyo", 0.5, 2),
        ("Tell me about the", 1.0, 3),
    ],
)
def test_a_recogniser_that_tells_how_sure_it_is_of_the_end_is_believed_unless_the_words_dangle(
    text: str, end_probability: float, needed_ms: float
) -> None:
    assert silence_needed_ms(text, end_probability, SETTINGS) == needed_ms


def test_by_default_the_less_the_words_promise_an_end_the_longer_the_wait() -> None:
    settings = EndpointingSettings()
    assert settings.complete_ms < settings.unknown_ms < settings.dangling_ms
