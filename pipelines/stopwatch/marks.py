"""The marks of an answer: what its stages note while they work, in process time, for the trace to read.

"Never happened" is None. Independent of the stages and of the trace.
"""

from dataclasses import dataclass, field, replace

from pipelines.events import FailoverDecision, ToolCall, Usage
from pipelines.llm.history import Fitted
from pipelines.playout import Played


@dataclass(slots=True)
class ToolRun:
    """One call of a tool: what the model was told, whether that reports a failure, and when it ran.

    `on_a_guess` is whether it began before the turn was committed.
    """

    call: ToolCall
    read_only: bool
    on_a_guess: bool
    started_s: float
    ended_s: float | None = None
    result: str = ""
    failed: bool = False


@dataclass(slots=True)
class Request:
    """The marks of one Chat Completions request, in process time.

    `llm` is whose tokens they are, `context` what was sent of the conversation, `first_unit_deltas` how many deltas the
    first unit took, `broken` why the stream ended early.
    """

    sent_s: float
    llm: str
    context: Fitted
    first_token_s: float | None = None
    first_unit_s: float | None = None
    last_token_s: float | None = None
    ended_s: float | None = None
    deltas: int = 0
    first_unit_deltas: int | None = None
    text: str = ""
    usage: Usage | None = None
    decisions: list[FailoverDecision] = field(default_factory=list)
    broken: str | None = None
    tool_calls: list[ToolCall] = field(default_factory=list)
    tool_runs: list[ToolRun] = field(default_factory=list)
    tools_ended_s: float | None = None
    filler_s: float | None = None


@dataclass(slots=True)
class Unit:
    """The marks of one speakable unit, in process time."""

    text: str
    tts_started_s: float
    first_pcm_s: float | None = None
    tts_ended_s: float | None = None


@dataclass(slots=True)
class Playout:
    """The marks of the playout: PCM handed over, first sample, first audible sample, and where it was cut short."""

    handed_s: float | None = None
    started_s: float | None = None
    audible_s: float | None = None
    cut_s: float | None = None
    starved_ms: float = 0.0
    played: list[Played] = field(default_factory=list)

    def delay(self, from_s: float, by_s: float) -> None:
        """The output was silent from `from_s` on for `by_s`: what had not been played by then is played that much
        later.
        """
        self.played = [
            replace(unit, start_s=unit.start_s + by_s * (unit.start_s > from_s), end_s=unit.end_s + by_s)
            if unit.end_s > from_s
            else unit
            for unit in self.played
        ]
        if self.audible_s is not None and self.audible_s > from_s:
            self.audible_s += by_s
        if self.started_s is not None and self.started_s > from_s:
            self.started_s += by_s

    def add(self, text: str, start_s: float, end_s: float, *, last: bool = True) -> None:
        """Note a piece of speech, `last` if the unit ends with it; a further piece of the same unit makes that longer,
        a gap before it is starvation.
        """
        if self.played:
            before = self.played[-1]
            self.starved_ms += max(0.0, start_s - before.end_s) * 1_000
            if before.text is text:
                self.played[-1] = Played(text, before.start_s, end_s, last)
                return
        self.finish()
        self.played.append(Played(text, start_s, end_s, last))

    def finish(self) -> None:
        """Note that no more will come of the unit that was played last."""
        if self.played:
            self.played[-1] = replace(self.played[-1], whole=True)
