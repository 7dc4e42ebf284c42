"""The conversation: audio in -> turns -> audio out, with a history that holds what was heard.

The agent may open it with words of its own, which end at the first sound of the user.

Lifecycle: the listener runs for the whole session and hands over each utterance the moment it begins. An utterance is a
turn, and all that the user says until the agent is heard belongs to it. If another begins while the agent speaks, the
table in `pipelines.turn_taking` decides: the agent falls silent at once; words that are not a backchannel cancel that
turn (a barge-in), anything else lets it go on where it was (a false start). No fault of a stage ends the session: the
turn is marked failed, the agent apologises if it can, and the next turn works.
"""

import asyncio
import logging
from asyncio import Task, TaskGroup
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass

import anyio

from pipelines.barge_in import BargeInSettings
from pipelines.errors import StageError
from pipelines.events import AudioFrame, ChatMessage
from pipelines.listening import Listener
from pipelines.llm.history import Window
from pipelines.modes import Mode, Outcome
from pipelines.overlap import Overlap, nearly_said
from pipelines.playout import AudioOutput, heard_text
from pipelines.reply import Reply
from pipelines.reply_stages import ReplySettings, ReplyStages
from pipelines.session_events import (
    AgentPaused,
    AgentResumed,
    Observer,
    OpeningBegan,
    OpeningEnded,
    TurnBegan,
    TurnCommitted,
    TurnFinished,
    TurnReopened,
)
from pipelines.speech import speech_at
from pipelines.stopwatch.marks import Playout
from pipelines.turn import FalseStart, Turn
from pipelines.turn_flow import take_turn
from pipelines.turn_taking import AGENT_HAS_IT, CONTESTED, Action, Floor, FloorEvent, after
from pipelines.utterance import Utterance

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


class Session:
    """One conversation; `observer` is told what happens and must return at once.

    `opening` is what the agent says first, "" for nothing; `history` is what was said before.
    """

    def __init__(
        self,
        listener: Listener,
        stages: ReplyStages,
        settings: SessionSettings,
        observer: Observer,
        opening: str = "",
        history: Sequence[ChatMessage] = (),
    ) -> None:
        self.history: list[ChatMessage] = list(history)
        self._opening = opening
        self._listener = listener
        self._observer = observer
        self._floor = Floor.OPEN
        self._turn: Turn | None = None  # whose events move the floor; None before the first
        self._overlap: Overlap | None = None
        self._paused_s = 0.0
        self.use(stages, settings)

    def use(self, stages: ReplyStages, settings: SessionSettings) -> None:
        """Go on with another model or in another mode; an answer under way is finished as it was begun."""
        self._stages = stages
        self._settings = settings
        self._listener.recognise_while_speaking = settings.mode is not Mode.SEQUENTIAL

    async def run(self, frames: AsyncIterator[AudioFrame]) -> None:
        """Converse until the frames end and the last answer has been played."""
        begun, utterances = anyio.create_memory_object_stream[Utterance](_UTTERANCES_BOUND)
        async with begun, utterances, TaskGroup() as tasks:
            tasks.create_task(self._listener.listen(frames, begun), name="listener")
            agent = tasks.create_task(self._open(), name="opening")
            async for utterance in utterances:
                if not await self._user_takes_floor(utterance, agent):
                    continue
                turn = self._turn = Turn(utterance, self._stages.clock)
                if not agent.done():
                    agent.cancel()
                    await asyncio.wait([agent], timeout=_CANCEL_TIMEOUT_S)
                agent = tasks.create_task(self._take(turn), name=f"turn@{utterance.started_samples}")

    # ------------------------------------------------------------ the floor

    async def _user_takes_floor(self, utterance: Utterance, agent: Task[None]) -> bool:
        """Whether an utterance becomes a turn; `agent` is the task of what the agent is doing."""
        turn = self._turn
        reply = turn.answer.reply if turn is not None and turn.answer is not None else None
        if reply is not None and self._floor in (Floor.COMMITTED, Floor.AGENT):
            began_s = self._listener.media.process_time_s(utterance.started_samples)
            self._overlap = Overlap(utterance, began_s, reply, self._settings.barge_in)
        at_the_end = self._floor is Floor.AGENT and reply is not None and nearly_said(reply)
        self._move(FloorEvent.SPEECH_AT_THE_END if at_the_end else FloorEvent.SPEECH, turn)
        try:
            while self._floor in CONTESTED and self._overlap is not None:
                event = await self._overlap.next(self._floor, agent)
                if event is not None and self._floor in CONTESTED:
                    self._move(event, turn)
        finally:
            if self._overlap is not None:
                self._overlap.close()
                self._overlap = None
        return self._floor is Floor.USER

    def _move(self, event: FloorEvent, turn: Turn | None) -> None:
        """Let what happened to a turn change the floor; a turn that was cut may end after its successor began."""
        if turn is not self._turn:
            return
        self._floor, actions = after(self._floor, event)
        self._listener.agent_has_floor = self._floor in AGENT_HAS_IT
        if turn is not None:
            for action in actions:
                self._perform(action, turn)

    def _perform(self, action: Action, turn: Turn) -> None:
        match action:
            case Action.COMMIT:
                self._observer(TurnCommitted(turn))
            case Action.REOPEN:
                self._observer(TurnReopened(turn))
            case Action.PAUSE:
                self._paused_s = self._stages.clock()
                _reply(turn).pause()
                self._observer(AgentPaused(turn))
            case Action.RESUME:
                _reply(turn).resume()
                heard = self._overlap.heard if self._overlap else ""
                turn.false_starts.append(FalseStart(self._paused_s, self._stages.clock(), heard))
                self._observer(AgentResumed(turn))
            case Action.UNPAUSE:
                _reply(turn).resume()
            case Action.DROP:
                if self._overlap is not None:
                    self._overlap.utterance.close()
            case Action.BEGIN:
                pass  # by `run`, which holds the task that is cancelled for it

    # ------------------------------------------------------------ what the agent does

    async def _open(self) -> None:
        if not self._opening:
            return
        playout = Playout()
        self._observer(OpeningBegan(playout))
        self._move(FloorEvent.OPENING_BEGAN, None)
        cut_s: float | None = None
        try:
            await self._say(self._opening, playout)
        except asyncio.CancelledError:
            cut_s = self._stages.clock()
            raise
        finally:
            self._move(FloorEvent.DONE, None)
            if heard := heard_text(playout.played, cut_s):
                self.history.append(ChatMessage("assistant", heard))
            self._observer(OpeningEnded(playout, heard))

    async def _take(self, turn: Turn) -> None:
        self._observer(TurnBegan(turn))
        outcome, cut_s = Outcome.INTERRUPTED, None
        try:
            await take_turn(turn, self._settings.mode, self._start_reply, lambda event: self._move(event, turn))
            if turn.error is not None:
                await self._apologise()
            outcome = turn.outcome
        except Exception as error:  # whatever a stage did, the conversation goes on
            log.exception("turn failed")
            turn.error = StageError(f"the turn failed: {error!r}")
            outcome, cut_s = Outcome.FAILED, self._cut_s(turn)
        except asyncio.CancelledError:
            cut_s = self._cut_s(turn)
            raise
        finally:
            self._move(FloorEvent.DONE, turn)
            self._finish(turn, outcome, cut_s)

    def _cut_s(self, turn: Turn) -> float:
        """When a turn that was cut short fell silent: its answer did so by itself, and maybe long ago."""
        silent_s = turn.answer.reply.playout.cut_s if turn.answer else None
        return self._stages.clock() if silent_s is None else silent_s

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
        return Reply(question, messages, self._stages, settings.reply, window=window, streamed=streamed)

    def _remember(self, said: str, heard: str) -> None:
        self.history = _with_user(self.history, said)
        if heard:
            self.history.append(ChatMessage("assistant", heard))

    async def _apologise(self) -> None:
        await self._say(self._settings.reply.apology, Playout())

    async def _say(self, text: str, playout: Playout) -> None:
        """Words that no model wrote; `playout` notes them. A fault goes to the log: what they belong to goes on."""
        stages = self._stages
        rate_hz = stages.output.sample_rate_hz
        try:
            async with aclosing(speech_at(rate_hz, stages.tts, text, self._settings.reply.tts_timeout_s)) as pieces:
                async for pcm, last in pieces:
                    if len(pcm):
                        start_s = await stages.output.play(pcm)
                        playout.add(text, start_s, start_s + len(pcm) / rate_hz, last=last)
                playout.finish()
            await stages.output.drain()
        except asyncio.CancelledError:
            stages.output.clear()
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


def _reply(turn: Turn) -> Reply:
    assert turn.answer is not None  # the floor is contested over an answer only
    return turn.answer.reply


BuildSession = Callable[[AudioOutput, Observer], Session]
"""Builds a session around an output."""
