"""What a run needs, opened once and closed in order: speech engines, the pacer, one open connection a model.

It hands out sessions for any model and mode over the same engines, so that runs differ in nothing else. Independent of
the command line.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from threadpoolctl import threadpool_limits

from agent.models.load import load_stt, load_tts, load_turn_detector
from agent.setup.config import Config
from agent.setup.connections import ConnectedModel, Connections
from agent.setup.tools import SHIPPED_TOOLS, load_tools
from agent.system.resources import shipped
from pipelines.errors import InputError
from pipelines.events import Clock
from pipelines.listening import Listener
from pipelines.llm.catalogue import Catalogue
from pipelines.llm.catalogue_file import load_catalogue
from pipelines.llm.failover import Failover, FailoverState
from pipelines.modes import Mode
from pipelines.playout import AudioOutput
from pipelines.reply_stages import ReplyStages
from pipelines.session import BuildSession, Session, SessionSettings
from pipelines.session_events import Observer
from pipelines.smart_turn import TurnDetector
from pipelines.stopwatch.ledger import Prices
from pipelines.stt import SpeechToText
from pipelines.tools import Tool
from pipelines.tts import TextToSpeech
from pipelines.vad import SpeechProbability, VoiceActivity, silero

_UNKNOWN_WINDOW_TOKENS = 8_192
"""Where a model's context window is not known: what Cerebras launched with in 2024, and no chat model of today has
less.
"""


@dataclass(frozen=True, slots=True)
class Engines:
    """Engines and models, ready."""

    config: Config
    clock: Clock
    stt: SpeechToText
    tts: TextToSpeech
    models: dict[str, ConnectedModel]
    standby: ConnectedModel | None = None
    tools: tuple[Tool, ...] = ()
    connections: Connections | None = None
    turn_detector: TurnDetector | None = None
    new_probability: Callable[[], SpeechProbability] = silero

    @property
    def prices(self) -> Prices:
        """All models that may answer, by catalogue name."""
        connected = [*self.models.values(), *([self.standby] if self.standby else [])]
        return {model.chat.name: model.endpoint.model for model in connected}

    def failover_states(self) -> dict[str, FailoverState]:
        """How things stand with each model that has a standby."""
        return {name: model.chat.state for name, model in self.models.items() if isinstance(model.chat, Failover)}

    async def connect(self, llm: str) -> None:
        """Have that model among `models`. Raises InputError for an unknown one and ServiceError."""
        if llm not in self.models:
            if self.connections is None:
                raise InputError(f"llm {llm!r} is not one of: {', '.join(self.models)}")
            await self.connections.model(llm)

    def session_builder(self, llm: str, mode: Mode) -> BuildSession:
        """How to build a session with this model and mode around an output."""

        def build(output: AudioOutput, observer: Observer) -> Session:
            return Session(self.listener(), self.voice(llm, output), self.session_settings(llm, mode), observer)

        return build

    def listener(self) -> Listener:
        """The ear of one conversation."""
        config = self.config
        vad = VoiceActivity(config.vad, self.new_probability())
        return Listener(vad, self.stt, config.endpointing, self.clock, self.turn_detector)

    def voice(self, llm: str, output: AudioOutput) -> ReplyStages:
        """The stages that answer with this model."""
        standby = self.standby.chat if self.standby else None
        return ReplyStages(self.models[llm].chat, self.tts, output, self.clock, self.tools, standby)

    def session_settings(self, llm: str, mode: Mode) -> SessionSettings:
        """How the conversation is held with this model in this mode."""
        config, window = self.config, self.models[llm].endpoint.model.context_window_tokens
        return SessionSettings(
            mode,
            config.agent.system_prompt.strip(),
            config.reply,
            config.barge_in,
            window or _UNKNOWN_WINDOW_TOKENS,
            config.llm.max_tokens or 0,
        )


def read_catalogue(config: Config) -> Catalogue:
    """The shipped providers and, over them, the user's. Raises InputError."""
    own = Path(config.agent.providers) if config.agent.providers else None
    return load_catalogue(shipped("configs") / "providers.toml", own)


@asynccontextmanager
async def open_engines(config: Config, llms: Sequence[str]) -> AsyncIterator[Engines]:
    """Load the engines and connect to every model of `llms`. Raises InputError and ServiceError."""
    tools = _tools(config)
    clock = asyncio.get_running_loop().time
    async with AsyncExitStack() as stack:
        # OpenBLAS has a thread for every core spin after each of the small products here: of two cores' time, 6 %.
        stack.enter_context(threadpool_limits(1, "blas"))
        connections = Connections(config, read_catalogue(config), clock, stack)
        connections.check(llms)  # a missing key is told before the seconds that models take to load
        stt = await asyncio.to_thread(load_stt, config.agent.stt, clock=clock)
        tts = await asyncio.to_thread(load_tts, config.agent.tts)
        detector = await asyncio.to_thread(load_turn_detector, config.agent.turn_detector)
        await connections.open(llms)
        yield Engines(config, clock, stt, tts, connections.models, connections.standby, tools, connections, detector)


def _tools(config: Config) -> tuple[Tool, ...]:
    """What the model may call. Raises InputError."""
    own = load_tools(Path(config.agent.tools_file)) if config.agent.tools_file else ()
    tools = (*(SHIPPED_TOOLS if config.agent.tools else ()), *own)
    names = [one.spec.name for one in tools]
    if twice := {name for name in names if names.count(name) > 1}:
        raise InputError(f"tools: two are called {min(twice)!r}; rename one, or set agent.tools = false")
    return tools
