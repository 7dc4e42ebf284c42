"""From a finished turn to its spans, its critical path and its line in the trace (the JSON contract).

It reads what the stages noted and asks them nothing. Times in a trace are ms relative to the true end of the user's
speech: the labelled one of a recording, else the voice activity's own (which is late by its hang-over, and then
`labelled` is false).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from pipelines.events import Transcript, Usage
from pipelines.listening import TurnEnded
from pipelines.llm.catalogue import Model
from pipelines.llm.history import CHARACTERS_PER_TOKEN
from pipelines.marks import Request
from pipelines.reply import Reply
from pipelines.session import TurnFinished
from pipelines.timeline import Segment, Span, Stage, Timeline, critical_path
from pipelines.turn import Guess, Turn


@dataclass(slots=True)
class TurnTrace:
    """A finished turn as spans in process time."""

    finished: TurnFinished
    origin_s: float
    timeline: Timeline = field(default_factory=Timeline)
    path: list[Segment] = field(default_factory=list)
    turn_latency_ms: float | None = None


def trace_turn(finished: TurnFinished, speech_start_s: float, speech_end_s: float) -> TurnTrace:
    """Lay out the spans of a turn and walk its critical path back to `speech_end_s`, the true end of speech."""
    trace = TurnTrace(finished, speech_end_s)
    turn, timeline = finished.turn, trace.timeline
    timeline.add(Stage.SPEECH, speech_start_s, speech_end_s)
    heard = _hearing_spans(turn, timeline)
    for guess in turn.guesses:
        if guess is not turn.answer:
            _reply_spans(guess, timeline, [heard.get(id(guess.transcript))], guess.discarded_s or finished.cut_s)
    if turn.answer is None:
        return trace
    known = [heard.get(id(turn.answer.transcript))] if turn.hit else [heard.get(_ENDPOINT), heard.get(_FINAL)]
    ready = _reply_spans(turn.answer, timeline, known, None)
    last = _playout_spans(turn.answer.reply, timeline, [ready, heard.get(_ENDPOINT), heard.get(_FINAL)], finished.cut_s)
    if last is not None and timeline.spans[last].end_s > speech_end_s:
        trace.path = critical_path(timeline.spans, last, speech_end_s)
        trace.turn_latency_ms = (timeline.spans[last].end_s - speech_end_s) * 1_000
    return trace


_ENDPOINT, _FINAL = -1, -2


def _hearing_spans(turn: Turn, timeline: Timeline) -> dict[int, int]:
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
    guess: Guess, timeline: Timeline, known: Sequence[int | None], discarded_s: float | None
) -> int | None:
    """Spans of the LLM, tools and TTS; returns the one in which the first speech became ready."""
    gone = discarded_s is not None
    reply, last = guess.reply, known
    for request in reply.requests:
        last = _request_spans(request, timeline, last, discarded_s)
    ready: int | None = None
    for number, unit in enumerate(reply.units):
        first_pcm_s = unit.first_pcm_s if reply.streamed else unit.tts_ended_s
        end_s = first_pcm_s or discarded_s or unit.tts_started_s
        after = last if number == 0 or reply.streamed else [ready]
        span = timeline.add(
            Stage.TTS, unit.tts_started_s, end_s, after=after, label=f"unit {number + 1}", discarded=gone
        )
        if ready is None or not reply.streamed:
            ready = span
    return ready


def _request_spans(
    request: Request, timeline: Timeline, known: Sequence[int | None], discarded_s: float | None
) -> list[int | None]:
    gone = discarded_s is not None
    over_s = request.ended_s or discarded_s or request.last_token_s or request.sent_s
    first_s = request.first_token_s or over_s
    ttft = timeline.add(Stage.LLM_TTFT, request.sent_s, first_s, after=known, discarded=gone)
    unit_s = request.first_unit_s or over_s
    sentence = timeline.add(Stage.LLM_SENTENCE, first_s, unit_s, after=[ttft], discarded=gone)
    if over_s > unit_s:
        timeline.add(Stage.LLM_REST, unit_s, over_s, after=[sentence], discarded=gone)
    if request.tools_ended_s is None:
        return [sentence]
    return [timeline.add(Stage.TOOL, over_s, request.tools_ended_s, after=[sentence])]


def _playout_spans(reply: Reply, timeline: Timeline, inputs: Sequence[int | None], cut_s: float | None) -> int | None:
    """Spans from the hand-over to the output on; returns the one that ends at the first audible sample, if it was
    heard.
    """
    playout = reply.playout
    if playout.handed_s is None or playout.started_s is None or playout.audible_s is None:
        return None
    if cut_s is not None and playout.audible_s > cut_s:
        return None
    output = timeline.add(Stage.OUTPUT, playout.handed_s, playout.started_s, after=inputs)
    silence = timeline.add(Stage.LEADING_SILENCE, playout.started_s, playout.audible_s, after=[output])
    end_s = playout.played[-1].end_s
    timeline.add(Stage.AGENT_SPEECH, playout.audible_s, min(end_s, cut_s or end_s), after=[silence])
    return silence


# ---------------------------------------------------------------- the JSON contract


def turn_document(trace: TurnTrace, model: Model) -> dict[str, object]:
    """The turn's line in the trace, but for what only the caller knows (recording, mode, names, reference)."""
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
        "speculation": _speculation(trace, model),
        "usage": _usage(reply, model),
        "starved_ms": _ms(reply.playout.starved_ms) if reply else None,
        "error": str(finished.error) if finished.error else None,
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
    return round((_answer_tokens(request) - 1) / (request.last_token_s - request.first_token_s), 1)


def _answer_tokens(request: Request) -> int:
    """Completion tokens without reasoning: by the provider's usage, else one a delta."""
    usage = request.usage
    if usage is None or usage.completion_tokens is None:
        return request.deltas
    return usage.completion_tokens - (usage.reasoning_tokens or 0)


def _told(request: Request) -> tuple[int | None, int | None]:
    """Prompt and completion tokens as the provider counted them."""
    return (request.usage.prompt_tokens, request.usage.completion_tokens) if request.usage else (None, None)


def _prompt_tokens(request: Request) -> int:
    told, _ = _told(request)
    return request.prompt_chars // CHARACTERS_PER_TOKEN if told is None else told


def _completion_tokens(request: Request) -> int:
    _, told = _told(request)
    return request.deltas if told is None else told


def _usage(reply: Reply | None, model: Model) -> dict[str, object] | None:
    if reply is None:
        return None
    prompt = sum(_prompt_tokens(r) for r in reply.requests)
    completion = sum(_completion_tokens(r) for r in reply.requests)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "cost_usd": model.cost_usd(Usage(prompt, completion)),
        "estimated": any(None in _told(r) for r in reply.requests),
    }


def _speculation(trace: TurnTrace, model: Model) -> dict[str, object]:
    """The ledger. `saved_ms`: what this answer would have cost more, had its request been sent at the commit."""
    turn = trace.finished.turn
    wasted = [g for g in turn.guesses if g is not turn.answer]
    requests = [request for guess in wasted for request in guess.reply.requests]
    prompt = sum(_prompt_tokens(r) for r in requests)
    completion = sum(_completion_tokens(r) for r in requests)
    return {
        "requests": len(turn.guesses),
        "hit": turn.hit,
        "discards": len(wasted),
        "saved_ms": _ms(_saved_ms(turn)),
        "wasted_prompt_tokens": prompt,
        "wasted_tokens": completion,
        "wasted_cost_usd": model.cost_usd(Usage(prompt, completion)),
    }


def _saved_ms(turn: Turn) -> float:
    if not turn.hit or turn.answer is None or turn.committed_s is None or not turn.answer.reply.units:
        return 0.0
    reply = turn.answer.reply
    sent_s, ready_s = reply.requests[0].sent_s, reply.units[0].first_pcm_s
    if ready_s is None:
        return 0.0
    return max(0.0, min(ready_s - sent_s, turn.committed_s - sent_s)) * 1_000


def _between(start_s: float | None, end_s: float | None) -> float | None:
    return None if start_s is None or end_s is None else _ms((end_s - start_s) * 1_000)


def _ms(value: float | None) -> float | None:
    return None if value is None else round(value, 2)
