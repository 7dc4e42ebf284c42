"""An AgentSession over a run's engines: the same recogniser, voice, model, tools and prompt as Quickturn's own
engine, as plugins, and the same record for each turn. Independent of rooms; give it one, or an input and an output.

Set-ups: `DEFAULTS` leaves turn taking to LiveKit as it ships; `BEST` is the fastest that AgentSession can do with these
plugins. What differs from LiveKit's defaults in both, and why:

- audio in at 16 kHz in frames of 10 ms (24 kHz in 50): what the recogniser takes, without a wait for a frame to fill
- audio out at the voice's own rate (24 kHz): no resampler, which holds 40 ms back
- no text transforms before the synthesizer: our plugin makes Markdown and symbols speakable without holding words back
- no acoustic echo warm-up (3 s without barge-in): the caller's client cancels its echo, as for our own engine
- no "user away" after 15 s of silence: our own engine has none
"""

import itertools
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from livekit.agents import NOT_GIVEN, AgentSession, inference, llm
from livekit.agents.voice.turn import TurnHandlingOptions

from agent.exports.telemetry import TurnSink
from agent.plugins import STT, TTS
from agent.room.agent_session.watch import MODE, TurnWatch
from agent.room.agent_session.watched_agent import WatchedAgent
from agent.setup.engines import Engines
from pipelines.errors import InputError
from pipelines.events import ChatMessage
from pipelines.stopwatch.record import TurnHeader, TurnRecord
from pipelines.tools import Tool

_MISSING = "the agent-session engine needs LiveKit's OpenAI plugin: pip install livekit-plugins-openai"
_NO_KEY = "none"  # if no key is needed; else the SDK would send OPENAI_API_KEY to whoever listens


@dataclass(frozen=True, slots=True)
class SetUp:
    """How AgentSession takes turns; `name` stands in the trace.

    `vad_silence_s` is the silence after which LiveKit's own voice activity notices the end of speech, None for 0.25.
    """

    name: str
    turn_handling: TurnHandlingOptions
    vad_silence_s: float | None = None


DEFAULTS = SetUp("defaults", {})
"""LiveKit's own: its audio end-of-turn model, which waits 0.3 s or, where it doubts, 2.5 s; the LLM is asked ahead."""

BEST = SetUp(
    "best",
    {
        "turn_detection": "stt",  # our endpointing by the words decides
        "endpointing": {"min_delay": 0.0},  # ... and nothing is waited on top
        "preemptive_generation": {"preemptive_tts": True},
    },
    vad_silence_s=0.05,  # else AgentSession warns at every turn that our end of speech comes before its own
)

SET_UPS = {one.name: one for one in (BEST, DEFAULTS)}


@dataclass(frozen=True, slots=True)
class Held:
    """A session that has not started: give it an input and an output, or a room, by `start`."""

    session: AgentSession[Any]
    agent: WatchedAgent
    watch: TurnWatch

    async def start(self, **options: Any) -> None:
        """`AgentSession.start`, with nothing recorded, and the stopwatch at the output."""
        await self.session.start(self.agent, record=False, **options)
        self.watch.tap()


@asynccontextmanager
async def held_session(
    engines: Engines,
    llm_name: str,
    sinks: Sequence[TurnSink],
    set_up: SetUp = BEST,
    *,
    history: Sequence[ChatMessage] = (),
    room: str | None = None,
) -> AsyncIterator[Held]:
    """A session with our plugins over the run's engines, which goes on from `history`; it is closed on leaving.

    `room` stands in each record. Raises InputError if LiveKit's OpenAI plugin is not installed.
    """
    stt = STT(
        engines.stt, vad=engines.config.vad, endpointing=engines.config.endpointing, turn_detector=engines.turn_detector
    )
    tts = TTS(engines.tts, first_unit=engines.config.reply.first_unit)
    model = chat_model(engines, llm_name)
    header = TurnHeader(
        mode=MODE,
        llm=llm_name,
        simulated=engines.models[llm_name].endpoint.simulated,
        stt=engines.stt.name,
        tts=engines.tts.name,
        labelled=False,
        room=room,
        set_up=set_up.name,
    )
    watch = TurnWatch(engines.clock, engines.prices, header, _to(sinks))
    session: AgentSession[Any] = AgentSession(
        stt=stt,
        vad=NOT_GIVEN if set_up.vad_silence_s is None else inference.VAD(min_silence_duration=set_up.vad_silence_s),
        tts=tts,
        llm=model,
        turn_handling=set_up.turn_handling,
        tts_text_transforms=None,
        aec_warmup_duration=None,
        user_away_timeout=None,
    )
    tools = [_livekit_tool(one) for one in engines.tools]
    agent = WatchedAgent(watch, engines.config.agent.system_prompt.strip(), tts, tools, _as_context(history))
    watch.watch(session, stt)
    try:
        yield Held(session, agent, watch)
    finally:
        await session.aclose()
        await stt.aclose()
        await model.aclose()


def preload() -> None:
    """Import what the first session would wait 3 s for. On the main thread, where LiveKit wants its plugins registered.

    Raises InputError if LiveKit's OpenAI plugin is not installed.
    """
    _openai_plugin()


def chat_model(engines: Engines, llm_name: str) -> Any:
    """The run's model as LiveKit's OpenAI plugin asks it. Raises InputError if that is missing."""
    endpoint, settings = engines.models[llm_name].endpoint, engines.config.llm
    return _openai_plugin().LLM(
        model=endpoint.model.id,
        base_url=endpoint.base_url,
        api_key=endpoint.api_key() or _NO_KEY,
        temperature=NOT_GIVEN if settings.temperature is None else settings.temperature,
        # As our own client names it: not all providers know the newer max_completion_tokens.
        extra_body={} if settings.max_tokens is None else {"max_tokens": settings.max_tokens},
    )


def _openai_plugin() -> Any:
    try:
        return import_module("livekit.plugins.openai")
    except ImportError:
        raise InputError(_MISSING) from None


def _as_context(history: Sequence[ChatMessage]) -> llm.ChatContext:
    context = llm.ChatContext.empty()
    for message in history:
        match message.role:
            case "user" | "assistant" as role:
                context.add_message(role=role, content=message.text)
    return context


def _to(sinks: Sequence[TurnSink]) -> Callable[[TurnRecord], None]:
    count = itertools.count()

    def tell(turn: TurnRecord) -> None:
        index = next(count)
        for sink in sinks:
            sink.turn(index, turn)

    return tell


def _livekit_tool(tool: Tool) -> llm.RawFunctionTool[Any, Any]:
    async def call(raw_arguments: dict[str, object]) -> str:
        try:
            return await tool.call(**raw_arguments)
        except Exception as error:
            raise llm.ToolError(str(error)) from error

    spec = tool.spec
    schema = {"name": spec.name, "description": spec.description, "parameters": spec.parameters}
    return llm.function_tool(call, raw_schema=schema)
