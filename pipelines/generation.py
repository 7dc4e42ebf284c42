"""The text of one answer: requests to the model, the tools that it calls, and the sentences that come of them.

`Generation.sentences` yields each sentence as soon as it is whole. An answer that breaks off after its first words is
finished by the standby, from what has been handed over. Independent of speech.
"""

import asyncio
from asyncio import Event
from collections.abc import AsyncGenerator, Iterable, Iterator, Sequence
from contextlib import aclosing

from pipelines.errors import LLMError, LLMFault
from pipelines.events import (
    Answering,
    ChatEvent,
    ChatMessage,
    FailoverAction,
    FailoverDecision,
    ReasoningDelta,
    TextDelta,
    ToolCall,
    Usage,
)
from pipelines.llm import ChatModel
from pipelines.llm.history import CHARACTERS_PER_TOKEN, Window, fit
from pipelines.reply_stages import ReplySettings, ReplyStages
from pipelines.spoken.sentences import SentenceSplitter
from pipelines.stopwatch.marks import Request, ToolRun
from pipelines.text import normalise
from pipelines.tools import find_tool, run_tool

_MAX_REQUESTS = 4  # with tools in them; a model that keeps calling tools is stopped

GO_ON = (
    "Your answer was cut off after these words. Go on from exactly there: do not repeat or contradict what you have "
    "said, and do not mention the interruption."
)
"""What the standby is told behind the words that have been handed to speech."""


class Generation:
    """One answer to `messages`. Tools that may change the world wait for `released`; with `streamed` off, the text is
    handed over whole.
    """

    def __init__(
        self,
        messages: Sequence[ChatMessage],
        stages: ReplyStages,
        settings: ReplySettings,
        window: Window,
        released: Event,
        *,
        streamed: bool,
    ) -> None:
        self.requests: list[Request] = []
        self._messages = list(messages)
        self._stages = stages
        self._settings = settings
        self._window = window
        self._released = released
        self._streamed = streamed
        self._said: list[str] = []

    @property
    def text(self) -> str:
        """All that was written and not taken back."""
        return " ".join(request.text for request in self.requests if request.text)

    async def sentences(self) -> AsyncGenerator[str]:
        """Ask, run tools, ask again; each sentence as soon as it is whole. Raises LLMError."""
        while True:
            async with aclosing(self._answered()) as sentences:
                async for sentence in sentences:
                    yield sentence
            request = self.requests[-1]
            if not request.tool_calls:
                break
            if len(self.requests) >= _MAX_REQUESTS:
                problem = f"still calls tools in the last of {_MAX_REQUESTS} requests"
                raise LLMError(f"LLM '{self._stages.llm.name}' {problem}", LLMFault.MALFORMED)
            async with aclosing(self._tools_run(request)) as fillers:
                async for filler in fillers:
                    yield filler
        if not self.text.strip():
            raise LLMError(f"LLM '{self._stages.llm.name}' sent no answer text", LLMFault.MALFORMED)

    # ------------------------------------------------------------ requests

    async def _answered(self) -> AsyncGenerator[str]:
        """The sentences of one request, finished by the standby if it breaks off."""
        stages, spoken = self._stages, len(self._said)
        request = self._request(stages.llm.name, self._messages)
        try:
            async with aclosing(self._asked(stages.llm, request)) as sentences:
                async for sentence in sentences:
                    yield sentence
            return
        except LLMError as error:
            standby = stages.standby
            begun = request.first_token_s is not None or request.tool_calls
            if standby is None or not begun or request.llm == standby.name:
                raise
            rest = self._handed_to(standby, request, self._said[spoken:], str(error))
        async with aclosing(self._asked(standby, rest)) as sentences:
            async for sentence in sentences:
                yield sentence

    def _handed_to(self, standby: ChatModel, broken: Request, said: Sequence[str], reason: str) -> Request:
        """The request that goes on from what was said of a broken one."""
        now_s = self._stages.clock()
        # What was not handed over as a whole sentence is void, and so are the calls of a broken answer.
        handed = " ".join(said)
        broken.text, broken.broken, broken.ended_s = handed, reason, now_s
        broken.tool_calls = []
        rest = self._request(standby.name, self._continued(handed))
        rest.decisions.append(FailoverDecision(now_s, FailoverAction.FINISHED, standby.name, reason, broken.llm))
        return rest

    def _continued(self, handed: str) -> list[ChatMessage]:
        if not handed:
            return self._messages
        return [*self._messages, ChatMessage("assistant", handed), ChatMessage("user", GO_ON)]

    def _request(self, llm: str, messages: Sequence[ChatMessage]) -> Request:
        offered = sum(len(str(tool.spec)) for tool in self._stages.tools) // CHARACTERS_PER_TOKEN
        window = Window(self._window.tokens, self._window.reserve_tokens + offered)
        request = Request(self._stages.clock(), llm, fit(messages, window))
        self.requests.append(request)
        return request

    async def _asked(self, llm: ChatModel, request: Request) -> AsyncGenerator[str]:
        """The sentences that `llm` answers."""
        splitter = SentenceSplitter(self._settings.first_unit)
        specs = [tool.spec for tool in self._stages.tools]
        async with aclosing(llm.stream(request.context.messages, specs)) as events:
            async for event in events:
                text = self._note(request, event)
                if text and self._streamed:
                    for sentence in self._new(request, splitter.push(text)):
                        yield sentence
        for sentence in self._new(request, splitter.flush() if self._streamed else [request.text]):
            yield sentence
        request.ended_s = self._stages.clock()

    def _note(self, request: Request, event: ChatEvent) -> str:
        """Mark what came; the answer text in it."""
        match event:
            case TextDelta(text):
                request.last_token_s = self._stages.clock()
                if request.first_token_s is None:
                    request.first_token_s = request.last_token_s
                request.deltas += 1
                request.text += text
                return text
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
        return ""

    def _new(self, request: Request, sentences: Iterable[str]) -> Iterator[str]:
        """Those that are to be said; they count as said."""
        for sentence in filter(None, sentences):
            finishing = any(d.action is FailoverAction.FINISHED for d in request.decisions)
            if finishing and normalise(sentence) in map(normalise, self._said):
                continue  # the standby began again in spite of what it was told
            if request.first_unit_s is None:
                request.first_unit_s, request.first_unit_deltas = self._stages.clock(), request.deltas
            self._said.append(sentence)
            yield sentence

    # ------------------------------------------------------------ tools

    async def _tools_run(self, request: Request) -> AsyncGenerator[str]:
        """Run what was called; the results go to the model. A filler is said if the user waits long for them."""
        running = asyncio.create_task(self._run_tools(request), name="tools")
        waiting = asyncio.create_task(self._wait_for_filler(), name="filler")
        try:
            await asyncio.wait({running, waiting}, return_when=asyncio.FIRST_COMPLETED)
            if not running.done() and self._settings.filler and not self._said:
                request.filler_s = self._stages.clock()
                yield self._settings.filler
            await running
        finally:
            running.cancel()
            waiting.cancel()
            await asyncio.wait({running, waiting})
        request.tools_ended_s = self._stages.clock()

    async def _run_tools(self, request: Request) -> None:
        """In the order of the calls."""
        called = [find_tool(self._stages.tools, call) for call in request.tool_calls]
        if not all(tool is None or tool.read_only for tool in called):
            await self._released.wait()  # a tool may change the world: never on speculation
        self._messages.append(ChatMessage("assistant", request.text, tuple(request.tool_calls)))
        for call, tool in zip(request.tool_calls, called, strict=True):
            await self._run_tool(request, call, read_only=tool is not None and tool.read_only)

    async def _run_tool(self, request: Request, call: ToolCall, *, read_only: bool) -> None:
        run = ToolRun(call, read_only, not self._released.is_set(), self._stages.clock())
        request.tool_runs.append(run)
        result = await run_tool(self._stages.tools, call)
        run.ended_s, run.result, run.failed = self._stages.clock(), result.text, result.failed
        self._messages.append(ChatMessage("tool", result.text, tool_call_id=call.call_id))

    async def _wait_for_filler(self) -> None:
        await self._released.wait()
        await asyncio.sleep(self._settings.filler_after_ms / 1_000)
