from itertools import pairwise

from pipelines.events import ChatMessage, ToolCall
from pipelines.llm.history import MESSAGE_OVERHEAD_TOKENS, Window, estimate_tokens, fit

SYSTEM = ChatMessage("system", "s" * 40)


def turn(name: str, size: int = 40) -> list[ChatMessage]:
    return [ChatMessage("user", name * size), ChatMessage("assistant", name * size)]


TURN_TOKENS = 2 * (10 + MESSAGE_OVERHEAD_TOKENS)
SYSTEM_TOKENS = 10 + MESSAGE_OVERHEAD_TOKENS


def test_a_conversation_that_fits_is_left_alone() -> None:
    messages = [SYSTEM, *turn("a"), *turn("b")]
    assert fit(messages, Window(8192, 400)).messages == messages


def test_an_unknown_window_drops_nothing() -> None:
    messages = [SYSTEM, *turn("a", 1_000_000), ChatMessage("user", "b")]
    assert fit(messages, Window(None, 400)).messages == messages


def test_the_oldest_turns_go_first_and_whole() -> None:
    messages = [SYSTEM, *turn("a"), *turn("b"), *turn("c"), *turn("d"), *turn("e")]
    exactly_four = SYSTEM_TOKENS + 4 * TURN_TOKENS
    fitted = fit(messages, Window(exactly_four + 100, 100))
    assert fitted.messages == [SYSTEM, *turn("c"), *turn("d"), *turn("e")]
    assert fitted.dropped_turns == 2
    assert fitted.estimated_tokens == SYSTEM_TOKENS + 3 * TURN_TOKENS


def test_what_just_fits_is_kept() -> None:
    messages = [SYSTEM, *turn("a"), *turn("b"), *turn("c")]
    exactly_three = SYSTEM_TOKENS + 3 * TURN_TOKENS
    assert fit(messages, Window(exactly_three + 100, 100)).messages == messages
    assert fit(messages, Window(exactly_three + 99, 100)).messages == [SYSTEM, *turn("b"), *turn("c")]


def test_a_growing_conversation_keeps_its_beginning_for_several_turns() -> None:
    window = Window(SYSTEM_TOKENS + 20 * TURN_TOKENS, 0)
    messages, beginnings = [SYSTEM], []
    for number in range(60):
        messages = [*messages, *turn(chr(ord("a") + number))]
        fitted = fit(messages, window)
        assert fitted.estimated_tokens <= SYSTEM_TOKENS + 20 * TURN_TOKENS
        beginnings.append(fitted.messages[1])
    moves = sum(earlier != later for earlier, later in pairwise(beginnings))
    assert moves == 7  # every sixth turn, not every turn


def test_the_system_prompt_and_the_last_turn_stay_even_where_they_are_too_long() -> None:
    last = [ChatMessage("user", "x" * 10_000)]
    assert fit([SYSTEM, *turn("a"), *last], Window(100, 50)).messages == [SYSTEM, *last]


def test_a_tool_call_stays_with_its_result_and_question() -> None:
    call = ToolCall("1", "get_weather", "{}")
    asked = [
        ChatMessage("user", "weather?"),
        ChatMessage("assistant", "", (call,)),
        ChatMessage("tool", "x" * 4000, (), "1"),
    ]
    assert fit([SYSTEM, *turn("a"), *asked], Window(200, 50)).messages == [SYSTEM, *asked]
    assert fit([SYSTEM, *asked, *turn("b")], Window(200, 50)).messages == [SYSTEM, *turn("b")]


def test_a_greeting_before_the_first_question_can_be_dropped() -> None:
    greeting = ChatMessage("assistant", "h" * 400)
    assert fit([SYSTEM, greeting, *turn("a")], Window(SYSTEM_TOKENS + TURN_TOKENS, 0)).messages == [SYSTEM, *turn("a")]


def test_nothing_stays_nothing() -> None:
    assert fit([], Window(100, 50)).messages == []
    assert fit([SYSTEM], Window(1, 1)).messages == [SYSTEM]


def test_the_estimate_counts_tool_calls_too() -> None:
    message = ChatMessage("assistant", "", (ToolCall("1", "abcd", "x" * 36),))
    assert estimate_tokens(message) == 10 + MESSAGE_OVERHEAD_TOKENS
