"""Engines that are scripted, for what is built on engines."""

from dataclasses import dataclass, replace
from typing import cast

from agent.setup.config import load_config
from agent.setup.connections import ConnectedModel
from agent.setup.engines import Engines
from agent.system.resources import shipped
from pipelines.llm.catalogue_file import load_catalogue
from pipelines.llm.chat import ChatCompletions
from pipelines.modes import Mode
from pipelines.session import BuildSession
from tests.scripted import ENDPOINTING, ScriptedLLM, ScriptedSTT, ScriptedTTS, Stages, loudness, now

LLM = "sim/100:100"


@dataclass(frozen=True, slots=True)
class ScriptedEngines(Engines):
    """Its sessions use the scripted voice activity too."""

    def session_builder(self, llm: str, mode: Mode) -> BuildSession:
        chat = cast(ScriptedLLM, self.models[llm].chat)
        return Stages(mode, cast(ScriptedSTT, self.stt), chat, cast(ScriptedTTS, self.tts)).build


def scripted_engines(stt: ScriptedSTT | None = None, llm: ScriptedLLM | None = None) -> Engines:
    endpoint = load_catalogue(shipped("configs") / "providers.toml").resolve(LLM)
    model = ConnectedModel(endpoint, cast(ChatCompletions, llm or ScriptedLLM()))
    engines = stt or ScriptedSTT(), ScriptedTTS()
    config = replace(load_config(), endpointing=ENDPOINTING)
    return ScriptedEngines(config, now, *engines, {LLM: model}, new_probability=lambda: loudness)
