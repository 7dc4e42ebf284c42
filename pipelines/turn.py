"""One turn: what the user said, the answers that were begun to it, and how it ended. A record without behaviour."""

from asyncio import Task
from collections.abc import Callable
from dataclasses import dataclass, field

from pipelines.errors import QuickturnError
from pipelines.events import Transcript, TurnEnded
from pipelines.modes import Outcome
from pipelines.reply import Reply
from pipelines.utterance import Utterance


@dataclass(frozen=True, slots=True)
class FalseStart:
    """The agent fell silent for a sound that was no interruption, and went on; `heard` is what was understood of it."""

    paused_s: float
    resumed_s: float
    heard: str


@dataclass(slots=True, eq=False)
class Draft:
    """A reply that was begun, the transcript that it answers, and the task that runs it."""

    reply: Reply
    transcript: Transcript
    task: Task[None]
    discarded_s: float | None = None


@dataclass(slots=True)
class Turn:
    """What happens in one turn: filled in by its mode, read by the trace. Times are process time.

    `resumed_s` are the times at which the user went on although the turn had been committed; `drafts` are the replies
    begun before it was.
    """

    utterance: Utterance
    clock: Callable[[], float]
    transcripts: list[Transcript] = field(default_factory=list)
    ended: TurnEnded | None = None
    committed_s: float | None = None
    resumed_s: list[float] = field(default_factory=list)
    drafts: list[Draft] = field(default_factory=list)
    answer: Draft | None = None
    error: QuickturnError | None = None
    false_starts: list[FalseStart] = field(default_factory=list)

    @property
    def hit(self) -> bool:
        """Whether the answer was begun before the turn was over."""
        return self.answer is not None and self.answer in self.drafts

    @property
    def outcome(self) -> Outcome:
        """How it ended, if nothing cut it short."""
        if self.error is not None or (self.answer is not None and self.answer.reply.error is not None):
            return Outcome.FAILED
        if self.answer is None:
            return Outcome.NO_SPEECH
        return Outcome.TOOL if self.answer.reply.used_tools else Outcome.COMPLETED
