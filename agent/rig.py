"""What a run needs, opened once and closed in order: speech engines, the pacer, one open connection a model.

It hands out sessions for any model and mode over the same engines, so that runs differ in nothing else. It knows no
command line.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from agent.config import Config
from agent.engines import load_stt, load_tts
from agent.pacer_process import at_pacer
from agent.replay import BuildSession
from agent.resources import shipped
from agent.tools import SHIPPED_TOOLS, load_tools
from pipelines.errors import InputError
from pipelines.events import Clock
from pipelines.ledger import Prices
from pipelines.listening import Listener
from pipelines.llm import ChatModel
from pipelines.llm.catalogue import Catalogue, Endpoint
from pipelines.llm.catalogue_file import load_catalogue
from pipelines.llm.chat import ChatCompletions
from pipelines.llm.failover import Failover, FailoverState
from pipelines.playout import AudioOutput
from pipelines.reply import Voice
from pipelines.session import Observer, Session, SessionSettings
from pipelines.stt import SpeechToText
from pipelines.tools import Tool
from pipelines.tts import TextToSpeech
from pipelines.turn import Mode
from pipelines.vad import VoiceActivity

_UNKNOWN_WINDOW_TOKENS = 8_192
"""Where a model's context window is not known: what Cerebras launched with in 2024, and no chat model of today has
less.
"""


@dataclass(frozen=True, slots=True)
class Model:
    """A model that is connected and warm."""

    endpoint: Endpoint
    chat: ChatModel


@dataclass(frozen=True, slots=True)
class Rig:
    """Engines and models, ready. `notes` are what the user should be told about the choice of engines."""

    config: Config
    clock: Clock
    stt: SpeechToText
    tts: TextToSpeech
    models: dict[str, Model]
    notes: tuple[str, ...]
    standby: Model | None = None
    tools: tuple[Tool, ...] = ()

    @property
    def prices(self) -> Prices:
        """All models that may answer, by catalogue name."""
        connected = [*self.models.values(), *([self.standby] if self.standby else [])]
        return {model.chat.name: model.endpoint.model for model in connected}

    def failover_states(self) -> dict[str, FailoverState]:
        """How things stand with each model that has a standby."""
        return {name: model.chat.state for name, model in self.models.items() if isinstance(model.chat, Failover)}

    def session_builder(self, llm: str, mode: Mode) -> BuildSession:
        """How to build a session with this model and mode around an output."""
        model, config = self.models[llm], self.config
        settings = SessionSettings(
            mode,
            config.agent.system_prompt.strip(),
            config.reply,
            config.barge_in,
            model.endpoint.model.context_window_tokens or _UNKNOWN_WINDOW_TOKENS,
            config.llm.max_tokens or 0,
        )

        def build(output: AudioOutput, observer: Observer) -> Session:
            listener = Listener(
                VoiceActivity(config.vad),
                self.stt,
                config.endpointing,
                self.clock,
                recognise_while_speaking=mode is not Mode.SEQUENTIAL,
            )
            standby = self.standby.chat if self.standby else None
            voice = Voice(model.chat, self.tts, output, self.clock, self.tools, standby)
            return Session(listener, voice, settings, observer)

        return build


def read_catalogue(config: Config) -> Catalogue:
    """The shipped providers and, over them, the user's. Raises InputError."""
    own = Path(config.agent.providers) if config.agent.providers else None
    return load_catalogue(shipped("configs") / "providers.toml", own)


@asynccontextmanager
async def open_rig(config: Config, llms: Sequence[str], *, live: bool = False) -> AsyncIterator[Rig]:
    """Load the engines and connect to every model of `llms`. Raises InputError and ServiceError."""
    catalogue = read_catalogue(config)
    names = [*llms, *([config.failover.standby] if config.failover.standby else [])]
    endpoints = {name: catalogue.resolve(name) for name in dict.fromkeys(names)}
    for endpoint in endpoints.values():
        endpoint.api_key()  # a missing key is told before the seconds that models take to load
    tools = _tools(config)
    clock = asyncio.get_running_loop().time
    async with AsyncExitStack() as stack:
        stt, stt_note = await asyncio.to_thread(load_stt, config.agent.stt, live=live, clock=clock)
        tts, tts_note = await asyncio.to_thread(load_tts, config.agent.tts)
        endpoints = {endpoint.name: endpoint for endpoint in await at_pacer(list(endpoints.values()), stack)}
        models, standby = await _connect(config, endpoints, list(dict.fromkeys(llms)), clock, stack)
        yield Rig(config, clock, stt, tts, models, (stt_note, tts_note), standby, tools)


def _tools(config: Config) -> tuple[Tool, ...]:
    """What the model may call. Raises InputError."""
    own = load_tools(Path(config.agent.tools_file)) if config.agent.tools_file else ()
    tools = (*(SHIPPED_TOOLS if config.agent.tools else ()), *own)
    names = [one.spec.name for one in tools]
    if twice := {name for name in names if names.count(name) > 1}:
        raise InputError(f"tools: two are called {min(twice)!r}; rename one, or set agent.tools = false")
    return tools


async def _connect(
    config: Config, endpoints: Mapping[str, Endpoint], llms: Sequence[str], clock: Clock, stack: AsyncExitStack
) -> tuple[dict[str, Model], Model | None]:
    """Warm models, each with the standby behind it if there is one, which stays warm as long as the stack is open."""
    failover = config.failover
    if not failover.standby:
        models = {name: Model(endpoints[name], ChatCompletions(endpoints[name], config.llm)) for name in llms}
        for model in models.values():
            stack.push_async_callback(model.chat.aclose)
            await model.chat.warm_up()
        return models, None
    # Somebody else can finish the answer, so a stall need not be waited out.
    impatient = replace(config.llm, stall_timeout_s=min(config.llm.stall_timeout_s, failover.stall_s))
    standby = Model(endpoints[failover.standby], ChatCompletions(endpoints[failover.standby], config.llm))
    stack.push_async_callback(standby.chat.aclose)
    models = {}
    for name in llms:
        primary = ChatCompletions(endpoints[name], impatient)
        stack.push_async_callback(primary.aclose)
        chat = Failover(primary, standby.chat, failover, clock)
        await stack.enter_async_context(chat.kept_warm())
        models[name] = Model(endpoints[name], chat)
    return models, standby
