"""A stopwatch for an AgentSession that speaks and hears with our plugins: each turn as the record that Quickturn's
own engine writes, so that the same reports read it.

What AgentSession does not let one know is None. The turn latency counts from where our voice activity heard the user
stop to the first audible sample handed to the output, as in any live conversation. Independent of rooms.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, cast

from livekit.agents import AgentSession, llm
from livekit.agents.voice import ErrorEvent, SpeechCreatedEvent, SpeechHandle

from agent.plugins.stt import STT, HeardUtterance
from agent.room.agent_session.playout_tap import PlayoutTap, Tapped
from agent.room.agent_session.watched_spans import trace_watched
from pipelines.errors import QuickturnError, ServiceError
from pipelines.events import ChatMessage, Clock, Transcript, TurnEnded
from pipelines.llm.history import Fitted, estimate_tokens
from pipelines.modes import Outcome
from pipelines.stopwatch.ledger import Prices
from pipelines.stopwatch.marks import Playout, Request, Unit
from pipelines.stopwatch.record import LiveKitTimes, TurnHeader, TurnRecord
from pipelines.stopwatch.trace import BargeIns, turn_record, wall_time
from pipelines.stopwatch.turn_marks import ReplyMarks, TurnMarks
from pipelines.turn import FalseStart

_AT_ONCE_S = 0.1
_LIVEKIT_TIMES = ("e2e_latency", "llm_node_ttft", "llm_node_ttfs", "tts_node_ttfb", "playback_latency")
MODE = "agent-session"
"""Stands in a trace where Quickturn's own engine writes the turn mode."""


@dataclass(slots=True, eq=False)
class WatchedReply:
    """One of AgentSession's replies, under way."""

    handle: SpeechHandle
    question: str = ""
    requests: list[Request] = field(default_factory=list)
    units: list[Unit] = field(default_factory=list)
    tapped: Tapped = field(default_factory=Tapped)
    error: QuickturnError | None = None
    discarded_s: float | None = None

    @property
    def playout(self) -> Playout:
        """The marks of its playout."""
        return self.tapped.playout

    @property
    def text(self) -> str:
        """All that the model wrote."""
        return "".join(request.text for request in self.requests)

    def marks(self, transcript: Transcript) -> ReplyMarks:
        """What its record is made of; it answers this transcript."""
        return ReplyMarks(
            self.question,
            transcript,
            self.text,
            self.requests,
            self.units,
            self.playout,
            discarded_s=self.discarded_s,
        )


@dataclass(slots=True)
class _Committed:
    """A turn of the user's that is being answered."""

    text: str
    utterances: list[HeardUtterance]
    at_s: float
    guesses: list[WatchedReply]
    replies: list[WatchedReply]


class TurnWatch:
    """Watches one session; `on_turn` gets the record of each spoken turn that is over."""

    def __init__(self, clock: Clock, prices: Prices, header: TurnHeader, on_turn: Callable[[TurnRecord], None]) -> None:
        """`clock` must be the running loop's; `header` holds what is the same in every record."""
        self._clock = clock
        self._prices = prices
        self._header = header
        self._on_turn = on_turn
        self._session: AgentSession[Any] | None = None
        self._utterances: list[HeardUtterance] = []
        self._ahead: list[WatchedReply] = []  # replies to a turn that is not over
        self._turn: _Committed | None = None
        self._newest: WatchedReply | None = None
        self._barge_ins = BargeIns()
        self._by_handle: dict[str, WatchedReply] = {}  # of the speech that is not done

    def watch(self, session: AgentSession[Any], stt: STT) -> None:
        """Begin, before the session starts."""
        self._session = session
        stt.on("utterance_ended", self._heard)
        session.on("speech_created", self._speech_created)
        session.on("error", self._failed)
        session.on("close", lambda event: self._cut_off())

    def tap(self) -> None:
        """Listen at the session's output, once the session has started."""
        assert self._session is not None
        if (output := self._session.output.audio) is not None:
            self._session.output.audio = PlayoutTap(output, self._clock, self._current_tapped)

    @property
    def is_answering(self) -> bool:
        """Whether a turn is over and its answer is not."""
        return self._turn is not None

    # ------------------------------------------------------------ what the agent tells

    def committed(self, text: str) -> None:
        """AgentSession holds the user's turn for over."""
        self._cut_off()
        alive = [reply for reply in self._ahead if reply.discarded_s is None]
        if self._utterances:
            self._turn = _Committed(text, self._utterances, self._clock(), self._ahead, alive[-1:])
        self._utterances, self._ahead = [], []

    def asked(self, context: llm.ChatContext) -> Request:
        """A request to the LLM goes out."""
        messages = [ChatMessage(m.role, m.text_content or "") for m in context.messages()]
        request = Request(self._clock(), self._header.llm, Fitted(messages, 0, sum(map(estimate_tokens, messages))))
        if self._newest is not None:
            self._newest.requests.append(request)
            self._newest.question = next((m.text for m in reversed(messages) if m.role == "user"), "")
        return request

    def speaks(self, units: list[Unit]) -> None:
        """The newest reply is synthesized; `units` fills as it is."""
        if self._newest is not None:
            self._newest.units = units

    # ------------------------------------------------------------ what the session and its ear tell

    def _heard(self, utterance: HeardUtterance) -> None:
        if utterance.ended.transcript.text:  # a cough is not part of a turn
            self._utterances.append(utterance)

    def _speech_created(self, event: SpeechCreatedEvent) -> None:
        if event.source == "say":
            return  # a greeting: it answers no turn
        reply = self._newest = WatchedReply(event.speech_handle)
        self._by_handle[event.speech_handle.id] = reply
        if self._turn is not None and self._answers(self._turn):
            self._turn.replies.append(reply)
        else:
            self._ahead.append(reply)
        event.speech_handle.add_done_callback(self._speech_done)

    def _answers(self, turn: _Committed) -> bool:
        """Whether a reply created now is one to `turn`, rather than one to what the user says next.

        AgentSession creates it at the commit, at once, unless a reply begun ahead will do.
        """
        if not turn.replies:
            return True
        newest = turn.replies[-1]
        invalidated = newest.handle.interrupted and newest.playout.handed_s is None
        return invalidated and self._clock() - turn.at_s < _AT_ONCE_S

    def _speech_done(self, handle: SpeechHandle) -> None:
        reply = self._by_handle.pop(handle.id)
        turn = self._turn
        if turn is None or reply is not (turn.replies[-1] if turn.replies else None):
            reply.discarded_s = self._clock()
            return
        if handle.interrupted:
            outcome = Outcome.INTERRUPTED
        elif not reply.text.strip() or reply.error is not None:
            outcome = Outcome.FAILED
            reply.error = reply.error or ServiceError("AgentSession gave no answer")
        else:
            outcome = Outcome.TOOL if len(reply.requests) > 1 else Outcome.COMPLETED
        self._finish(reply, outcome)

    def _failed(self, event: ErrorEvent) -> None:
        """A fault of the model or the voice is the newest reply's; one of the recogniser belongs to no reply."""
        if self._newest is not None and event.error.type in ("llm_error", "tts_error") and not event.error.recoverable:
            self._newest.error = ServiceError(str(event.error.error))

    def _current_tapped(self) -> Tapped:
        assert self._session is not None
        handle = self._session.current_speech
        reply = self._by_handle.get(handle.id) if handle else None
        return reply.tapped if reply else Tapped()

    # ------------------------------------------------------------ the record

    def _cut_off(self) -> None:
        """No more comes of the turn that is being answered."""
        if self._turn is not None:
            self._finish(self._turn.replies[-1] if self._turn.replies else None, Outcome.INTERRUPTED)

    def _finish(self, answer: WatchedReply | None, outcome: Outcome) -> None:
        committed, self._turn = self._turn, None
        assert committed is not None
        marks = _marks(committed, answer, outcome)
        first, last = committed.utterances[0], committed.utterances[-1]
        end_s = last.ended.speech_end_s
        told = {
            "speech_end_at": wall_time(end_s, self._clock()),
            "speech_samples": (first.started_samples, last.ended_samples),
            "barge_in_ms": self._barge_ins.ms(marks, first.started_s),
            "livekit": answer and _livekits_own(answer),
        }
        trace = trace_watched(marks, first.started_s, end_s)
        self._on_turn(turn_record(trace, self._header.model_copy(update=told), self._prices))


def _marks(committed: _Committed, answer: WatchedReply | None, outcome: Outcome) -> TurnMarks:
    """What the record of a turn is made of."""
    last = committed.utterances[-1].ended
    final = replace(last.transcript, text=committed.text)
    transcripts = [t for utterance in committed.utterances for t in utterance.transcripts]
    replies = {id(reply): reply.marks(final) for reply in [*committed.guesses, *committed.replies]}
    early = [r for r in committed.guesses if r.requests and r.requests[0].sent_s <= committed.at_s]
    return TurnMarks(
        outcome,
        [*transcripts[:-1], final],
        TurnEnded(final, last.speech_end_s, last.paused_s, committed.at_s),
        committed.at_s,
        early=[replies[id(reply)] for reply in early],
        answer=replies.get(id(answer)),
        heard=_heard(answer) if answer else "",
        cut_s=answer.playout.cut_s if answer and outcome is Outcome.INTERRUPTED else None,
        # It goes on only if no word was understood.
        false_starts=[FalseStart(*pause, "") for pause in answer.tapped.pauses] if answer else [],
        error=answer.error if answer else None,
    )


def _heard(answer: WatchedReply) -> str:
    said = [item for item in answer.handle.chat_items if item.type == "message" and item.role == "assistant"]
    return " ".join(item.text_content or "" for item in said)


def _livekits_own(answer: WatchedReply) -> LiveKitTimes:
    """AgentSession's own times of the last step."""
    reports = [item.metrics for item in answer.handle.chat_items if item.type == "message" and item.role == "assistant"]
    times = cast("Mapping[str, float | None]", reports[-1] if reports else {})
    return LiveKitTimes(**{f"{name}_ms": _ms(times.get(name)) for name in _LIVEKIT_TIMES})


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1_000, 2)
