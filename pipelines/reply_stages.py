"""What a reply is made with: the stages that it passes through, and how it is spoken."""

from collections.abc import Sequence
from dataclasses import dataclass

from pipelines.events import Clock
from pipelines.llm import ChatModel
from pipelines.playout import AudioOutput
from pipelines.spoken.sentences import FirstUnit
from pipelines.tools import Tool
from pipelines.tts import TextToSpeech


@dataclass(frozen=True, slots=True)
class ReplySettings:
    """`first_unit`: what TTS starts on.

    `apology`: what is said when the LLM fails. `filler`: what is said while a tool runs longer than `filler_after_ms`;
    empty for nothing. `tts_timeout_s`: the synthesizer's time for each piece of speech.
    """

    first_unit: FirstUnit = "sentence"
    apology: str = "Sorry, something went wrong. Please say that again."
    filler: str = "One moment."
    filler_after_ms: float = 800.0
    tts_timeout_s: float = 10.0


@dataclass(frozen=True, slots=True)
class ReplyStages:
    """The stages that a reply passes through; `standby` finishes an answer that `llm` breaks off, None for nobody."""

    llm: ChatModel
    tts: TextToSpeech
    output: AudioOutput
    clock: Clock
    tools: Sequence[Tool] = ()
    standby: ChatModel | None = None
