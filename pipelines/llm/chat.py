"""The one LLM client: streaming Chat Completions through the openai SDK.

It knows one endpoint and its own patience; independent of turns, prices, failover or who listens. Whoever
iterates takes the times.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar, cast
from urllib.parse import urlsplit

from pipelines.errors import LLMError, LLMFault
from pipelines.events import ChatEvent, ChatMessage, ToolSpec
from pipelines.llm.catalogue import Endpoint
from pipelines.llm.wire import Assembly, message_json, tools_json

if TYPE_CHECKING:
    import openai

_T = TypeVar("_T")

_NO_KEY = "none"
"""Sent if no key is needed; the SDK would otherwise send OPENAI_API_KEY to whoever listens."""

_KEEP_ALIVE_S = 300.0
"""How long an idle connection is kept. The SDK's 5 s is shorter than the pause between two turns."""


@dataclass(frozen=True, slots=True)
class ChatSettings:
    """The client's patience and what it asks for; None leaves a value to the provider.

    `first_token_timeout_s` runs from the request to the first token of any kind, `stall_timeout_s` between two of them.
    `warm_connections` is 2 because a cancelled speculative request takes its connection with it and the next one must
    not wait for a handshake.
    """

    connect_timeout_s: float = 5.0
    first_token_timeout_s: float = 10.0
    stall_timeout_s: float = 5.0
    max_tokens: int | None = 400
    temperature: float | None = None
    warm_connections: int = 2


class ChatCompletions:
    """A `ChatModel` over HTTP; close its iterators with `contextlib.aclosing`, then the provider sees the disconnect.

    Raises InputError if the endpoint needs a key that the environment does not hold.
    """

    def __init__(self, endpoint: Endpoint, settings: ChatSettings | None = None) -> None:
        if endpoint.base_url is None:
            raise ValueError(f"{endpoint.name} has no address yet: use endpoint.at(pacer.base_url)")
        self.name = endpoint.name
        self._endpoint = endpoint
        self._settings = settings or ChatSettings()
        self._api_key = endpoint.api_key()
        self._client = _client(endpoint.base_url, self._api_key, self._settings)

    async def stream(
        self, messages: Sequence[ChatMessage], tools: Sequence[ToolSpec] = ()
    ) -> AsyncGenerator[ChatEvent]:
        """Send one request, yield what comes back and a `Usage` last; closing cancels it. Raises LLMError."""
        from pipelines.llm import chat_errors

        loop = asyncio.get_running_loop()
        deadline = self._first_token_deadline()
        response = await self._send(messages, tools, deadline)
        assembly, answering = Assembly(), False
        try:
            while (chunk := await self._within(deadline, anext(response, None), answering)) is not None:
                events = self._read(assembly, chunk)
                for event in events:
                    yield event
                if events:
                    # Set after the yields, so that a slow listener is not taken for a slow provider.
                    deadline, answering = loop.time() + self._settings.stall_timeout_s, True
        finally:
            await response.close()
        if not assembly.finished:
            raise chat_errors.cut(self._endpoint)
        yield assembly.usage()

    async def warm_up(self) -> None:
        """Open connections for the next requests by asking about the model.

        Raises LLMError if nobody answers or the key is refused. What else the provider says does not matter here: some
        do not serve this path at all.
        """
        import openai

        deadline = self._first_token_deadline()
        models = self._client.models.with_streaming_response
        # No answer is read before all are there: a connection whose answer was read might serve the next question.
        async with AsyncExitStack() as unread:
            asks = [
                self._within(deadline, unread.enter_async_context(models.retrieve(self._endpoint.model.id)))
                for _ in range(self._settings.warm_connections)
            ]
            for outcome in await asyncio.gather(*asks, return_exceptions=True):
                match outcome:
                    case LLMError(fault=LLMFault.UNREACHABLE | LLMFault.UNAUTHORIZED | LLMFault.STALLED | LLMFault.CUT):
                        raise outcome
                    case LLMError():
                        pass
                    case openai.AsyncAPIResponse():
                        await self._within(deadline, outcome.read())
                    case _:
                        raise outcome

    async def list_models(self) -> list[str]:
        """The ids that the provider says it serves. Raises LLMError."""
        from pipelines.llm import chat_errors

        request = self._client.get("/models", cast_to=object)
        body = cast("Any", await self._within(self._first_token_deadline(), request))
        try:
            # Together answers with the bare list.
            return [str(model["id"]) for model in (body if isinstance(body, list) else body["data"])]
        except (KeyError, TypeError):
            raise chat_errors.malformed(self._endpoint, "something else than a model list") from None

    async def aclose(self) -> None:
        """Close all connections."""
        await self._client.close()

    async def _send(
        self, messages: Sequence[ChatMessage], tools: Sequence[ToolSpec], deadline: float
    ) -> "openai.AsyncStream[object]":
        import openai

        from pipelines.llm import chat_errors

        # The SDK's generic request: `chat.completions.create` would build a typed object for each chunk, which takes
        # 0.25 ms a token on the event loop, nearly half a core at 1,800 tokens/s.
        request = self._client.post(
            "/chat/completions",
            body=self._body(messages, tools),
            cast_to=object,
            stream=True,
            stream_cls=openai.AsyncStream[object],
        )
        response = await self._within(deadline, request)
        content_type = response.response.headers.get("content-type", "an unnamed content type")
        if not content_type.startswith("text/event-stream"):
            await response.close()
            raise chat_errors.malformed(self._endpoint, content_type.partition(";")[0])
        return response

    def _body(self, messages: Sequence[ChatMessage], tools: Sequence[ToolSpec]) -> dict[str, object]:
        settings, model = self._settings, self._endpoint.model
        body: dict[str, object] = {
            "model": model.id,
            "messages": [message_json(message) for message in messages],
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        if tools:
            body["tools"] = tools_json(tools)
        if settings.max_tokens is not None:
            body["max_tokens"] = settings.max_tokens
        if settings.temperature is not None:
            body["temperature"] = settings.temperature
        return body | dict(model.extra_body or {})

    def _read(self, assembly: Assembly, chunk: object) -> list[ChatEvent]:
        from pipelines.llm import chat_errors

        try:
            return list(assembly.take(cast("dict[str, object]", chunk)))
        except (AttributeError, KeyError, TypeError):
            raise chat_errors.malformed(self._endpoint, "a chunk of an unknown shape") from None

    def _first_token_deadline(self) -> float:
        return asyncio.get_running_loop().time() + self._settings.first_token_timeout_s

    async def _within(self, deadline: float, sdk: Awaitable[_T], answering: bool = False) -> _T:
        """Await the SDK until `deadline` on the loop's clock, and translate whatever goes wrong."""
        import openai

        from pipelines.llm import chat_errors

        # `from None`: the SDK's exceptions hold the request, and with it the key.
        try:
            async with asyncio.timeout_at(deadline):
                return await sdk
        except TimeoutError:
            waited_s = self._settings.stall_timeout_s if answering else self._settings.first_token_timeout_s
            raise chat_errors.stalled(self._endpoint, waited_s, answering) from None
        except (openai.OpenAIError, ValueError) as error:
            raise chat_errors.explain(error, self._endpoint, self._api_key) from None


def _client(base_url: str, api_key: str | None, settings: ChatSettings) -> "openai.AsyncOpenAI":
    # Importing the SDK takes over a second: not before somebody connects.
    import httpx2
    import openai

    host = urlsplit(base_url).hostname
    client = openai.AsyncOpenAI(
        base_url=base_url,
        api_key=api_key or _NO_KEY,
        # Failover and apologies are decided above; a silent retry would only be a longer wait.
        max_retries=0,
        # Only connecting is timed here: once connected, the deadlines of `stream` rule.
        timeout=httpx2.Timeout(None, connect=settings.connect_timeout_s),
        http_client=openai.DefaultAsyncHttpxClient(
            limits=httpx2.Limits(keepalive_expiry=_KEEP_ALIVE_S),
            # A proxy of the environment cannot reach a server on this machine.
            trust_env=host not in ("localhost", "127.0.0.1", "::1"),
        ),
    )
    if host != "api.openai.com":
        # The SDK takes these from the environment and would tell them to every provider.
        client.organization = client.project = None
    return client
