"""What a session tells its observer: each thing that happens in the conversation, as it happens."""

from collections.abc import Callable
from dataclasses import dataclass

from pipelines.errors import QuickturnError
from pipelines.modes import Outcome
from pipelines.stopwatch.marks import Playout
from pipelines.turn import Turn


@dataclass(frozen=True, slots=True)
class OpeningBegan:
    """The agent begins to say its opening; `playout` grows as it is spoken."""

    playout: Playout


@dataclass(frozen=True, slots=True)
class OpeningEnded:
    """The opening is over; `heard` is what the user heard of it."""

    playout: Playout
    heard: str


@dataclass(frozen=True, slots=True)
class TurnBegan:
    """The user began to speak."""

    turn: Turn


@dataclass(frozen=True, slots=True)
class TurnCommitted:
    """The user has finished and will be answered."""

    turn: Turn


@dataclass(frozen=True, slots=True)
class TurnReopened:
    """The user goes on before the answer was heard: what is said joins the turn."""

    turn: Turn


@dataclass(frozen=True, slots=True)
class AgentPaused:
    """The agent has fallen silent because of a sound; whether it is an interruption is not known yet."""

    turn: Turn


@dataclass(frozen=True, slots=True)
class AgentResumed:
    """It was no interruption: the agent goes on."""

    turn: Turn


@dataclass(frozen=True, slots=True)
class TurnFinished:
    """The turn is over; `heard` is what the user heard of the answer.

    `cut_s` is the process time at which it was cut short, None if it ran to its end.
    """

    turn: Turn
    outcome: Outcome
    cut_s: float | None
    heard: str
    error: QuickturnError | None


SessionEvent = (
    OpeningBegan | OpeningEnded | TurnBegan | TurnCommitted | TurnReopened | AgentPaused | AgentResumed | TurnFinished
)
Observer = Callable[[SessionEvent], None]
"""Must return at once."""
