"""A finished turn's line in the trace: the JSON contract.

It reads what the stages noted and asks them nothing. Times in a trace are ms relative to the true end of the user's
speech: the labelled one of a recording, else the voice activity's own (which is late by its hang-over, and then
`labelled` is false). What tokens came to is `pipelines.stopwatch.ledger`'s.
"""

from collections.abc import Mapping, Sequence

from pipelines.events import FailoverDecision, Transcript
from pipelines.llm.catalogue import Model
from pipelines.reply import Reply
from pipelines.stopwatch.ledger import answer_tokens, speculation_entry, usage_entry
from pipelines.stopwatch.marks import Request, ToolRun, Unit
from pipelines.stopwatch.spans import TurnTrace
from pipelines.stopwatch.timeline import Segment, Span, Stage
from pipelines.turn import FalseStart, Guess, Turn

_LONGEST_RESULT = 300  # characters of a tool's result: a trace is for reading


def turn_document(trace: TurnTrace, prices: Mapping[str, Model]) -> dict[str, object]:
    """The turn's line in the trace, but for what only the caller knows (recording, mode, names, reference).

    `prices` holds the models that may have answered, by catalogue name.
    """
    finished, turn = trace.finished, trace.finished.turn
    reply = turn.answer.reply if turn.answer else None
    shares = path_shares_ms(trace.path)
    return {
        "transcript": turn.ended.transcript.text if turn.ended else "",
        "reply": reply.text if reply else "",
        "heard": finished.heard,
        "outcome": finished.outcome.value,
        "turn_latency_ms": _ms(trace.turn_latency_ms),
        "llm_leg_ms": _ms(shares.get(Stage.LLM_TTFT, 0.0) + shares.get(Stage.LLM_SENTENCE, 0.0))
        if trace.path
        else None,
        "critical_path": [_segment_document(segment, trace) for segment in (*_hidden(trace), *trace.path)],
        "stages": _stages(trace),
        "speculation": speculation_entry(turn, prices),
        "usage": usage_entry(reply, prices) if reply else None,
        "context": _context(reply) if reply else None,
        "failover": [_decision(d, trace) for r in _requests(trace) for d in r.decisions],
        "tools": [_tool_run(run, trace) for r in _requests(trace) for run in r.tool_runs],
        "filler_ms": _filler_ms(trace),
        "cut_ms": _at_ms(finished.cut_s, trace),
        "resumed_ms": [_at_ms(resumed_s, trace) for resumed_s in turn.resumed_s],
        "false_starts": [_false_start(f, trace) for f in turn.false_starts],
        "starved_ms": _ms(reply.playout.starved_ms) if reply else None,
        "error": str(finished.error) if finished.error else None,
        "transcripts": [_transcript(t, trace) for t in turn.transcripts],
        "requests": [_request(request, guess, trace) for guess in _guesses(turn) for request in guess.reply.requests],
        "units": [_unit(unit, trace) for unit in reply.units] if reply else [],
        "spans": [_span_document(span, trace) for span in trace.timeline.spans.values()],
    }


def path_shares_ms(path: Sequence[Segment]) -> dict[Stage, float]:
    """Milliseconds of the critical path by stage."""
    shares: dict[Stage, float] = {}
    for segment in path:
        shares[segment.stage] = shares.get(segment.stage, 0.0) + segment.ms
    return shares


_NEVER_ON_PATH = {Stage.SPEECH, Stage.LLM_REST, Stage.AGENT_SPEECH}


def _hidden(trace: TurnTrace) -> list[Segment]:
    """The stages that worked for the answer without anybody waiting for them: each shows 0, at the end of speech."""
    worked = dict.fromkeys(span.stage for span in trace.timeline.spans.values() if not span.discarded)
    shown = {segment.stage for segment in trace.path}
    hidden = [stage for stage in worked if stage not in shown | _NEVER_ON_PATH]
    return [Segment(stage, trace.origin_s, trace.origin_s) for stage in hidden] if trace.path else []


def _segment_document(segment: Segment, trace: TurnTrace) -> dict[str, object]:
    return {
        "stage": segment.stage.value,
        "ms": _ms(segment.ms),
        "start_ms": _ms((segment.start_s - trace.origin_s) * 1_000),
        "end_ms": _ms((segment.end_s - trace.origin_s) * 1_000),
    }


def _span_document(span: Span, trace: TurnTrace) -> dict[str, object]:
    return {
        "id": span.span_id,
        "stage": span.stage.value,
        "label": span.label,
        "start_ms": _ms((span.start_s - trace.origin_s) * 1_000),
        "end_ms": _ms((span.end_s - trace.origin_s) * 1_000),
        "after": list(span.after),
        "critical_ms": _ms(sum(s.ms for s in trace.path if s.span_id == span.span_id)),
        "discarded": span.discarded,
    }


def _stages(trace: TurnTrace) -> dict[str, float | None]:
    turn = trace.finished.turn
    reply = turn.answer.reply if turn.answer else None
    request = reply.requests[-1] if reply and reply.requests else None
    unit = reply.units[0] if reply and reply.units else None
    playout = reply.playout if reply else None
    final = turn.ended.transcript if turn.ended else None
    return {
        "endpointing_ms": _between(trace.origin_s, turn.ended.endpoint_s) if turn.ended else None,
        "stt_final_ms": _between(final.started_s, final.ready_s) if final else None,
        "llm_ttft_ms": _between(request.sent_s, request.first_token_s) if request else None,
        "llm_first_sentence_ms": _between(request.sent_s, request.first_unit_s) if request else None,
        "llm_tokens_per_s": _tokens_per_s(request) if request else None,
        "tts_ttfb_ms": _between(unit.tts_started_s, unit.first_pcm_s) if unit else None,
        "leading_silence_ms": _between(playout.started_s, playout.audible_s) if playout else None,
    }


def _tokens_per_s(request: Request) -> float | None:
    if request.first_token_s is None or request.last_token_s is None or request.last_token_s <= request.first_token_s:
        return None
    return round((answer_tokens(request) - 1) / (request.last_token_s - request.first_token_s), 1)


# ---------------------------------------------------------------- what the stages did


def _guesses(turn: Turn) -> list[Guess]:
    """All replies that were begun, the answer last."""
    return [guess for guess in turn.guesses if guess is not turn.answer] + ([turn.answer] if turn.answer else [])


def _requests(trace: TurnTrace) -> list[Request]:
    """The requests of the answer."""
    answer = trace.finished.turn.answer
    return answer.reply.requests if answer else []


def _context(reply: Reply) -> dict[str, object] | None:
    """How much of the conversation the last request held; turns are dropped from the front, and whole."""
    if not reply.requests:
        return None
    fitted = reply.requests[-1].context
    return {"dropped_turns": fitted.dropped_turns, "estimated_tokens": fitted.estimated_tokens}


def _decision(decision: FailoverDecision, trace: TurnTrace) -> dict[str, object]:
    return {
        "at_ms": _at_ms(decision.at_s, trace),
        "action": decision.action.value,
        "llm": decision.llm,
        "reason": decision.reason,
    }


def _tool_run(run: ToolRun, trace: TurnTrace) -> dict[str, object]:
    return {
        "name": run.call.name,
        "arguments": run.call.arguments_json,
        "result": run.result[:_LONGEST_RESULT],
        "failed": run.failed,
        "read_only": run.read_only,
        "on_a_guess": run.on_a_guess,
        "start_ms": _at_ms(run.started_s, trace),
        "ms": _between(run.started_s, run.ended_s),
    }


def _filler_ms(trace: TurnTrace) -> float | None:
    """When the agent said that it takes a moment."""
    said = [r.filler_s for r in _requests(trace) if r.filler_s is not None]
    return _at_ms(said[0], trace) if said else None


def _false_start(start: FalseStart, trace: TurnTrace) -> dict[str, object]:
    return {
        "paused_ms": _at_ms(start.paused_s, trace),
        "resumed_ms": _at_ms(start.resumed_s, trace),
        "heard": start.heard,
    }


def _transcript(transcript: Transcript, trace: TurnTrace) -> dict[str, object]:
    return {
        "text": transcript.text,
        "stable_text": transcript.stable_text,
        "final": transcript.is_final,
        "start_ms": _at_ms(transcript.started_s, trace),
        "ready_ms": _at_ms(transcript.ready_s, trace),
        "end_probability": _rounded(transcript.end_probability),
    }


def _request(request: Request, guess: Guess, trace: TurnTrace) -> dict[str, object]:
    return {
        "llm": request.llm,
        "question": guess.reply.question,
        "discarded": guess is not trace.finished.turn.answer,
        "sent_ms": _at_ms(request.sent_s, trace),
        "first_token_ms": _at_ms(request.first_token_s, trace),
        "first_unit_ms": _at_ms(request.first_unit_s, trace),
        "end_ms": _at_ms(request.ended_s, trace),
        "first_unit_tokens": request.first_unit_deltas,
        "answer_tokens": answer_tokens(request),
        "prompt_tokens": request.usage.prompt_tokens if request.usage else None,
        "completion_tokens": request.usage.completion_tokens if request.usage else None,
        "reasoning_tokens": request.usage.reasoning_tokens if request.usage else None,
        "cached_tokens": request.usage.cached_tokens if request.usage else None,
        "broken": request.broken,
    }


def _unit(unit: Unit, trace: TurnTrace) -> dict[str, object]:
    return {
        "text": unit.text,
        "start_ms": _at_ms(unit.tts_started_s, trace),
        "first_pcm_ms": _at_ms(unit.first_pcm_s, trace),
        "end_ms": _at_ms(unit.tts_ended_s, trace),
    }


def _at_ms(at_s: float | None, trace: TurnTrace) -> float | None:
    return None if at_s is None else _ms((at_s - trace.origin_s) * 1_000)


def _rounded(probability: float | None) -> float | None:
    return None if probability is None else round(probability, 3)


def _between(start_s: float | None, end_s: float | None) -> float | None:
    return None if start_s is None or end_s is None else _ms((end_s - start_s) * 1_000)


def _ms(value: float | None) -> float | None:
    return None if value is None else round(value, 2)
