"""What the tests of session share."""

from agent.measure.replay import Replayed
from pipelines.errors import LLMError, LLMFault, QuickturnError
from pipelines.events import ChatMessage
from pipelines.modes import Outcome
from tests.scripted import (
    ScriptedSTT,
    Stages,
    converse,
    dialogue,
    question,
)

FIRST, SECOND = "What time is it?", "And in Tokyo?"
CLIP = question().pcm
TWO = dialogue((FIRST, CLIP, None), (SECOND, CLIP, None))
REFUSED = LLMError("too many requests", LLMFault.RATE_LIMITED)


def two_turns(**parts: object) -> Stages:
    return Stages(stt=ScriptedSTT(turns=((FIRST,), (SECOND,))), **parts)  # type: ignore[arg-type]


def barging_in(stages: Stages, after_ms: int) -> Replayed:
    """The second question comes `after_ms` after the answer to the first began to sound."""
    return converse(stages, dialogue((FIRST, CLIP, None), (SECOND, CLIP, after_ms)))


def outcomes(replayed: Replayed) -> list[Outcome]:
    return [turn.finished.outcome for turn in replayed.turns]


def errors(replayed: Replayed) -> list[QuickturnError | None]:
    return [turn.finished.error for turn in replayed.turns]


def prompt(messages: list[ChatMessage]) -> list[tuple[str, str]]:
    return [(message.role, message.text) for message in messages]
