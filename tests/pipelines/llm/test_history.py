from pipelines.events import ChatMessage, ToolCall
from pipelines.llm.history import MESSAGE_OVERHEAD_TOKENS, estimate_tokens, fit

SYSTEM = ChatMessage("system", "s" * 40)


def turn(name: str, size: int = 40) -> list[ChatMessage]:
    return [ChatMessage("user", name * size), ChatMessage("assistant", name * size)]


TURN_TOKENS = 2 * (10 + MESSAGE_OVERHEAD_TOKENS)
SYSTEM_TOKENS = 10 + MESSAGE_OVERHEAD_TOKENS


def test_a_conversation_that_fits_is_left_alone() -> None:
    messages = [SYSTEM, *turn("a"), *turn("b")]
    assert fit(messages, 8192, 400) == messages


def test_an_unknown_window_drops_nothing() -> None:
    messages = [SYSTEM, *turn("a", 1_000_000), ChatMessage("user", "b")]
    assert fit(messages, None, 400) == messages


def test_the_oldest_turns_go_first_and_whole() -> None:
    messages = [SYSTEM, *turn("a"), *turn("b"), *turn("c")]
    exactly_two = SYSTEM_TOKENS + 2 * TURN_TOKENS
    assert fit(messages, exactly_two + 100, 100) == [SYSTEM, *turn("b"), *turn("c")]
    assert fit(messages, exactly_two + 99, 100) == [SYSTEM, *turn("c")]


def test_the_system_prompt_and_the_last_turn_stay_even_where_they_are_too_long() -> None:
    last = [ChatMessage("user", "x" * 10_000)]
    assert fit([SYSTEM, *turn("a"), *last], 100, 50) == [SYSTEM, *last]


def test_a_tool_call_stays_with_its_result_and_question() -> None:
    call = ToolCall("1", "get_weather", "{}")
    asked = [
        ChatMessage("user", "weather?"),
        ChatMessage("assistant", "", (call,)),
        ChatMessage("tool", "x" * 4000, (), "1"),
    ]
    assert fit([SYSTEM, *turn("a"), *asked], 200, 50) == [SYSTEM, *asked]
    assert fit([SYSTEM, *asked, *turn("b")], 200, 50) == [SYSTEM, *turn("b")]


def test_a_greeting_before_the_first_question_can_be_dropped() -> None:
    greeting = ChatMessage("assistant", "h" * 400)
    assert fit([SYSTEM, greeting, *turn("a")], SYSTEM_TOKENS + TURN_TOKENS, 0) == [SYSTEM, *turn("a")]


def test_nothing_stays_nothing() -> None:
    assert fit([], 100, 50) == []
    assert fit([SYSTEM], 1, 1) == [SYSTEM]


def test_the_estimate_counts_tool_calls_too() -> None:
    message = ChatMessage("assistant", "", (ToolCall("1", "abcd", "x" * 36),))
    assert estimate_tokens(message) == 10 + MESSAGE_OVERHEAD_TOKENS
