"""A watched turn as spans with its critical path. What AgentSession does differs from our own engine in one thing: a
reply begun ahead may wait for the end of the turn between the LLM and the synthesizer.
"""

from pipelines.stopwatch.spans import TurnTrace, playout_spans, request_spans
from pipelines.stopwatch.timeline import Stage, Timeline
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
    trace.walk_back(playout_spans(marks.answer.playout, timeline, [ready, over], marks.cut_s))
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
        sentence, _ = request_spans(request, timeline, after, reply.discarded_s)
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


def _told_by(at_s: float, timeline: Timeline, known: list[tuple[float, int]], over: int | None) -> list[int | None]:
    """What a request that was sent then waited for: the end of the turn, or the newest transcript before it."""
    told: list[int | None] = [span for ready_s, span in known if ready_s <= at_s]
    return _over_by(at_s, timeline, over) or told[-1:]


def _over_by(at_s: float, timeline: Timeline, over: int | None) -> list[int | None]:
    return [over] if over is not None and timeline.spans[over].end_s <= at_s else []
