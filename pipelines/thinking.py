"""The thinking half of an answer: requests to the model, the tools that it calls, and the sentences that come of them.

It hands each sentence to `say` as soon as it is whole and knows nothing of speech. An answer that breaks off after its
first words is finished by the standby, from what has been handed over.
"""

import asyncio
from asyncio import Event, TaskGroup
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass

import anyio

from pipelines.errors import LLMError, LLMFault
from pipelines.events import (
    Answering,
    ChatEvent,
    ChatMessage,
    Clock,
    FailoverAction,
    FailoverDecision,
    ReasoningDelta,
    TextDelta,
    ToolCall,
    Usage,
)
from pipelines.llm import ChatModel
from pipelines.llm.history import CHARACTERS_PER_TOKEN, Window, fit
from pipelines.spoken.sentences import FirstUnit, SentenceSplitter
from pipelines.stopwatch.marks import Request, ToolRun
from pipelines.stt.wer import normalise
from pipelines.tools import Tool, find_tool, run_tool

_MAX_REQUESTS = 4  # with tools in them; a model that calls tools for ever is stopped

GO_ON = (
    "Your answer was cut off after these words. Go on from exactly there: do not repeat or contradict what you have "
    "said, and do not mention the interruption."
)
"""What the standby is told behind the words that have been handed to speech."""


@dataclass(frozen=True, slots=True)
class Mind:
    """What an answer is thought with. `standby` finishes one that breaks off; None: then it has failed."""

    llm: ChatModel
    standby: ChatModel | None
    tools: Sequence[Tool]
    window: Window
    clock: Clock
    first_unit: FirstUnit
    filler: str
    filler_after_ms: float


class Thinking:
    """One answer to `messages`. Tools that may change the world wait for `released`; with `streamed` off, the text is
    handed over whole.
    """

    def __init__(self, messages: Sequence[ChatMessage], mind: Mind, released: Event, *, streamed: bool) -> None:
        self.requests: list[Request] = []
        self._messages = list(messages)
        self._mind = mind
        self._released = released
        self._streamed = streamed
        self._said: list[str] = []

    @property
    def text(self) -> str:
        """All that was written and not taken back."""
        return " ".join(request.text for request in self.requests if request.text)

    async def run(self, say: Callable[[str], Awaitable[None]]) -> None:
        """Ask, run tools, ask again; `say` gets each sentence. Raises LLMError."""
        request = await self._answered(say)
        while request.tool_calls:
            if len(self.requests) >= _MAX_REQUESTS:
                problem = f"still calls tools in the last of {_MAX_REQUESTS} requests"
                raise LLMError(f"LLM '{self._mind.llm.name}' {problem}", LLMFault.MALFORMED)
            await self._run_tools(request, say)
            request = await self._answered(say)
        if not self.text.strip():
            raise LLMError(f"LLM '{self._mind.llm.name}' sent no answer text", LLMFault.MALFORMED)

    # ------------------------------------------------------------ requests

    async def _answered(self, say: Callable[[str], Awaitable[None]]) -> Request:
        """One request, finished by the standby where it breaks off."""
        mind, spoken = self._mind, len(self._said)
        request = self._request(mind.llm.name, self._messages)
        try:
            await self._ask(mind.llm, request, say)
        except LLMError as error:
            standby = mind.standby
            begun = request.first_token_s is not None or request.tool_calls
            if standby is None or not begun or request.llm == standby.name:
                raise
            # What was not handed over as a whole sentence is void; a call of a broken answer is none.
            handed = " ".join(self._said[spoken:])
            request.text, request.broken, request.ended_s = handed, str(error), mind.clock()
            request.tool_calls = []
            rest = self._request(standby.name, self._continued(handed))
            gave_up = request.llm
            rest.decisions.append(
                FailoverDecision(mind.clock(), FailoverAction.FINISHED, standby.name, str(error), gave_up)
            )
            await self._ask(standby, rest, say)
            return rest
        return request

    def _continued(self, handed: str) -> list[ChatMessage]:
        if not handed:
            return self._messages
        return [*self._messages, ChatMessage("assistant", handed), ChatMessage("user", GO_ON)]

    def _request(self, llm: str, messages: Sequence[ChatMessage]) -> Request:
        mind = self._mind
        offered = sum(len(str(tool.spec)) for tool in mind.tools) // CHARACTERS_PER_TOKEN
        window = Window(mind.window.tokens, mind.window.reserve_tokens + offered)
        request = Request(mind.clock(), llm, fit(messages, window))
        self.requests.append(request)
        return request

    async def _ask(self, llm: ChatModel, request: Request, say: Callable[[str], Awaitable[None]]) -> None:
        splitter = SentenceSplitter(self._mind.first_unit)
        specs = [tool.spec for tool in self._mind.tools]
        async with aclosing(llm.stream(request.context.messages, specs)) as events:
            await self._read(events, request, splitter, say)
        rest = splitter.flush() if self._streamed else [request.text]
        await self._hand_over(request, rest, say)
        request.ended_s = self._mind.clock()

    async def _read(
        self,
        events: AsyncGenerator[ChatEvent],
        request: Request,
        splitter: SentenceSplitter,
        say: Callable[[str], Awaitable[None]],
    ) -> None:
        async for event in events:
            match event:
                case TextDelta(text):
                    self._count(request, text)
                    if self._streamed:
                        await self._hand_over(request, splitter.push(text), say)
                case ReasoningDelta():
                    request.deltas += 1
                case ToolCall():
                    request.tool_calls.append(event)
                case Usage():
                    request.usage = event
                case FailoverDecision():
                    request.decisions.append(event)
                case Answering(llm):
                    request.llm = llm

    def _count(self, request: Request, text: str) -> None:
        request.last_token_s = self._mind.clock()
        if request.first_token_s is None:
            request.first_token_s = request.last_token_s
        request.deltas += 1
        request.text += text

    async def _hand_over(self, request: Request, texts: Sequence[str], say: Callable[[str], Awaitable[None]]) -> None:
        for text in filter(None, texts):
            finishing = any(d.action is FailoverAction.FINISHED for d in request.decisions)
            if finishing and normalise(text) in map(normalise, self._said):
                continue  # the standby began again in spite of what it was told
            if request.first_unit_s is None:
                request.first_unit_s, request.first_unit_deltas = self._mind.clock(), request.deltas
            self._said.append(text)
            await say(text)

    # ------------------------------------------------------------ tools

    async def _run_tools(self, request: Request, say: Callable[[str], Awaitable[None]]) -> None:
        """Run what was called, in order; the results go to the model."""
        called = [find_tool(self._mind.tools, call) for call in request.tool_calls]
        if not all(tool is None or tool.read_only for tool in called):
            await self._released.wait()  # a tool may change the world: never on a guess
        self._messages.append(ChatMessage("assistant", request.text, tuple(request.tool_calls)))
        async with TaskGroup() as tasks:
            filler = tasks.create_task(self._fill(request, say), name="filler")
            for call, tool in zip(request.tool_calls, called, strict=True):
                await self._run_tool(request, call, read_only=tool is not None and tool.read_only)
            filler.cancel()
        request.tools_ended_s = self._mind.clock()

    async def _run_tool(self, request: Request, call: ToolCall, *, read_only: bool) -> None:
        run = ToolRun(call, read_only, not self._released.is_set(), self._mind.clock())
        request.tool_runs.append(run)
        result = await run_tool(self._mind.tools, call)
        run.ended_s, run.result, run.failed = self._mind.clock(), result.text, result.failed
        self._messages.append(ChatMessage("tool", result.text, tool_call_id=call.call_id))

    async def _fill(self, request: Request, say: Callable[[str], Awaitable[None]]) -> None:
        """Say that it takes a moment, once the user has waited for a while and heard nothing."""
        await self._released.wait()
        await asyncio.sleep(self._mind.filler_after_ms / 1_000)
        if self._mind.filler and not self._said:
            request.filler_s = self._mind.clock()
            with suppress(anyio.BrokenResourceError):  # the next sentence will find out that nobody listens
                await say(self._mind.filler)
