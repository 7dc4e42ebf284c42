import asyncio
import json
from contextlib import aclosing

import pytest

from pipelines.errors import LLMError, LLMFault
from pipelines.events import ChatEvent, TextDelta
from pipelines.llm.chat import ChatCompletions, ChatSettings
from pipelines.pacer.simulator import Pacer
from tests.pipelines.llm.chat_scenes import JOKE, KEY, chunk, endpoint, fault_of, listen, text_of
from tests.pipelines.llm.raw_server import SSE, raw_server, response
from tests.virtual_time import run_on_loopback


@pytest.mark.parametrize(
    ("status", "fault", "said"),
    [
        ("400 Bad Request", LLMFault.REJECTED, "HTTP 400: the prompt is too long"),
        ("401 Unauthorized", LLMFault.UNAUTHORIZED, "SOME_API_KEY"),
        ("403 Forbidden", LLMFault.UNAUTHORIZED, "SOME_API_KEY"),
        ("404 Not Found", LLMFault.NOT_FOUND, "serves no model 'm'"),
        ("422 Unprocessable", LLMFault.REJECTED, "HTTP 422"),
        ("500 Oops", LLMFault.SERVER_ERROR, "HTTP 500"),
        ("503 Busy", LLMFault.SERVER_ERROR, "HTTP 503"),
    ],
)
def test_a_refusal_is_told_in_one_line_by_its_kind(status: str, fault: LLMFault, said: str) -> None:
    body = json.dumps({"error": {"message": "the prompt\n is too long"}})
    found, message, _ = fault_of(response(status, body))
    assert found == fault
    assert said in message


@pytest.mark.parametrize("status", ["400 Bad Request", "401 Unauthorized", "403 Forbidden", "429 Slow", "500 Oops"])
def test_a_key_that_the_provider_repeats_is_not_repeated(status: str) -> None:
    _, message, _ = fault_of(response(status, json.dumps({"error": {"message": f"Incorrect API key provided: {KEY}"}})))
    assert KEY not in message


def test_a_rate_limit_says_how_long_to_wait() -> None:
    found, message, error = fault_of(response("429 Slow", "{}", headers="Retry-After: 7\r\n"))
    assert (found, error.retry_after_s) == (LLMFault.RATE_LIMITED, 7.0)
    assert "retry after 7 s" in message


def test_a_rate_limit_may_state_a_date_or_nothing() -> None:
    past = "Retry-After: Wed, 21 Oct 2015 07:28:00 GMT\r\n"
    assert fault_of(response("429 Slow", "{}", headers=past))[2].retry_after_s == 0.0
    assert fault_of(response("429 Slow", "{}"))[2].retry_after_s is None


def test_a_web_page_instead_of_a_stream_is_malformed() -> None:
    found, message, _ = fault_of(response("200 OK", "<html>Sign in</html>", "text/html; charset=utf-8"))
    assert found == LLMFault.MALFORMED
    assert "text/html" in message


def test_a_web_page_as_an_error_is_not_quoted() -> None:
    found, message, _ = fault_of(response("502 Bad Gateway", "<html>nginx</html>", "text/html"))
    assert found == LLMFault.SERVER_ERROR
    assert "<html>" not in message


@pytest.mark.parametrize(
    ("last", "fault"),
    [
        (b"data: {not json}\n\n", LLMFault.MALFORMED),
        (b"data: 5\n\n", LLMFault.MALFORMED),
        (b'data: {"choices": 7}\n\n', LLMFault.MALFORMED),
        (b'data: {"choices": [{"delta": "x"}]}\n\n', LLMFault.MALFORMED),
        (b"data: \xff\xfe\n\n", LLMFault.MALFORMED),
        (b'data: {"choi', LLMFault.CUT),
        (b"", LLMFault.CUT),
        (b"data: [DONE]\n\n", LLMFault.CUT),
        (b'data: {"error": {"message": "overloaded"}}\n\n', LLMFault.SERVER_ERROR),
        (b'data: {"error": {"message": "slow down", "code": "rate_limit_exceeded"}}\n\n', LLMFault.RATE_LIMITED),
    ],
)
def test_what_goes_wrong_in_the_middle_of_an_answer_is_told_by_its_kind(last: bytes, fault: LLMFault) -> None:
    assert fault_of(SSE, chunk({"content": "Well, "}), last)[0] == fault


def test_text_that_came_before_a_fault_was_delivered() -> None:
    async def run() -> None:
        async with raw_server(SSE, chunk({"content": "Well, "}), b"data: nonsense\n\n") as server:
            llm = ChatCompletions(endpoint(server.base_url))
            async with aclosing(llm.stream(JOKE)) as events:
                assert await anext(events) == TextDelta("Well, ")
                with pytest.raises(LLMError):
                    await anext(events)
            await llm.aclose()

    run_on_loopback(run())


def test_silence_before_the_first_token_is_a_stall() -> None:
    impatient = ChatSettings(first_token_timeout_s=0.25)
    found, message, _ = fault_of(settings=impatient, hold_open=True)
    assert found == LLMFault.STALLED
    assert "0.25 s before its first token" in message


def test_a_role_chunk_does_not_end_the_wait_for_the_first_token() -> None:
    impatient = ChatSettings(first_token_timeout_s=0.25, stall_timeout_s=60)
    assert fault_of(SSE, chunk({"role": "assistant"}), settings=impatient, hold_open=True)[0] == LLMFault.STALLED


def test_silence_in_the_middle_of_an_answer_is_a_stall() -> None:
    impatient = ChatSettings(stall_timeout_s=0.1)
    found, message, _ = fault_of(SSE, chunk({"content": "Well, "}), settings=impatient, hold_open=True)
    assert found == LLMFault.STALLED
    assert "in the middle of its answer" in message


def test_comments_that_keep_a_connection_alive_are_no_answer() -> None:
    impatient = ChatSettings(first_token_timeout_s=0.25)
    beats = [b": PROCESSING\n\n"] * 20
    assert fault_of(SSE, *beats, settings=impatient, hold_open=True)[0] == LLMFault.STALLED


def test_a_slow_listener_is_not_a_stalled_provider() -> None:
    async def run() -> list[ChatEvent]:
        async with raw_server(SSE, chunk({"content": "a"}), chunk({"content": "b"}), chunk({}, "stop")) as server:
            llm = ChatCompletions(endpoint(server.base_url), ChatSettings(stall_timeout_s=0.03))
            heard = []
            async with aclosing(llm.stream(JOKE)) as events:
                async for event in events:
                    heard.append(event)
                    await asyncio.sleep(0.04)
            await llm.aclose()
            return heard

    assert text_of(run_on_loopback(run())) == "ab"


def test_a_connection_that_is_refused_names_the_address() -> None:
    async def run() -> str:
        async with raw_server() as server:
            pass
        await asyncio.sleep(0.001)
        with pytest.raises(LLMError) as caught:
            await listen(server.base_url)
        assert caught.value.fault == LLMFault.UNREACHABLE
        assert server.base_url in str(caught.value)
        llm = ChatCompletions(endpoint(server.base_url))
        with pytest.raises(LLMError, match="cannot be reached"):
            await llm.warm_up()
        await llm.aclose()
        return str(caught.value)

    assert KEY not in run_on_loopback(run())


def test_a_pacer_killed_in_the_middle_of_an_answer_is_a_cut() -> None:
    async def run() -> LLMFault:
        pacer = Pacer({})
        await pacer.__aenter__()
        llm = ChatCompletions(endpoint(pacer.base_url, "1:20"))
        async with aclosing(llm.stream(JOKE)) as events:
            await anext(events)
            await pacer.__aexit__()
            with pytest.raises(LLMError) as caught:
                assert not [event async for event in events]
        await llm.aclose()
        return caught.value.fault

    assert run_on_loopback(run()) == LLMFault.CUT
