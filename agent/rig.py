"""What a run needs, opened once and closed in order: speech engines, the pacer, one open connection a model.

It hands out sessions for any model and mode over the same engines, so that runs differ in nothing else. It knows no
command line.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from agent.config import Config
from agent.engines import load_stt, load_tts
from agent.pacer_process import pacer_process
from agent.replay import BuildSession
from agent.resources import shipped
from agent.tools import SHIPPED_TOOLS
from pipelines.events import Clock
from pipelines.listening import Listener
from pipelines.llm.catalogue import Catalogue, Endpoint
from pipelines.llm.catalogue_file import load_catalogue
from pipelines.llm.chat import ChatCompletions
from pipelines.playout import AudioOutput
from pipelines.reply import Voice
from pipelines.session import Observer, Session, SessionSettings
from pipelines.stt import SpeechToText
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
    chat: ChatCompletions


@dataclass(frozen=True, slots=True)
class Rig:
    """Engines and models, ready. `notes` are what the user should be told about the choice of engines."""

    config: Config
    clock: Clock
    stt: SpeechToText
    tts: TextToSpeech
    models: dict[str, Model]
    notes: tuple[str, ...]

    def session_builder(self, llm: str, mode: Mode) -> BuildSession:
        """How to build a session with this model and mode around an output."""
        model, config = self.models[llm], self.config
        settings = SessionSettings(
            mode,
            config.agent.system_prompt.strip(),
            config.reply,
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
            tools = SHIPPED_TOOLS if config.agent.tools else ()
            return Session(listener, Voice(model.chat, self.tts, output, self.clock, tools), settings, observer)

        return build


def read_catalogue(config: Config) -> Catalogue:
    """The shipped providers and, over them, the user's. Raises InputError."""
    own = Path(config.agent.providers) if config.agent.providers else None
    return load_catalogue(shipped("configs") / "providers.toml", own)


@asynccontextmanager
async def open_rig(config: Config, llms: Sequence[str], *, live: bool = False) -> AsyncIterator[Rig]:
    """Load the engines and connect to every model of `llms`. Raises InputError and ServiceError."""
    catalogue = read_catalogue(config)
    endpoints = {name: catalogue.resolve(name) for name in dict.fromkeys(llms)}
    for endpoint in endpoints.values():
        endpoint.api_key()  # a missing key is told before the seconds that models take to load
    clock = asyncio.get_running_loop().time
    async with AsyncExitStack() as stack:
        stt, stt_note = await asyncio.to_thread(load_stt, config.agent.stt, live=live, clock=clock)
        tts, tts_note = await asyncio.to_thread(load_tts, config.agent.tts)
        if any(endpoint.simulated for endpoint in endpoints.values()):
            base_url = await stack.enter_async_context(pacer_process())
            endpoints = {n: e.at(base_url) if e.simulated else e for n, e in endpoints.items()}
        models = {}
        for name, endpoint in endpoints.items():
            chat = ChatCompletions(endpoint, config.llm)
            stack.push_async_callback(chat.aclose)
            await chat.warm_up()
            models[name] = Model(endpoint, chat)
        yield Rig(config, clock, stt, tts, models, (stt_note, tts_note))
