"""What was heard, asked, said and decided in one turn, in process time: all that its record is made of.

Any engine can fill it; `marks_of` does so for our own. It computes nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from pipelines.errors import QuickturnError
from pipelines.events import Transcript, TurnEnded
from pipelines.modes import Outcome
from pipelines.session_events import TurnFinished
from pipelines.stopwatch.marks import Playout, Request, Unit
from pipelines.turn import Draft, FalseStart


@dataclass(frozen=True, slots=True, eq=False)
class ReplyMarks:
    """A reply that was begun: the words that it answers, what its stages noted, and when it was thrown away."""

    question: str
    transcript: Transcript
    text: str
    requests: Sequence[Request]
    units: Sequence[Unit]
    playout: Playout
    streamed: bool = True
    discarded_s: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class TurnMarks:
    """A turn that is over. `early` are the replies begun before it was committed, in order; `answer` may be one of
    them. `heard` is what was played of it, `starved_ms` None if the engine does not report it.
    """

    outcome: Outcome
    transcripts: Sequence[Transcript] = ()
    ended: TurnEnded | None = None
    committed_s: float | None = None
    resumed_s: Sequence[float] = ()
    early: Sequence[ReplyMarks] = ()
    answer: ReplyMarks | None = None
    heard: str = ""
    cut_s: float | None = None
    false_starts: Sequence[FalseStart] = ()
    starved_ms: float | None = None
    error: QuickturnError | None = None

    @property
    def hit(self) -> bool:
        """Whether the answer was begun before the turn was over."""
        return self.answer is not None and self.answer in self.early

    @property
    def discards(self) -> list[ReplyMarks]:
        """What was begun early and is not the answer."""
        return [reply for reply in self.early if reply is not self.answer]


def marks_of(finished: TurnFinished) -> TurnMarks:
    """The marks of a turn of our own engine."""
    turn = finished.turn
    early = [_reply_marks(draft) for draft in turn.drafts]
    answer = None
    if turn.answer is not None:
        answer = early[turn.drafts.index(turn.answer)] if turn.hit else _reply_marks(turn.answer)
    return TurnMarks(
        finished.outcome,
        turn.transcripts,
        turn.ended,
        turn.committed_s,
        turn.resumed_s,
        early,
        answer,
        finished.heard,
        finished.cut_s,
        turn.false_starts,
        answer.playout.starved_ms if answer else None,
        finished.error,
    )


def _reply_marks(draft: Draft) -> ReplyMarks:
    reply = draft.reply
    return ReplyMarks(
        reply.question,
        draft.transcript,
        reply.text,
        reply.requests,
        reply.units,
        reply.playout,
        reply.streamed,
        draft.discarded_s,
    )
