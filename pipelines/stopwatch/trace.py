"""The writer of records: a finished turn of any engine becomes its `TurnRecord`.

It reads what the stages noted and asks them nothing. Times count from the true end of the user's speech: the labelled
one of a recording, else the voice activity's own (which is late by its hang-over, and then `labelled` is false). What
tokens came to is `pipelines.stopwatch.ledger`'s.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from pipelines.events import FailoverDecision, Transcript
from pipelines.modes import Outcome
from pipelines.stopwatch.ledger import Prices, answer_tokens, speculation_of, usage_of
from pipelines.stopwatch.marks import Request, ToolRun, Unit
from pipelines.stopwatch.record import (
    ContextSize,
    FailoverRecord,
    FalseStartRecord,
    PathSegment,
    RequestRecord,
    SpanRecord,
    StageTimes,
    ToolRecord,
    TranscriptRecord,
    TurnHeader,
    TurnRecord,
    UnitRecord,
)
from pipelines.stopwatch.spans import TurnTrace
from pipelines.stopwatch.timeline import Segment, Span, Stage
from pipelines.stopwatch.turn_marks import ReplyMarks, TurnMarks
from pipelines.turn import FalseStart

_LONGEST_RESULT = 300  # characters of a tool's result: a trace is for reading


def turn_record(trace: TurnTrace, header: TurnHeader, prices: Prices) -> TurnRecord:
    """The turn's record; `prices` holds the models that may have answered, by catalogue name."""
    marks, reply = trace.marks, trace.marks.answer
    requests = reply.requests if reply else ()
    return TurnRecord(
        **dict(header),
        transcript=marks.ended.transcript.text if marks.ended else "",
        reply=reply.text if reply else "",
        heard=marks.heard,
        outcome=marks.outcome,
        turn_latency_ms=_ms(trace.turn_latency_ms),
        llm_leg_ms=_llm_leg_ms(trace.path),
        critical_path=tuple(_segment(segment, trace) for segment in (*_hidden(trace), *trace.path)),
        stages=_stages(trace),
        speculation=speculation_of(trace, prices),
        usage=usage_of(reply, prices) if reply else None,
        context=_context(requests),
        failover=tuple(_decision(d, trace) for r in requests for d in r.decisions),
        tools=tuple(_tool_run(run, trace) for r in requests for run in r.tool_runs),
        filler_ms=_filler_ms(requests, trace),
        cut_ms=_at_ms_or_none(marks.cut_s, trace),
        resumed_ms=tuple(_at_ms(resumed_s, trace) for resumed_s in marks.resumed_s),
        false_starts=tuple(_false_start(f, trace) for f in marks.false_starts),
        starved_ms=_ms(marks.starved_ms),
        error=str(marks.error) if marks.error else None,
        transcripts=tuple(_transcript(t, trace) for t in marks.transcripts),
        requests=tuple(_request(request, begun, trace) for begun in _replies(marks) for request in begun.requests),
        units=tuple(_unit(unit, trace) for unit in reply.units) if reply else (),
        spans=tuple(_span(span, trace) for span in trace.timeline.spans.values()),
    )


def wall_time(at_s: float, now_s: float) -> str:
    """A moment of process time by the wall clock, ISO 8601 in UTC; `now_s` is the process time at present."""
    return (datetime.now(UTC) - timedelta(seconds=now_s - at_s)).isoformat(timespec="milliseconds")


class BargeIns:
    """How far into an answer its interruption began. It takes each turn in order."""

    def __init__(self) -> None:
        self._answered_s: float | None = None  # when the newest answer that was interrupted had become audible

    def ms(self, marks: TurnMarks, speech_start_s: float) -> int | None:
        """For a turn that began then, in ms; None if it interrupted nothing."""
        answered_s = self._answered_s
        interrupted = marks.answer if marks.outcome is Outcome.INTERRUPTED else None
        self._answered_s = interrupted.playout.audible_s if interrupted else None
        return None if answered_s is None else round((speech_start_s - answered_s) * 1_000)


# ---------------------------------------------------------------- the critical path

_NEVER_ON_PATH = {Stage.SPEECH, Stage.LLM_REST, Stage.AGENT_SPEECH}
_LLM_LEG = {Stage.LLM_TTFT, Stage.LLM_SENTENCE}


def _llm_leg_ms(path: Sequence[Segment]) -> float | None:
    return _ms(sum(segment.ms for segment in path if segment.stage in _LLM_LEG)) if path else None


def _hidden(trace: TurnTrace) -> list[Segment]:
    """The stages that worked for the answer without being waited for: each shows 0, at the end of speech."""
    worked = dict.fromkeys(span.stage for span in trace.timeline.spans.values() if not span.discarded)
    shown = {segment.stage for segment in trace.path}
    hidden = [stage for stage in worked if stage not in shown | _NEVER_ON_PATH]
    return [Segment(stage, trace.origin_s, trace.origin_s) for stage in hidden] if trace.path else []


def _segment(segment: Segment, trace: TurnTrace) -> PathSegment:
    return PathSegment(
        stage=segment.stage,
        ms=round(segment.ms, 2),
        start_ms=_at_ms(segment.start_s, trace),
        end_ms=_at_ms(segment.end_s, trace),
    )


def _span(span: Span, trace: TurnTrace) -> SpanRecord:
    return SpanRecord(
        id=span.span_id,
        stage=span.stage,
        label=span.label,
        start_ms=_at_ms(span.start_s, trace),
        end_ms=_at_ms(span.end_s, trace),
        after=span.after,
        critical_ms=round(sum(s.ms for s in trace.path if s.span_id == span.span_id), 2),
        discarded=span.discarded,
    )


def _stages(trace: TurnTrace) -> StageTimes:
    ended, reply = trace.marks.ended, trace.marks.answer
    request = reply.requests[-1] if reply and reply.requests else None
    unit = reply.units[0] if reply and reply.units else None
    return StageTimes(
        endpointing_ms=_between(trace.origin_s, ended.endpoint_s) if ended else None,
        stt_final_ms=_between(ended.transcript.started_s, ended.transcript.ready_s) if ended else None,
        llm_ttft_ms=_between(request.sent_s, request.first_token_s) if request else None,
        llm_first_sentence_ms=_between(request.sent_s, request.first_unit_s) if request else None,
        llm_tokens_per_s=_tokens_per_s(request) if request else None,
        tts_ttfb_ms=_between(unit.tts_started_s, unit.first_pcm_s) if unit else None,
        leading_silence_ms=_between(reply.playout.started_s, reply.playout.audible_s) if reply else None,
    )


def _tokens_per_s(request: Request) -> float | None:
    if request.first_token_s is None or request.last_token_s is None or request.last_token_s <= request.first_token_s:
        return None
    return round((answer_tokens(request) - 1) / (request.last_token_s - request.first_token_s), 1)


# ---------------------------------------------------------------- what the stages did


def _replies(marks: TurnMarks) -> list[ReplyMarks]:
    """All replies that were begun, the answer last."""
    return marks.discards + ([marks.answer] if marks.answer else [])


def _context(requests: Sequence[Request]) -> ContextSize | None:
    """How much of the conversation the last request held; whole turns are dropped from the front."""
    if not requests:
        return None
    fitted = requests[-1].context
    return ContextSize(dropped_turns=fitted.dropped_turns, estimated_tokens=fitted.estimated_tokens)


def _decision(decision: FailoverDecision, trace: TurnTrace) -> FailoverRecord:
    at_ms = _at_ms(decision.at_s, trace)
    return FailoverRecord(at_ms=at_ms, action=decision.action, llm=decision.llm, reason=decision.reason)


def _tool_run(run: ToolRun, trace: TurnTrace) -> ToolRecord:
    return ToolRecord(
        name=run.call.name,
        arguments=run.call.arguments_json,
        result=run.result[:_LONGEST_RESULT],
        failed=run.failed,
        read_only=run.read_only,
        on_a_guess=run.on_a_guess,
        start_ms=_at_ms(run.started_s, trace),
        ms=_between(run.started_s, run.ended_s),
    )


def _filler_ms(requests: Sequence[Request], trace: TurnTrace) -> float | None:
    """When the agent said that it would take a moment."""
    return next((_at_ms(r.filler_s, trace) for r in requests if r.filler_s is not None), None)


def _false_start(start: FalseStart, trace: TurnTrace) -> FalseStartRecord:
    paused_ms, resumed_ms = _at_ms(start.paused_s, trace), _at_ms(start.resumed_s, trace)
    return FalseStartRecord(paused_ms=paused_ms, resumed_ms=resumed_ms, heard=start.heard)


def _transcript(transcript: Transcript, trace: TurnTrace) -> TranscriptRecord:
    probability = transcript.end_probability
    return TranscriptRecord(
        text=transcript.text,
        stable_text=transcript.stable_text,
        final=transcript.is_final,
        start_ms=_at_ms(transcript.started_s, trace),
        ready_ms=_at_ms(transcript.ready_s, trace),
        end_probability=None if probability is None else round(probability, 3),
    )


def _request(request: Request, reply: ReplyMarks, trace: TurnTrace) -> RequestRecord:
    usage = request.usage
    return RequestRecord(
        llm=request.llm,
        question=reply.question,
        discarded=reply is not trace.marks.answer,
        sent_ms=_at_ms(request.sent_s, trace),
        first_token_ms=_at_ms_or_none(request.first_token_s, trace),
        first_unit_ms=_at_ms_or_none(request.first_unit_s, trace),
        end_ms=_at_ms_or_none(request.ended_s, trace),
        first_unit_tokens=request.first_unit_deltas,
        answer_tokens=answer_tokens(request),
        prompt_tokens=usage.prompt_tokens if usage else None,
        completion_tokens=usage.completion_tokens if usage else None,
        reasoning_tokens=usage.reasoning_tokens if usage else None,
        cached_tokens=usage.cached_tokens if usage else None,
        broken=request.broken,
    )


def _unit(unit: Unit, trace: TurnTrace) -> UnitRecord:
    return UnitRecord(
        text=unit.text,
        start_ms=_at_ms(unit.tts_started_s, trace),
        first_pcm_ms=_at_ms_or_none(unit.first_pcm_s, trace),
        end_ms=_at_ms_or_none(unit.tts_ended_s, trace),
    )


# ---------------------------------------------------------------- process time -> ms


def _at_ms(at_s: float, trace: TurnTrace) -> float:
    return round((at_s - trace.origin_s) * 1_000, 2)


def _at_ms_or_none(at_s: float | None, trace: TurnTrace) -> float | None:
    return None if at_s is None else _at_ms(at_s, trace)


def _between(start_s: float | None, end_s: float | None) -> float | None:
    return None if start_s is None or end_s is None else _ms((end_s - start_s) * 1_000)


def _ms(value: float | None) -> float | None:
    return None if value is None else round(value, 2)
