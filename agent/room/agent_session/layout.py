"""A watched turn as spans with its critical path. What AgentSession does differs from our own engine in one thing: a
reply begun ahead may wait for the end of the turn between the LLM and the synthesizer.
"""

from pipelines.stopwatch.marks import Playout, Request
from pipelines.stopwatch.spans import TurnTrace
from pipelines.stopwatch.timeline import Stage, Timeline, critical_path
from pipelines.stopwatch.turn_marks import ReplyMarks, TurnMarks


def trace_watched(marks: TurnMarks, speech_start_s: float, speech_end_s: float) -> TurnTrace:
    """Lay out the spans and walk the critical path back to `speech_end_s`."""
    trace = TurnTrace(marks, speech_end_s, saved_ms=_saved_ms(marks))
    timeline = trace.timeline
    timeline.add(Stage.SPEECH, speech_start_s, speech_end_s)
    over, known = _hearing(marks, timeline)
    for reply in marks.discards:
        _reply(reply, timeline, known, over)
    if marks.answer is None:
        return trace
    ready = _reply(marks.answer, timeline, known, over)
    last = _playout(marks.answer.playout, timeline, [ready, over], marks.cut_s)
    if last is not None and timeline.spans[last].end_s > speech_end_s:
        trace.path = critical_path(timeline.spans, last, speech_end_s)
        trace.turn_latency_ms = (timeline.spans[last].end_s - speech_end_s) * 1_000
    return trace


def _saved_ms(marks: TurnMarks) -> float:
    """The work on the answer that was done by the commit."""
    answer, committed_s = marks.answer, marks.committed_s
    if not marks.hit or answer is None or committed_s is None or not answer.requests:
        return 0.0
    request, units = answer.requests[0], answer.units
    worked_s = min(request.first_unit_s or committed_s, committed_s) - request.sent_s
    if units and units[0].tts_started_s < committed_s:
        worked_s = min(units[0].first_pcm_s or committed_s, committed_s) - request.sent_s
    return max(0.0, worked_s) * 1_000


def _hearing(turn: TurnMarks, timeline: Timeline) -> tuple[int | None, list[tuple[float, int]]]:
    """The span of the end of the turn, and those of the transcripts, each with when it was there."""
    noticed = over = None
    if (ended := turn.ended) is not None:
        noticed = timeline.add(Stage.ENDPOINT, ended.speech_end_s, ended.paused_s, label="silence noticed")
        over = timeline.add(Stage.ENDPOINT, ended.speech_end_s, ended.endpoint_s, label="end of turn")
    known = []
    for transcript in turn.transcripts:
        in_pause = turn.ended is not None and transcript.started_s >= turn.ended.paused_s
        span = timeline.add(
            Stage.STT,
            transcript.started_s,
            transcript.ready_s,
            after=[noticed if in_pause else None],
            label="final" if transcript.is_final else "partial",
        )
        known.append((transcript.ready_s, span))
    return over, known


def _reply(reply: ReplyMarks, timeline: Timeline, known: list[tuple[float, int]], over: int | None) -> int | None:
    """Spans of the LLM and the synthesizer; returns the one in which the first speech became ready."""
    gone = reply.discarded_s is not None
    after = _told_by(reply.requests[0].sent_s, timeline, known, over) if reply.requests else []
    sentence: int | None = None
    for request in reply.requests:
        sentence = _request(request, timeline, after, reply.discarded_s)
        after = [sentence]
    ready: int | None = None
    for number, unit in enumerate(reply.units):
        end_s = unit.first_pcm_s or reply.discarded_s or unit.tts_started_s
        waited = _over_by(unit.tts_started_s, timeline, over)
        span = timeline.add(
            Stage.TTS,
            unit.tts_started_s,
            end_s,
            after=[sentence, *waited],
            label=f"unit {number + 1}",
            discarded=gone,
        )
        ready = span if ready is None else ready
    return ready


def _request(request: Request, timeline: Timeline, after: list[int | None], discarded_s: float | None) -> int:
    over_s = request.ended_s or discarded_s or request.last_token_s or request.sent_s
    first_s = request.first_token_s or over_s
    unit_s = request.first_unit_s or over_s
    gone = discarded_s is not None
    ttft = timeline.add(Stage.LLM_TTFT, request.sent_s, first_s, after=after, discarded=gone)
    sentence = timeline.add(Stage.LLM_SENTENCE, first_s, unit_s, after=[ttft], discarded=gone)
    if over_s > unit_s:
        timeline.add(Stage.LLM_REST, unit_s, over_s, after=[sentence], discarded=gone)
    return sentence


def _told_by(at_s: float, timeline: Timeline, known: list[tuple[float, int]], over: int | None) -> list[int | None]:
    """What a request that was sent then waited for: the end of the turn, or the newest transcript before it."""
    told: list[int | None] = [span for ready_s, span in known if ready_s <= at_s]
    return _over_by(at_s, timeline, over) or told[-1:]


def _over_by(at_s: float, timeline: Timeline, over: int | None) -> list[int | None]:
    return [over] if over is not None and timeline.spans[over].end_s <= at_s else []


def _playout(playout: Playout, timeline: Timeline, inputs: list[int | None], cut_s: float | None) -> int | None:
    """Spans from the hand-over to the output on; the one that ends at the first audible sample, if it was heard."""
    if playout.handed_s is None or playout.started_s is None or playout.audible_s is None:
        return None
    if cut_s is not None and playout.audible_s > cut_s:
        return None
    output = timeline.add(Stage.OUTPUT, playout.handed_s, max(playout.handed_s, playout.started_s), after=inputs)
    silence = timeline.add(Stage.LEADING_SILENCE, playout.started_s, playout.audible_s, after=[output])
    end_s = playout.played[-1].end_s if playout.played else playout.audible_s
    timeline.add(Stage.AGENT_SPEECH, playout.audible_s, min(end_s, cut_s or end_s), after=[silence])
    return silence
