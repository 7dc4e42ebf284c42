"""A rig of scripted engines, for what is built on rigs."""

from dataclasses import dataclass, replace
from typing import cast

from agent.resources import shipped
from agent.setup.config import load_config
from agent.setup.connections import Model
from agent.setup.rig import Rig
from pipelines.llm.catalogue_file import load_catalogue
from pipelines.llm.chat import ChatCompletions
from pipelines.session import BuildSession
from pipelines.turn import Mode
from tests.scripted import ENDPOINTING, ScriptedLLM, ScriptedSTT, ScriptedTTS, Stages, loudness, now

LLM = "sim/100:100"


@dataclass(frozen=True, slots=True)
class ScriptedRig(Rig):
    """Its sessions use the scripted voice activity too."""

    def session_builder(self, llm: str, mode: Mode) -> BuildSession:
        chat = cast(ScriptedLLM, self.models[llm].chat)
        return Stages(mode, cast(ScriptedSTT, self.stt), chat, cast(ScriptedTTS, self.tts)).build


def scripted_rig(stt: ScriptedSTT | None = None, llm: ScriptedLLM | None = None) -> Rig:
    endpoint = load_catalogue(shipped("configs") / "providers.toml").resolve(LLM)
    model = Model(endpoint, cast(ChatCompletions, llm or ScriptedLLM()))
    engines = stt or ScriptedSTT(), ScriptedTTS()
    config = replace(load_config(), endpointing=ENDPOINTING)
    return ScriptedRig(config, now, *engines, {LLM: model}, new_probability=lambda: loudness)
