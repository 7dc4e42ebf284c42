import asyncio
import json
from collections.abc import Callable
from contextlib import aclosing

import pytest

from pipelines.errors import InputError, LLMError, LLMFault
from pipelines.events import ChatEvent, ChatMessage, ReasoningDelta, TextDelta, ToolCall, Usage
from pipelines.llm.catalogue import Endpoint, Model
from pipelines.llm.chat import ChatCompletions, ChatSettings
from pipelines.pacer.simulator import Pacer
from tests.pipelines.llm.chat_scenes import JOKE, KEY, WEATHER, chunk, endpoint, heard_from, listen, text_of
from tests.pipelines.llm.raw_server import SSE, raw_server, response
from tests.virtual_time import run_on_loopback

# ---------------------------------------------------------------- answers


def test_an_answer_comes_as_text_and_ends_with_the_usage() -> None:
    async def run() -> list[ChatEvent]:
        async with Pacer({}) as pacer:
            return await listen(pacer.base_url, "1:20000")

    events = run_on_loopback(run())
    assert text_of(events).endswith((".", "?"))
    assert isinstance(events[-1], Usage)
    assert events[-1].completion_tokens == len(events) - 1
    assert events[-1].cached_tokens == 0


def test_the_role_chunk_and_empty_contents_are_no_first_token() -> None:
    events = heard_from(SSE, chunk({"role": "assistant", "content": ""}), chunk({"content": "Hi"}), chunk({}, "stop"))
    assert events == [TextDelta("Hi"), Usage(None, None)]


@pytest.mark.parametrize("field", ["reasoning", "reasoning_content"])
def test_reasoning_is_kept_apart_from_text(field: str) -> None:
    events = heard_from(SSE, chunk({field: "hm"}), chunk({"content": "Yes."}), chunk({}, "stop"))
    assert events[:2] == [ReasoningDelta("hm"), TextDelta("Yes.")]


@pytest.mark.parametrize("size", [1, 3, 7, 100])
def test_a_think_tag_in_the_text_is_reasoning_however_it_is_cut(size: int) -> None:
    whole = "<think>a < b, so</think>\n\nIt is <b>."
    parts = [whole[at : at + size] for at in range(0, len(whole), size)]
    events = heard_from(SSE, *(chunk({"content": part}) for part in parts), chunk({}, "stop"))
    assert text_of(events).lstrip() == "It is <b>."
    assert "".join(e.text for e in events if isinstance(e, ReasoningDelta)) == "a < b, so"


def test_a_tool_call_comes_whole_and_once() -> None:
    def part(index: int, call_id: str | None, name: str | None, arguments: str) -> dict[str, object]:
        return {"index": index, "id": call_id, "function": {"name": name, "arguments": arguments}}

    events = heard_from(
        SSE,
        chunk({"tool_calls": [part(0, "a", "get_weather", "")]}),
        chunk({"tool_calls": [part(0, None, None, '{"city":')]}),
        chunk({"tool_calls": [part(0, None, None, '"Rome"}')]}),
        # Some servers number all calls 0.
        chunk({"tool_calls": [part(0, "b", "get_time", "")]}),
        chunk({}, "tool_calls"),
    )
    assert events[:-1] == [ToolCall("a", "get_weather", '{"city":"Rome"}'), ToolCall("b", "get_time", "{}")]


def test_tools_are_offered_called_and_their_result_is_told() -> None:
    async def run() -> tuple[list[ChatEvent], list[ChatEvent]]:
        question = ChatMessage("user", "What is the weather in Paris?")
        async with Pacer({}) as pacer:
            first = await listen(pacer.base_url, "1:20000", messages=[question], tools=[WEATHER])
            call = next(event for event in first if isinstance(event, ToolCall))
            followed = [question, ChatMessage("assistant", "", (call,)), ChatMessage("tool", "sunny", (), call.call_id)]
            return first, await listen(pacer.base_url, "1:20000", messages=followed, tools=[WEATHER])

    first, second = run_on_loopback(run())
    call = first[0]
    assert isinstance(call, ToolCall)
    assert (call.name, json.loads(call.arguments_json)) == ("get_weather", {"city": "Paris"})
    assert "sunny" in text_of(second)


def test_the_request_carries_the_settings_and_the_models_extra_body() -> None:
    async def run() -> str:
        async with raw_server(SSE, chunk({"content": "Hi"}, "stop")) as server:
            target = endpoint(server.base_url, extra_body={"reasoning_effort": "low"})
            llm = ChatCompletions(target, ChatSettings(max_tokens=77, temperature=0.5))
            async with aclosing(llm.stream(JOKE, [WEATHER])) as events:
                assert await anext(events) == TextDelta("Hi")
            await llm.aclose()
            return server.requests[0]

    request = run_on_loopback(run())
    body = json.loads(request.partition("\r\n\r\n")[2])
    assert f"authorization: bearer {KEY}".lower() in request.lower()
    assert body["reasoning_effort"] == "low"
    assert (body["max_tokens"], body["temperature"]) == (77, 0.5)
    assert body["stream_options"] == {"include_usage": True}
    assert body["messages"][0] == {"role": "system", "content": "You are brief."}
    assert body["tools"][0]["function"]["name"] == "get_weather"


def test_no_key_and_no_account_of_openai_is_told_to_another_provider(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-openai")
    monkeypatch.setenv("OPENAI_ORG_ID", "org-of-openai")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "proj-of-openai")

    async def run() -> str:
        async with raw_server(SSE, chunk({"content": "Hi"}, "stop")) as server:
            llm = ChatCompletions(Endpoint("local/m", "local", server.base_url, None, Model("m")))
            async with aclosing(llm.stream(JOKE)) as events:
                assert [event async for event in events]
            await llm.aclose()
            return server.requests[0]

    assert "of-openai" not in run_on_loopback(run())


# ---------------------------------------------------------------- connections


def test_warming_up_leaves_no_handshake_for_the_turn() -> None:
    async def run() -> None:
        async with Pacer({}) as pacer:
            llm = ChatCompletions(endpoint(pacer.base_url, "1:20000"))
            await llm.warm_up()
            assert pacer.connections == 2
            for _ in range(3):
                async with aclosing(llm.stream(JOKE)) as events:
                    assert [event async for event in events]
            # Requests are closed and their connections are not: another one would show.
            assert pacer.connections == 2
            assert len({request.client_port for request in pacer.requests}) <= 2
            await llm.aclose()

    run_on_loopback(run())


def test_after_a_cancelled_request_a_second_warm_connection_serves_the_next() -> None:
    async def run() -> None:
        async with Pacer({}) as pacer:
            llm = ChatCompletions(endpoint(pacer.base_url, "1:20000"))
            await llm.warm_up()
            async with aclosing(llm.stream(JOKE)) as events:
                await anext(events)
            async with aclosing(llm.stream(JOKE)) as events:
                assert [event async for event in events]
            assert pacer.connections == 1
            first, second = pacer.requests
            assert first.client_port != second.client_port
            await llm.aclose()

    run_on_loopback(run())


async def eventually(condition: Callable[[], bool]) -> bool:
    """Whether `condition` becomes true within a second."""
    for _ in range(200):
        if condition():
            return True
        await asyncio.sleep(0.005)
    return False


def test_closing_the_iterator_early_hangs_up_on_the_provider() -> None:
    async def run() -> None:
        async with Pacer({}) as pacer:
            llm = ChatCompletions(endpoint(pacer.base_url, "1:50"))
            async with aclosing(llm.stream(JOKE)) as events:
                await anext(events)
            assert await eventually(lambda: pacer.requests[0].cancelled)
            assert 1 <= pacer.requests[0].tokens_sent <= 3
            await llm.aclose()

    run_on_loopback(run())


def test_cancelling_the_task_hangs_up_before_the_first_token() -> None:
    async def run() -> None:
        async with Pacer({}) as pacer:
            task = asyncio.create_task(listen(pacer.base_url, "5000:50"))
            assert await eventually(lambda: bool(pacer.requests))
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await eventually(lambda: pacer.requests[0].cancelled)
            assert pacer.requests[0].tokens_sent == 0

    run_on_loopback(run())


def models_listed_by(reply: bytes) -> list[str]:
    async def run() -> list[str]:
        async with raw_server(reply) as server:
            llm = ChatCompletions(endpoint(server.base_url))
            try:
                return await llm.list_models()
            finally:
                await llm.aclose()

    return run_on_loopback(run())


@pytest.mark.parametrize(
    "body", [{"object": "list", "data": [{"id": "one"}, {"id": "two"}]}, [{"id": "one"}, {"id": "two"}]]
)
def test_the_provider_lists_its_models(body: object) -> None:
    assert models_listed_by(response("200 OK", json.dumps(body))) == ["one", "two"]


@pytest.mark.parametrize(
    "reply",
    [response("200 OK", "<html></html>", "text/html"), response("200 OK", '{"data": 5}'), response("200 OK", "{")],
)
def test_a_model_list_of_another_shape_is_malformed(reply: bytes) -> None:
    with pytest.raises(LLMError) as caught:
        models_listed_by(reply)
    assert caught.value.fault == LLMFault.MALFORMED


def test_warming_up_takes_a_provider_that_knows_no_such_path() -> None:
    async def run() -> None:
        async with raw_server(response("404 Not Found", "{}")) as server:
            llm = ChatCompletions(endpoint(server.base_url))
            await llm.warm_up()
            await llm.aclose()
            assert {request.split()[1] for request in server.requests} == {"/v1/models/m"}

    run_on_loopback(run())


def test_a_missing_key_is_named_before_anything_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SOME_API_KEY")
    with pytest.raises(InputError, match="SOME_API_KEY"):
        ChatCompletions(endpoint("http://127.0.0.1:9/v1"))
