"""The three modes of a turn, which differ in when the answer is begun.

- sequential: end of turn -> final transcript -> whole reply -> whole speech -> play
- streaming: end of turn -> LLM stream -> speech from the first sentence on, while the rest is being written
- speculative: the same, but begun on a transcript of speech that may not be over; heard only once the turn is committed

Each mode is one coroutine below, to be read from top to bottom. In all of them the user may go on until the answer is
heard: then the answer is held back, and thrown away if it no longer fits the words. All work of a turn hangs on one
TaskGroup: cancelling the turn (a barge-in) cancels the request, the synthesis and the playout. Independent of the
conversations before and after it.
"""

from asyncio import TaskGroup
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from pipelines.events import HearingFailed, SpeechResumed, Transcript, TurnEnded
from pipelines.modes import Mode
from pipelines.reply import Reply
from pipelines.speculation import worth_speculating
from pipelines.text import normalise, same_words
from pipelines.turn import Draft, Turn
from pipelines.turn_taking import FloorEvent


class StartReply(Protocol):
    """Builds the reply to a transcript within the conversation so far."""

    def __call__(self, question: str, *, streamed: bool = True) -> Reply:
        """A reply that has not begun to run."""
        ...


async def take_turn(turn: Turn, mode: Mode, start_reply: StartReply, on_floor: Callable[[FloorEvent], None]) -> None:
    """Hear the user out and answer; `on_floor` is told what the turn does to the floor."""
    try:
        async with TaskGroup() as work:
            await _MODES[mode](_Moves(turn, work, start_reply, on_floor))
    finally:
        turn.utterance.close()


@dataclass(frozen=True, slots=True)
class _Moves:
    """What a mode can do."""

    turn: Turn
    work: TaskGroup
    start_reply: StartReply
    on_floor: Callable[[FloorEvent], None]

    async def ends(self) -> AsyncIterator[Transcript]:
        """The final transcript at each end of the turn: there is more than one if the user goes on."""
        async for update in self.turn.utterance:
            match update:
                case Transcript():
                    self.turn.transcripts.append(update)
                case SpeechResumed():
                    self.reopen()
                case TurnEnded() | HearingFailed():
                    if (transcript := self.commit(update)) is not None:
                        yield transcript

    def commit(self, update: TurnEnded | HearingFailed) -> Transcript | None:
        """Note the end of the turn; None if there is nothing to answer."""
        if isinstance(update, HearingFailed):
            self.turn.error = update.error
            return None
        self.turn.ended = update
        if not normalise(update.transcript.text):
            self.turn.utterance.close()
            return None
        self.turn.committed_s = self.turn.clock()
        self.on_floor(FloorEvent.ENDED)
        return update.transcript

    def reopen(self) -> None:
        """The user goes on: the answer, not heard yet, waits for another end of the turn."""
        if self.turn.committed_s is None:
            return
        if self.turn.answer is not None:
            self.turn.answer.reply.hold()
        self.turn.ended = self.turn.committed_s = self.turn.answer = None
        self.turn.resumed_s.append(self.turn.clock())
        self.on_floor(FloorEvent.RESUMED)

    def begin(self, transcript: Transcript, *, streamed: bool = True) -> Draft:
        """Start a reply, silent as yet."""
        reply = self.start_reply(transcript.text, streamed=streamed)
        return Draft(reply, transcript, self.work.create_task(reply.run(), name="reply"))

    def answer(self, draft: Draft) -> None:
        """Let this reply be heard; with its first sample, the turn is the agent's."""
        self.turn.answer = draft
        draft.reply.release(self._may_begin)

    def _may_begin(self) -> bool:
        if not self.turn.utterance.close_if_ended():
            return False
        self.on_floor(FloorEvent.HEARD)
        return True

    def discard(self, draft: Draft) -> None:
        """Throw a reply away; its request is cancelled."""
        draft.discarded_s = self.turn.clock()
        draft.task.cancel()


async def _sequential(moves: _Moves) -> None:
    await _answer_at_the_end(moves, streamed=False)


async def _streaming(moves: _Moves) -> None:
    await _answer_at_the_end(moves, streamed=True)


async def _answer_at_the_end(moves: _Moves, *, streamed: bool) -> None:
    draft: Draft | None = None
    async for transcript in moves.ends():
        if draft is not None and not _answers(draft, transcript):
            moves.discard(draft)
            draft = None
        draft = draft or moves.begin(transcript, streamed=streamed)
        moves.answer(draft)
    if draft is not None and draft is not moves.turn.answer:  # held back for words that were then not understood
        moves.discard(draft)


async def _speculative(moves: _Moves) -> None:
    draft: Draft | None = None
    async for update in moves.turn.utterance:
        match update:
            case Transcript():
                moves.turn.transcripts.append(update)
                if draft is not None and not _answers(draft, update):
                    moves.discard(draft)
                    draft = None
                if draft is None and worth_speculating(update):
                    draft = moves.begin(update)
                    moves.turn.drafts.append(draft)
            case SpeechResumed():
                moves.reopen()
            case TurnEnded() | HearingFailed():
                transcript = moves.commit(update)
                # A draft that failed is asked for again here, and not sooner: a provider in trouble needs no burst of
                # requests.
                if draft is not None and (transcript is None or draft.reply.error or not _answers(draft, transcript)):
                    moves.discard(draft)
                    draft = None
                if transcript is not None:
                    draft = draft or moves.begin(transcript)
                    moves.answer(draft)


def _answers(draft: Draft, transcript: Transcript) -> bool:
    return same_words(draft.reply.question, transcript.text)


_MODES: dict[Mode, Callable[[_Moves], Awaitable[None]]] = {
    Mode.SEQUENTIAL: _sequential,
    Mode.STREAMING: _streaming,
    Mode.SPECULATIVE: _speculative,
}
