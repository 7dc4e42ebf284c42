import pytest

from pipelines.endpointing import Completeness, EndpointingSettings, Evidence, completeness, silence_needed_ms

SETTINGS = EndpointingSettings(
    sure_ms=1,
    likely_ms=2,
    likely_statement_ms=2.5,
    doubtful_ms=3,
    list_ms=4,
    dangling_ms=6,
    sure_sound=0.9,
    likely_sound=0.5,
    sure_question=0.8,
    likely_question=0.7,
    statement_mark=0.6,
    patience=0.25,
)
COMPLETE, UNKNOWN, LIST, DANGLING = (
    Completeness.COMPLETE,
    Completeness.UNKNOWN,
    Completeness.LIST,
    Completeness.DANGLING,
)


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
        ("If it rains tomorrow.", UNKNOWN),
        ("While the oven heats up", UNKNOWN),
        ("With two small children.", UNKNOWN),
        ("If it rains, take the train.", COMPLETE),
        ("When does the shop close?", COMPLETE),
        ("In which street is it?", COMPLETE),
        ("Can you explain to me?", UNKNOWN),
        ("Tell me.", UNKNOWN),
        ("Hi, I was wondering.", UNKNOWN),
        ("I would like.", UNKNOWN),
        ("Can you help me?", COMPLETE),
        ("What do you think?", COMPLETE),
        ("Can you tell me a joke?", COMPLETE),
        ("Play the new album by.", DANGLING),
        ("I am calling about.", DANGLING),
        ("What is it about?", COMPLETE),
        ("I think it's", DANGLING),
    ],
)
def test_the_words_tell_whether_somebody_has_finished(text: str, expected: Completeness) -> None:
    assert completeness(text) is expected


@pytest.mark.parametrize(
    ("text", "ends_marked", "sounds_finished", "needed_ms"),
    [
        ("What time is it?", None, None, 2),
        ("What time is it?", None, 0.9, 1),
        ("What time is it?", None, 0.89, 2),
        ("What time is it?", 0.8, 0.9, 1),
        ("What time is it?", 0.8, 0.1, 2),
        ("What time is it?", 0.79, 0.9, 2),
        ("What time is it?", 0.69, 0.9, 3),
        ("What time is it?", 0.99, None, 2),
        ("What time is it?", 0.69, None, 3),
        ("It is late.", None, None, 2.5),
        ("It is late.", 0.6, 0.9, 1),
        ("It is late.", 0.6, 0.5, 2.5),
        ("It is late.", 0.6, 0.49, 3),
        ("It is late.", 0.59, 0.9, 3),
        ("I am calling because my line has been slow for days.", 0.9, 0.99, 2.5),
        ("Is it because my line has been slow for so many days?", 0.9, 0.99, 1),
        ("what time is it in tokyo", None, None, 3),
        ("what time is it in tokyo", 0.1, 0.9, 2),
        ("what time is it in tokyo", 0.1, 0.5, 3),
        ("The code is 4, 8", None, None, 4),
        ("The code is 4, 8", 0.9, 0.9, 4),
        ("The code is 4, 8", 0.9, 0.5, 6),
        ("Tell me about the", None, None, 6),
        ("Tell me about the", 1.0, 1.0, 6),
        ("Yes.", None, None, 1),
        ("no", 0.0, 0.0, 1),
        ("Why?", 0.0, 0.0, 1),
        ("", None, None, 3),
    ],
)
def test_the_words_their_end_mark_and_the_sound_say_together_how_much_silence_ends_the_turn(
    text: str, ends_marked: float | None, sounds_finished: float | None, needed_ms: float
) -> None:
    assert silence_needed_ms(Evidence(text, ends_marked, sounds_finished), SETTINGS) == needed_ms


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("four", LIST),
        ("4.", LIST),
        ("Four, eight", LIST),
        ("4-8-2", LIST),
        ("The code is four.", LIST),
        ("My phone number is 555", LIST),
        ("My phone number is 555-0142.", LIST),
        ("My number is 415-267-8810.", COMPLETE),
        ("It's spelled S, M", LIST),
        ("My name is spelled S-M-Y-T-H.", LIST),
        ("The reference is A four nine", LIST),
        ("double seven", LIST),
        ("Set a timer for ten minutes.", COMPLETE),
        ("What is five plus four?", COMPLETE),
        ("Wake me up at 7.", COMPLETE),
        ("The meeting is in room 204.", COMPLETE),
        ("Which one?", COMPLETE),
        ("I was born in 1984.", COMPLETE),
        ("What number is it?", COMPLETE),
        ("Give me the number of", DANGLING),
    ],
)
def test_digits_and_letters_said_one_by_one_may_go_on(text: str, expected: Completeness) -> None:
    assert completeness(text) is expected


@pytest.mark.parametrize(("resumptions", "needed_ms"), [(0, 2.0), (1, 2.5), (2, 3.0), (4, 4.0), (10, 4.0)])
def test_a_speaker_who_keeps_going_on_is_given_up_to_twice_the_time(resumptions: float, needed_ms: float) -> None:
    assert silence_needed_ms(Evidence("What time is it?", None, 0.5, resumptions), SETTINGS) == needed_ms


def test_nobody_is_waited_for_longer_than_after_dangling_words() -> None:
    assert silence_needed_ms(Evidence("The code is 4, 8", None, 0.9, 4), SETTINGS) == SETTINGS.dangling_ms


def test_by_default_the_less_promises_an_end_the_longer_the_wait() -> None:
    settings = EndpointingSettings()
    assert (
        settings.sure_ms
        < settings.likely_ms
        < settings.likely_statement_ms
        < settings.doubtful_ms
        < settings.dangling_ms
    )
