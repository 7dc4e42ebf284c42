"""The conversation: audio in -> turns -> audio out, with a history that holds what was heard.

The agent may open it with words of its own, which end at the first sound of the user.

Lifecycle: the ear runs for the whole session and hands over each utterance the moment it begins. An utterance is a
turn, and all that the user says until the agent is heard belongs to it. Where another begins while the agent speaks,
the agent falls silent at once; words that are no backchannel cancel that turn (a barge-in), anything else lets it go
on where it was (a false start). No fault of a stage ends the session: the turn is marked failed, the agent apologises
where it can, and the next turn works.
"""

import asyncio
import logging
from asyncio import Task, TaskGroup
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial

import anyio

from pipelines.barge_in import BargeInSettings
from pipelines.contest import Contest
from pipelines.errors import QuickturnError, StageError
from pipelines.events import AudioFrame, ChatMessage
from pipelines.listening import Listener, Utterance
from pipelines.llm.history import Window
from pipelines.modes import Mode, Outcome
from pipelines.playout import AudioOutput, heard_text
from pipelines.reply import Reply, ReplySettings, Voice, speech_at
from pipelines.stopwatch.marks import Playout
from pipelines.turn import Turn, take_turn

log = logging.getLogger(__name__)

_CANCEL_TIMEOUT_S = 1.0  # a connection that will not close must not make the agent deaf
_UTTERANCES_BOUND = 8  # each takes half a second to speak and a moment to hand over


@dataclass(frozen=True, slots=True)
class SessionSettings:
    """How the conversation is held; `context_window_tokens` and `reply_tokens` bound what is sent to the model."""

    mode: Mode
    system_prompt: str
    reply: ReplySettings
    barge_in: BargeInSettings
    context_window_tokens: int
    reply_tokens: int


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
    """The agent has fallen silent, for the user makes a sound; nobody knows yet whether it is an interruption."""

    turn: Turn


@dataclass(frozen=True, slots=True)
class AgentResumed:
    """It was none: the agent goes on."""

    turn: Turn


@dataclass(frozen=True, slots=True)
class TurnFinished:
    """The turn is over; `heard` is what the user heard of the answer.

    `cut_s` is the process time at which it was cut short, None where it ran to its end.
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


class Session:
    """One conversation; `observer` is told what happens and must return at once.

    `opening` is what the agent says before anybody else does, "" for nothing; `history` is what was said before.
    """

    def __init__(
        self,
        listener: Listener,
        voice: Voice,
        settings: SessionSettings,
        observer: Observer,
        opening: str = "",
        history: Sequence[ChatMessage] = (),
    ) -> None:
        self.history: list[ChatMessage] = list(history)
        self._opening = opening
        self._listener = listener
        self._observer = observer
        self._floor: Turn | None = None  # whose answer is under way
        self.use(voice, settings)

    def use(self, voice: Voice, settings: SessionSettings) -> None:
        """Go on with another model or in another mode; an answer under way is finished as it was begun."""
        self._voice = voice
        self._settings = settings
        self._listener.recognise_while_speaking = settings.mode is not Mode.SEQUENTIAL

    async def run(self, frames: AsyncIterator[AudioFrame]) -> None:
        """Converse until the frames end and the last answer has been played."""
        begun, utterances = anyio.create_memory_object_stream[Utterance](_UTTERANCES_BOUND)
        async with begun, utterances, TaskGroup() as tasks:
            tasks.create_task(self._listener.listen(frames, begun), name="ear")
            turn: Turn | None = None
            current: Task[None] | None = None
            opening = tasks.create_task(self._open(), name="opening")
            async for utterance in utterances:
                if not opening.done():
                    opening.cancel()
                    await asyncio.wait([opening], timeout=_CANCEL_TIMEOUT_S)
                if turn is not None and current is not None and not current.done():
                    if await self._contest(turn, utterance).agent_goes_on(current):
                        continue
                    current.cancel()
                    await asyncio.wait([current], timeout=_CANCEL_TIMEOUT_S)
                turn = Turn(utterance, self._voice.clock)
                current = tasks.create_task(self._take(turn), name=f"turn@{utterance.started_samples}")

    def _contest(self, turn: Turn, utterance: Utterance) -> Contest:
        def on_change(is_paused: bool) -> None:
            self._observer(AgentPaused(turn) if is_paused else AgentResumed(turn))

        began_s = self._listener.media.process_time_s(utterance.started_samples)
        return Contest(turn, utterance, began_s, self._settings.barge_in, self._voice.clock, on_change)

    async def _open(self) -> None:
        if not self._opening:
            return
        playout = Playout()
        self._observer(OpeningBegan(playout))
        self._listener.agent_has_floor = True
        cut_s: float | None = None
        try:
            await self._say(self._opening, playout)
        except asyncio.CancelledError:
            cut_s = self._voice.clock()
            raise
        finally:
            self._listener.agent_has_floor = False
            if heard := heard_text(playout.played, cut_s):
                self.history.append(ChatMessage("assistant", heard))
            self._observer(OpeningEnded(playout, heard))

    async def _take(self, turn: Turn) -> None:
        self._observer(TurnBegan(turn))
        outcome, cut_s = Outcome.INTERRUPTED, None
        try:
            await take_turn(turn, self._settings.mode, self._start_reply, partial(self._give_floor, turn))
            if turn.error is not None:
                await self._apologise()
            outcome = _outcome(turn)
        except Exception as error:  # whatever a stage did, the conversation goes on
            log.exception("turn failed")
            turn.error = StageError(f"the turn failed: {error!r}")
            outcome, cut_s = Outcome.FAILED, self._cut_s(turn)
        except asyncio.CancelledError:
            cut_s = self._cut_s(turn)
            raise
        finally:
            if self._floor is turn:  # a cut turn may end after its successor was committed
                self._listener.agent_has_floor = False
            self._finish(turn, outcome, cut_s)

    def _give_floor(self, turn: Turn, *, agent_has_it: bool) -> None:
        self._floor = turn if agent_has_it else None
        self._listener.agent_has_floor = agent_has_it
        self._observer(TurnCommitted(turn) if agent_has_it else TurnReopened(turn))

    def _cut_s(self, turn: Turn) -> float:
        """When a turn that was cut short fell silent: its answer did so by itself, and maybe long ago."""
        silent_s = turn.answer.reply.playout.cut_s if turn.answer else None
        return self._voice.clock() if silent_s is None else silent_s

    def _finish(self, turn: Turn, outcome: Outcome, cut_s: float | None) -> None:
        heard = heard_text(turn.answer.reply.playout.played, cut_s) if turn.answer else ""
        if turn.committed_s is not None and turn.ended is not None:
            self._remember(turn.ended.transcript.text, heard)
        error = turn.error or (turn.answer.reply.error if turn.answer else None)
        self._observer(TurnFinished(turn, outcome, cut_s, heard, error))

    def _start_reply(self, question: str, *, streamed: bool = True) -> Reply:
        settings = self._settings
        messages = [ChatMessage("system", settings.system_prompt), *_with_user(self.history, question)]
        window = Window(settings.context_window_tokens, settings.reply_tokens)
        return Reply(question, messages, self._voice, settings.reply, window=window, streamed=streamed)

    def _remember(self, said: str, heard: str) -> None:
        self.history = _with_user(self.history, said)
        if heard:
            self.history.append(ChatMessage("assistant", heard))

    async def _apologise(self) -> None:
        await self._say(self._settings.reply.apology, Playout())

    async def _say(self, text: str, playout: Playout) -> None:
        """Words that no model wrote; `playout` notes them. A fault goes to the log: what they belong to goes on."""
        voice = self._voice
        rate_hz = voice.output.sample_rate_hz
        try:
            async with aclosing(speech_at(rate_hz, voice.tts, text, self._settings.reply.tts_timeout_s)) as pieces:
                async for pcm, last in pieces:
                    if len(pcm):
                        start_s = await voice.output.play(pcm)
                        playout.add(text, start_s, start_s + len(pcm) / rate_hz, last=last)
                playout.finish()
            await voice.output.drain()
        except asyncio.CancelledError:
            voice.output.clear()
            raise
        except Exception as error:  # a courtesy; the fault that it is said for is already in the turn
            log.warning("%r could not be spoken: %r", text, error)


def _with_user(history: list[ChatMessage], text: str) -> list[ChatMessage]:
    """The history with the user's words added; what was said before an answer that nobody heard belongs to the same
    message.
    """
    if history and history[-1].role == "user":
        return [*history[:-1], ChatMessage("user", f"{history[-1].text} {text}")]
    return [*history, ChatMessage("user", text)]


def _outcome(turn: Turn) -> Outcome:
    if turn.error is not None or (turn.answer is not None and turn.answer.reply.error is not None):
        return Outcome.FAILED
    if turn.answer is None:
        return Outcome.NO_SPEECH
    return Outcome.TOOL if turn.answer.reply.used_tools else Outcome.COMPLETED


BuildSession = Callable[[AudioOutput, Observer], Session]
"""Builds a session around an output."""
