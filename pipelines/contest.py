"""An utterance that begins while the agent has the floor.

The agent falls silent at the first sound and listens. What turns out to be an interruption ends its turn; after a
backchannel, a noise or its own echo it goes on where it was (a false start). It cancels nothing itself.
"""

import asyncio
from asyncio import Task
from collections.abc import AsyncIterator, Callable

from pipelines.barge_in import BargeInSettings, Verdict, judge
from pipelines.events import Clock, Transcript
from pipelines.listening import HearingFailed, SpeechResumed, TurnEnded, Update, Utterance
from pipelines.reply import Reply
from pipelines.turn import FalseStart, Turn

_NEARLY_SAID_S = 0.5  # so shortly before its end, an answer is over: what is said now answers the agent


class Contest:
    """One utterance, which began at `began_s` of process time, against the answer of `turn`; `on_change` hears True
    when the agent falls silent, False when it goes on.
    """

    def __init__(
        self,
        turn: Turn,
        utterance: Utterance,
        began_s: float,
        settings: BargeInSettings,
        clock: Clock,
        on_change: Callable[[bool], None],
    ) -> None:
        self._turn = turn
        self._utterance = utterance
        self._began_s = began_s
        self._settings = settings
        self._clock = clock
        self._on_change = on_change
        self._paused_s = 0.0
        self._heard = ""

    async def agent_goes_on(self, answering: Task[None]) -> bool:
        """Whether the agent keeps the floor; `answering` is the task of its turn, which may end meanwhile.

        The utterance is then closed. Where the user takes the floor, the agent is silent and its turn is still to be
        cancelled.
        """
        reply = self._turn.answer.reply if self._turn.answer else None
        if reply is None or _nearly_said(reply):
            return False
        self._pause(reply)
        reading = aiter(self._utterance)
        coming: Task[Update] | None = None
        is_dismissed = False  # by the last words: no interruption, if nothing follows
        try:
            while not answering.done():
                coming = coming or asyncio.create_task(_next(reading), name="contest")
                patience_ms = self._settings.settle_ms if is_dismissed else self._settings.resume_ms
                patience_s = patience_ms / 1_000 if reply.is_paused else None
                await asyncio.wait({coming, answering}, timeout=patience_s, return_when=asyncio.FIRST_COMPLETED)
                if not coming.done():
                    if is_dismissed and self._utterance.is_sounding:
                        is_dismissed = False  # it was a gap inside the user's words
                        continue
                    self._resume(reply)  # it was nothing, or a long sound without a word in it; or the turn has failed
                    continue
                update, coming = coming.result(), None
                verdict = self._judge(update, reply)
                if verdict is Verdict.TAKEN:
                    self._pause(reply)
                    return False
                is_dismissed = verdict is Verdict.FALSE_START
                if not isinstance(update, Transcript):
                    self._resume(reply)
                    self._utterance.close()
                    return True
            return False
        finally:
            if coming is not None:
                coming.cancel()

    def _judge(self, update: Update, reply: Reply) -> Verdict:
        match update:
            case HearingFailed():
                return Verdict.FALSE_START
            case SpeechResumed():
                return Verdict.WAIT
            case TurnEnded(heard) | (Transcript() as heard):
                self._heard = heard.text
                audible_s = reply.playout.audible_s
                after_ms = None if audible_s is None else (self._began_s - audible_s) * 1_000
                return judge(heard, self._utterance.started_samples, after_ms, reply.text, self._settings)

    def _pause(self, reply: Reply) -> None:
        if not reply.is_paused:
            self._paused_s = self._clock()
            reply.pause()
            self._on_change(True)

    def _resume(self, reply: Reply) -> None:
        if reply.is_paused:
            reply.resume()
            self._turn.false_starts.append(FalseStart(self._paused_s, self._clock(), self._heard))
            self._on_change(False)


def _nearly_said(reply: Reply) -> bool:
    left_s = reply.left_to_say_s()
    return left_s is not None and left_s < _NEARLY_SAID_S


async def _next(reading: AsyncIterator[Update]) -> Update:
    return await anext(reading)
