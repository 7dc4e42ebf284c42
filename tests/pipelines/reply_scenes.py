"""What the tests of reply share."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass

import numpy as np

from agent.measure.replay import VirtualOutput
from pipelines.errors import LLMError, LLMFault
from pipelines.events import ChatMessage, Pcm
from pipelines.reply import Reply
from pipelines.reply_stages import ReplySettings, ReplyStages
from pipelines.tools import Tool
from tests.scripted import ScriptedLLM, ScriptedTTS, now
from tests.virtual_time import run

MESSAGES = [ChatMessage("system", "Be brief."), ChatMessage("user", "What time is it?")]
REFUSED = LLMError("too many requests", LLMFault.RATE_LIMITED)


@dataclass
class Spoken:
    """A reply that has run, and what came out of it; times in ms after it began."""

    reply: Reply
    output: VirtualOutput
    began_s: float
    ended_s: float

    @property
    def heard(self) -> list[str]:
        return [unit.text for unit in self.reply.playout.played]

    def ms(self, process_s: float | None) -> float | None:
        return None if process_s is None else round((process_s - self.began_s) * 1_000, 3)


def speak(
    llm: ScriptedLLM | None = None,
    tts: ScriptedTTS | None = None,
    *,
    tools: Sequence[Tool] = (),
    release_ms: float = 0,
    streamed: bool = True,
    settings: ReplySettings | None = None,
    output: VirtualOutput | None = None,
) -> Spoken:
    """Run one reply to its end, released after `release_ms`."""

    async def main() -> Spoken:
        out = output or VirtualOutput(now, now(), lambda: False)
        began_s = now()
        stages = ReplyStages(llm or ScriptedLLM(), tts or ScriptedTTS(), out, now, tools)
        settings_ = settings or ReplySettings(apology="Sorry.")
        reply = Reply("What time is it?", MESSAGES, stages, settings_, streamed=streamed)
        asyncio.get_running_loop().call_later(release_ms / 1_000, reply.release)
        await reply.run()
        return Spoken(reply, out, began_s, now())

    return run(main())


@dataclass
class InPieces(ScriptedTTS):
    """Speaks any text as these pieces, each 100 ms after the one before."""

    pieces: Sequence[Pcm] = ()

    async def synthesize(self, text: str) -> AsyncGenerator[Pcm]:
        for pcm in self.pieces:
            await asyncio.sleep(0.1)
            yield pcm


def sounds(spoken: Spoken) -> list[tuple[float, float]]:
    """When each stretch of sound begins and ends on the track of the output, in ms after playout began."""
    assert spoken.reply.playout.started_s is not None
    began = round((spoken.reply.playout.started_s - spoken.began_s) * 16_000)
    edges = np.flatnonzero(np.diff(np.pad(spoken.output.track()[began:], 1)))
    return [(start / 16, end / 16) for start, end in edges.reshape(-1, 2).tolist()]
