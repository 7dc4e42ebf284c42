"""From a finished turn to its spans and its critical path.

It reads what the stages noted and asks them nothing. The origin of a turn is the true end of the user's speech.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from pipelines.events import Transcript, TurnEnded
from pipelines.stopwatch.marks import Playout, Request
from pipelines.stopwatch.timeline import Segment, Stage, Timeline, critical_path
from pipelines.stopwatch.turn_marks import ReplyMarks, TurnMarks


@dataclass(slots=True)
class TurnTrace:
    """A finished turn as spans in process time.

    `saved_ms` is what its answer would have cost more, had its request been sent at the commit.
    """

    marks: TurnMarks
    origin_s: float
    timeline: Timeline = field(default_factory=Timeline)
    path: list[Segment] = field(default_factory=list)
    turn_latency_ms: float | None = None
    saved_ms: float = 0.0

    def walk_back(self, last: int | None) -> None:
        """Find the critical path, from span `last`, which ends at the first audible sample, back to the origin."""
        spans = self.timeline.spans
        if last is not None and spans[last].end_s > self.origin_s:
            self.path = critical_path(spans, last, self.origin_s)
            self.turn_latency_ms = (spans[last].end_s - self.origin_s) * 1_000


def trace_turn(marks: TurnMarks, speech_start_s: float, speech_end_s: float) -> TurnTrace:
    """Lay out the spans of a turn and walk its critical path back to `speech_end_s`, the true end of speech."""
    trace = TurnTrace(marks, speech_end_s, saved_ms=_saved_ms(marks))
    timeline, answer = trace.timeline, marks.answer
    timeline.add(Stage.SPEECH, speech_start_s, speech_end_s)
    heard = _hearing_spans(marks, timeline)
    for reply in marks.discards:
        _reply_spans(reply, timeline, [heard.get(id(reply.transcript))], reply.discarded_s or marks.cut_s)
    if answer is None:
        return trace
    known = [heard.get(id(answer.transcript))] if marks.hit else [heard.get(_ENDPOINT), heard.get(_FINAL)]
    ready = _reply_spans(answer, timeline, known, None)
    last = playout_spans(answer.playout, timeline, [ready, heard.get(_ENDPOINT), heard.get(_FINAL)], marks.cut_s)
    trace.walk_back(last)
    return trace


def _saved_ms(marks: TurnMarks) -> float:
    answer, committed_s = marks.answer, marks.committed_s
    if not marks.hit or answer is None or committed_s is None or not answer.units:
        return 0.0
    sent_s, ready_s = answer.requests[0].sent_s, answer.units[0].first_pcm_s
    if ready_s is None:
        return 0.0
    return max(0.0, min(ready_s - sent_s, committed_s - sent_s)) * 1_000


_ENDPOINT, _FINAL = -1, -2


def _hearing_spans(turn: TurnMarks, timeline: Timeline) -> dict[int, int]:
    """Spans of endpointing and recognition, by the id of their transcript, or `_ENDPOINT` or `_FINAL`."""
    ids: dict[int, int] = {}
    noticed = None
    if turn.ended is not None:
        end = turn.ended
        noticed = timeline.add(Stage.ENDPOINT, end.speech_end_s, end.paused_s, label="silence noticed")
        ids[_ENDPOINT] = timeline.add(Stage.ENDPOINT, end.speech_end_s, end.endpoint_s, label="end of turn")
    for transcript in turn.transcripts:
        waited_for = _waited_for(transcript, turn.ended, noticed, ids.get(_ENDPOINT))
        asked_s = transcript.started_s if waited_for is None else timeline.spans[waited_for].end_s
        ids[id(transcript)] = timeline.add(
            Stage.STT,
            # What the recogniser did first, an older decode say, is its time too.
            min(asked_s, transcript.started_s),
            transcript.ready_s,
            after=[waited_for],
            label="final" if transcript.is_final else "partial",
        )
    if turn.ended is not None:
        ids[_FINAL] = ids[id(turn.ended.transcript)]
    return ids


def _waited_for(transcript: Transcript, ended: TurnEnded | None, noticed: int | None, over: int | None) -> int | None:
    """What a decode waited for: the end of the turn, the silence that announced it, or (while the user spoke)
    nothing.
    """
    if ended is None or transcript.started_s < ended.paused_s:
        return None
    return over if transcript.started_s >= ended.endpoint_s else noticed


def _reply_spans(
    reply: ReplyMarks, timeline: Timeline, known: Sequence[int | None], discarded_s: float | None
) -> int | None:
    """Spans of the LLM, tools and TTS; returns the one in which the first speech became ready."""
    gone = discarded_s is not None
    last = known
    sentences: list[tuple[float, int]] = []  # when each request handed over its first unit, and the span of that
    for request in reply.requests:
        sentence, last = request_spans(request, timeline, last, discarded_s)
        if request.first_unit_s is not None:
            sentences.append((request.first_unit_s, sentence))
    ready: int | None = None
    for number, unit in enumerate(reply.units):
        first_pcm_s = unit.first_pcm_s if reply.streamed else unit.tts_ended_s
        end_s = first_pcm_s or discarded_s or unit.tts_started_s
        told = [sentence for at_s, sentence in sentences if at_s <= unit.tts_started_s]
        after = [ready] if number and not reply.streamed else told[-1:] or known  # a filler waits for no sentence
        span = timeline.add(
            Stage.TTS, unit.tts_started_s, end_s, after=after, label=f"unit {number + 1}", discarded=gone
        )
        if ready is None or not reply.streamed:
            ready = span
    return ready


def request_spans(
    request: Request, timeline: Timeline, known: Sequence[int | None], discarded_s: float | None
) -> tuple[int, list[int | None]]:
    """Spans of one request and its tools; returns that of its first sentence, and what the next request waits for."""
    gone = discarded_s is not None
    over_s = request.ended_s or discarded_s or request.last_token_s or request.sent_s
    first_s = request.first_token_s or over_s
    ttft = timeline.add(Stage.LLM_TTFT, request.sent_s, first_s, after=known, discarded=gone)
    unit_s = request.first_unit_s or over_s
    sentence = timeline.add(Stage.LLM_SENTENCE, first_s, unit_s, after=[ttft], discarded=gone)
    if over_s > unit_s:
        timeline.add(Stage.LLM_REST, unit_s, over_s, after=[sentence], discarded=gone)
    if request.tools_ended_s is None:
        return sentence, [sentence]
    return sentence, [timeline.add(Stage.TOOL, over_s, request.tools_ended_s, after=[sentence])]


def playout_spans(
    playout: Playout, timeline: Timeline, inputs: Sequence[int | None], cut_s: float | None
) -> int | None:
    """Spans from the hand-over to the output on; returns the one that ends at the first audible sample, if it was
    heard.
    """
    if playout.handed_s is None or playout.started_s is None or playout.audible_s is None:
        return None
    if cut_s is not None and playout.audible_s > cut_s:
        return None
    output = timeline.add(Stage.OUTPUT, playout.handed_s, max(playout.handed_s, playout.started_s), after=inputs)
    silence = timeline.add(Stage.LEADING_SILENCE, playout.started_s, playout.audible_s, after=[output])
    end_s = playout.played[-1].end_s if playout.played else playout.audible_s
    timeline.add(Stage.AGENT_SPEECH, playout.audible_s, min(end_s, cut_s or end_s), after=[silence])
    return silence
