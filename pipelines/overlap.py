"""What the user says over the agent's answer, read as events of turn-taking. It pauses and cancels nothing itself."""

import asyncio
from asyncio import Task

from pipelines.barge_in import BargeInSettings, Verdict, judge
from pipelines.events import HearingFailed, SpeechResumed, Transcript, TurnEnded, UtteranceUpdate
from pipelines.reply import Reply
from pipelines.turn_taking import Floor, FloorEvent
from pipelines.utterance import Utterance

_NEARLY_SAID_S = 0.5  # this close to its end, an answer is over: what is said now answers the agent
_WHILE_HEARD = {
    Verdict.WAIT: FloorEvent.UNCLEAR,
    Verdict.FALSE_START: FloorEvent.DISMISSED,
    Verdict.TAKEN: FloorEvent.TAKEN,
}


def nearly_said(reply: Reply) -> bool:
    """Whether the answer is as good as over."""
    left_s = reply.left_to_say_s()
    return left_s is not None and left_s < _NEARLY_SAID_S


class Overlap:
    """An utterance over `reply`, which began at `began_s` of process time; `heard` is what was understood last."""

    def __init__(self, utterance: Utterance, began_s: float, reply: Reply, settings: BargeInSettings) -> None:
        self.utterance = utterance
        self.heard = ""
        self._began_s = began_s
        self._reply = reply
        self._settings = settings
        self._reading = aiter(utterance)
        self._coming: Task[UtteranceUpdate] | None = None

    async def next(self, floor: Floor, answering: Task[None]) -> FloorEvent | None:
        """The next event; None if `answering`, the task of the agent's turn, has ended meanwhile."""
        self._coming = self._coming or asyncio.create_task(self._next_update(), name="overlap")
        patience_s = self._patience_s(floor)
        await asyncio.wait({self._coming, answering}, timeout=patience_s, return_when=asyncio.FIRST_COMPLETED)
        if answering.done():
            return None
        if self._coming.done():
            update, self._coming = self._coming.result(), None
            return self._event(update)
        if floor is Floor.SETTLING and self.utterance.is_sounding:
            return FloorEvent.STILL_SOUNDING
        return FloorEvent.PATIENCE_OVER

    def close(self) -> None:
        """Read no further."""
        if self._coming is not None:
            self._coming.cancel()

    async def _next_update(self) -> UtteranceUpdate:
        return await anext(self._reading)

    def _patience_s(self, floor: Floor) -> float | None:
        match floor:
            case Floor.PAUSED:
                return self._settings.resume_ms / 1_000
            case Floor.SETTLING:
                return self._settings.settle_ms / 1_000
            case _:
                return None

    def _event(self, update: UtteranceUpdate) -> FloorEvent:
        match update:
            case HearingFailed():
                return FloorEvent.OVER
            case SpeechResumed():
                return FloorEvent.UNCLEAR
            case Transcript():
                return _WHILE_HEARD[self._judge(update)]
            case TurnEnded(heard):
                return FloorEvent.TAKEN if self._judge(heard) is Verdict.TAKEN else FloorEvent.OVER

    def _judge(self, heard: Transcript) -> Verdict:
        self.heard = heard.text
        audible_s = self._reply.playout.audible_s
        after_ms = None if audible_s is None else (self._began_s - audible_s) * 1_000
        return judge(heard, self.utterance.started_samples, after_ms, self._reply.text, self._settings)
