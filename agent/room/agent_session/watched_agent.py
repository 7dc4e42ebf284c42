"""An agent of LiveKit's that tells a `TurnWatch` what it does; else it does what AgentSession's own does."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Sequence
from contextlib import aclosing
from typing import Any

from livekit import rtc
from livekit.agents import Agent, ModelSettings, llm, utils
from livekit.agents.llm import Tool, Toolset

from agent.plugins.tts import TTS
from agent.room.agent_session.watch import TurnWatch
from pipelines.events import Usage
from pipelines.spoken.sentences import SentenceSplitter
from pipelines.stopwatch.marks import Request


class WatchedAgent(Agent):
    """Times its requests, its speech and the ends of the user's turns."""

    def __init__(
        self,
        watch: TurnWatch,
        instructions: str,
        tts: TTS,
        tools: Sequence[Tool | Toolset] = (),
        context: llm.ChatContext | None = None,
    ) -> None:
        super().__init__(instructions=instructions, tools=list(tools), chat_ctx=context or llm.ChatContext.empty())
        self._watch = watch
        self._voice = tts
        self._now = asyncio.get_running_loop().time

    async def on_user_turn_completed(self, turn_ctx: llm.ChatContext, new_message: llm.ChatMessage) -> None:
        """The turn is committed."""
        self._watch.committed(new_message.text_content or "")

    async def llm_node(
        self, chat_ctx: llm.ChatContext, tools: list[Tool], model_settings: ModelSettings
    ) -> AsyncGenerator[Any]:
        """AgentSession's own, timed."""
        request, splitter = self._watch.asked(chat_ctx), SentenceSplitter()
        try:
            async with aclosing(Agent.default.llm_node(self, chat_ctx, tools, model_settings)) as chunks:
                async for chunk in chunks:
                    self._note(request, chunk, splitter)
                    yield chunk
            if request.first_unit_s is None and splitter.flush():
                request.first_unit_s = self._now()
        finally:
            request.ended_s = self._now()

    def _note(self, request: Request, chunk: Any, splitter: SentenceSplitter) -> None:
        if not isinstance(chunk, llm.ChatChunk):
            return
        if text := chunk.delta.content if chunk.delta else None:
            request.last_token_s = self._now()
            request.first_token_s = request.first_token_s or request.last_token_s
            request.deltas += 1
            request.text += text
            if request.first_unit_s is None and splitter.push(text):
                request.first_unit_s, request.first_unit_deltas = request.last_token_s, request.deltas
        if usage := chunk.usage:
            request.usage = Usage(
                usage.prompt_tokens, usage.completion_tokens, usage.reasoning_tokens, usage.prompt_cached_tokens
            )

    async def tts_node(self, text: AsyncIterable[str], model_settings: ModelSettings) -> AsyncGenerator[rtc.AudioFrame]:
        """AgentSession's own, but for the marks of the stream."""
        stream = self._voice.stream(conn_options=self.session.conn_options.tts_conn_options)
        async with stream:
            self._watch.speaks(stream.units)

            async def forward() -> None:
                async for piece in text:
                    stream.push_text(piece)
                stream.end_input()

            forwarding = asyncio.create_task(forward(), name="tts-forward")
            try:
                async for event in stream:
                    yield event.frame
            finally:
                await utils.aio.cancel_and_wait(forwarding)
