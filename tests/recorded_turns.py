"""Turns that the scripted stages really had, in virtual time, as records."""

from typing import Any

from pipelines.llm.catalogue import Model
from pipelines.modes import Mode
from pipelines.stopwatch.record import TurnHeader, TurnRecord
from pipelines.stopwatch.trace import turn_record
from pipelines.stopwatch.whatif import Speed
from tests.scripted import ScriptedLLM, ScriptedSTT, Stages, converse

PARTIALS = ((600, "What time", True), (1_500, "What time is it?", True))
"""The last is complete and stable, so that it is worth a guess while the user still speaks."""


def recorded(mode: Mode, speed: Speed, partials: Any = PARTIALS, **header: Any) -> TurnRecord:
    """A turn in this mode with an LLM of this speed."""
    stages = Stages(
        mode=mode,
        stt=ScriptedSTT(partials=partials),
        llm=ScriptedLLM(ttft_ms=speed.ttft_ms, tokens_per_s=speed.tokens_per_s),
    )
    (turn,) = converse(stages).turns
    told = {"recording": "scripted", "reference": "What time is it?", "mode": mode.value, "llm": "scripted/llm"}
    return turn_record(turn.trace, TurnHeader(**told | header), {"scripted/llm": Model("scripted")})


def simulated(llm: str, mode: Mode, speed: Speed, recording: str = "scripted") -> TurnRecord:
    """The same, told as that of the pacer's model `llm`."""
    return recorded(mode, speed, llm=llm, simulated=True, recording=recording)
