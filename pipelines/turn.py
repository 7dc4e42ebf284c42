"""One turn, in three modes that differ in when the answer is begun.

- sequential: end of turn -> final transcript -> whole reply -> whole speech -> play
- streaming: end of turn -> LLM stream -> speech from the first sentence on, while the rest is still being written
- speculative: the same, but begun on a transcript of speech that may not be over; heard only once the turn is committed

Each mode is one coroutine below, to be read from top to bottom. In all of them the user may go on until the answer is
heard: then the answer is held back, and thrown away if it no longer fits the words. All work of a turn hangs on one
TaskGroup: cancelling the turn (a barge-in) cancels the request, the synthesis and the playout. It knows nothing of the
conversation before or after it.
"""

from asyncio import Task, TaskGroup
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol

from pipelines.endpointing import Completeness, completeness
from pipelines.errors import QuickturnError
from pipelines.events import Transcript
from pipelines.listening import HearingFailed, SpeechResumed, TurnEnded, Utterance
from pipelines.modes import Mode
from pipelines.reply import Reply
from pipelines.stt.wer import normalise


class StartReply(Protocol):
    """Builds the reply to a transcript within the conversation so far."""

    def __call__(self, question: str, *, streamed: bool = True) -> Reply:
        """A reply that has not begun to run."""
        ...


@dataclass(frozen=True, slots=True)
class FalseStart:
    """The agent fell silent for a sound that was no interruption, and went on; `heard` is what was understood of it."""

    paused_s: float
    resumed_s: float
    heard: str


@dataclass(slots=True, eq=False)
class Guess:
    """A reply, the transcript that it answers, and the task that runs it."""

    reply: Reply
    transcript: Transcript
    task: Task[None]
    discarded_s: float | None = None


@dataclass(slots=True)
class Turn:
    """What happens in one turn: filled in by its mode, read by the trace.

    `resumed_s` are the times at which the user went on although the turn had been committed.
    """

    utterance: Utterance
    clock: Callable[[], float]
    transcripts: list[Transcript] = field(default_factory=list)
    ended: TurnEnded | None = None
    committed_s: float | None = None
    resumed_s: list[float] = field(default_factory=list)
    guesses: list[Guess] = field(default_factory=list)
    answer: Guess | None = None
    error: QuickturnError | None = None
    false_starts: list[FalseStart] = field(default_factory=list)

    @property
    def hit(self) -> bool:
        """Whether the answer was begun before the turn was over."""
        return self.answer is not None and self.answer in self.guesses


class OnFloor(Protocol):
    """Told when the floor changes hands."""

    def __call__(self, *, agent_has_it: bool) -> None:
        """The turn is over and has words (True), or the user has gone on before the answer was heard (False)."""
        ...


async def take_turn(turn: Turn, mode: Mode, start_reply: StartReply, on_floor: OnFloor) -> None:
    """Hear the user out and answer."""
    try:
        async with TaskGroup() as work:
            await _MODES[mode](_Floor(turn, work, start_reply, on_floor))
    finally:
        turn.utterance.close()


@dataclass(frozen=True, slots=True)
class _Floor:
    """What a mode works with."""

    turn: Turn
    work: TaskGroup
    start_reply: StartReply
    on_floor: OnFloor

    async def ends(self) -> AsyncIterator[Transcript]:
        """The final transcript at each end of the turn: there is more than one where the user goes on."""
        async for update in self.turn.utterance:
            match update:
                case Transcript():
                    self.turn.transcripts.append(update)
                case SpeechResumed():
                    self.take_back()
                case TurnEnded() | HearingFailed():
                    if (transcript := self.committed(update)) is not None:
                        yield transcript

    def committed(self, update: TurnEnded | HearingFailed) -> Transcript | None:
        """Note the end of the turn; None if there is nothing to answer."""
        if isinstance(update, HearingFailed):
            self.turn.error = update.error
            return None
        self.turn.ended = update
        if not normalise(update.transcript.text):
            self.turn.utterance.close()
            return None
        self.turn.committed_s = self.turn.clock()
        self.on_floor(agent_has_it=True)
        return update.transcript

    def take_back(self) -> None:
        """The user goes on: the answer, not heard yet, waits for another end of the turn."""
        if self.turn.committed_s is None:
            return
        if self.turn.answer is not None:
            self.turn.answer.reply.hold()
        self.turn.ended = self.turn.committed_s = self.turn.answer = None
        self.turn.resumed_s.append(self.turn.clock())
        self.on_floor(agent_has_it=False)

    def begin(self, transcript: Transcript, *, streamed: bool = True) -> Guess:
        """Start a reply, silent as yet."""
        reply = self.start_reply(transcript.text, streamed=streamed)
        return Guess(reply, transcript, self.work.create_task(reply.run(), name="reply"))

    def answer(self, guess: Guess) -> None:
        """Let this reply be heard; with its first sample, the turn is the agent's."""
        self.turn.answer = guess
        guess.reply.release(self.turn.utterance.close_if_ended)

    def discard(self, guess: Guess) -> None:
        """Throw a reply away; its request is cancelled."""
        guess.discarded_s = self.turn.clock()
        guess.task.cancel()


async def _sequential(floor: _Floor) -> None:
    await _answer_at_the_end(floor, streamed=False)


async def _streaming(floor: _Floor) -> None:
    await _answer_at_the_end(floor, streamed=True)


async def _answer_at_the_end(floor: _Floor, *, streamed: bool) -> None:
    begun: Guess | None = None
    async for transcript in floor.ends():
        if begun is not None and not _answers(begun, transcript):
            floor.discard(begun)
            begun = None
        begun = begun or floor.begin(transcript, streamed=streamed)
        floor.answer(begun)


async def _speculative(floor: _Floor) -> None:
    guess: Guess | None = None
    async for update in floor.turn.utterance:
        match update:
            case Transcript():
                floor.turn.transcripts.append(update)
                if guess is not None and not _answers(guess, update):
                    floor.discard(guess)
                    guess = None
                if guess is None and worth_a_guess(update):
                    guess = floor.begin(update)
                    floor.turn.guesses.append(guess)
            case SpeechResumed():
                floor.take_back()
            case TurnEnded() | HearingFailed():
                transcript = floor.committed(update)
                # A guess that failed is asked again here, and not sooner: a provider in trouble needs no burst of
                # requests.
                if guess is not None and (transcript is None or guess.reply.error or not _answers(guess, transcript)):
                    floor.discard(guess)
                    guess = None
                if transcript is not None:
                    guess = guess or floor.begin(transcript)
                    floor.answer(guess)


def worth_a_guess(transcript: Transcript) -> bool:
    """A pause, or a sentence complete and stable to its last word; but nobody ends a turn on "and the"."""
    judged = completeness(transcript.text)
    if judged is Completeness.DANGLING or not normalise(transcript.text):
        return False
    whole_text_stable = normalise(transcript.stable_text) == normalise(transcript.text)
    return transcript.is_final or (judged is Completeness.COMPLETE and whole_text_stable)


def _answers(guess: Guess, transcript: Transcript) -> bool:
    return same_words(guess.reply.question, transcript.text)


def same_words(asked: str, heard: str) -> bool:
    """Whether an answer to the one answers the other too: case and punctuation change nothing."""
    return normalise(asked) == normalise(heard)


_MODES: dict[Mode, Callable[[_Floor], Awaitable[None]]] = {
    Mode.SEQUENTIAL: _sequential,
    Mode.STREAMING: _streaming,
    Mode.SPECULATIVE: _speculative,
}
