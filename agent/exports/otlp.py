"""Turns as OpenTelemetry spans, sent by OTLP over HTTP.

A turn is an `invoke_agent` span; below it each Chat Completions request is a `chat` span, each tool an `execute_tool`
span (names and attributes: OpenTelemetry semantic conventions for generative AI, as of the installed
opentelemetry-semantic-conventions), and each other stage a span of its own name. What those conventions have no name
for is under `quickturn.`. Contents of messages are not sent.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from importlib.metadata import version
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from opentelemetry import trace as otel
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import SpanKind, Status, StatusCode, Tracer
from opentelemetry.util.types import AttributeValue

from pipelines.errors import InputError
from pipelines.modes import Outcome
from pipelines.stopwatch.record import RequestRecord, TurnRecord
from pipelines.stopwatch.timeline import Stage

_LLM_STAGES = {Stage.LLM_TTFT, Stage.LLM_SENTENCE, Stage.LLM_REST, Stage.TOOL}  # covered by `chat` and `execute_tool`
_PATH = "/v1/traces"
_TIMEOUT_S = 5.0

Attributes = dict[str, AttributeValue]


class OtlpSpans:
    """Sends turns to an OTLP/HTTP receiver from a thread of its own; use it as a context manager.

    `base_url` is the receiver's, to which `/v1/traces` is added. A receiver that cannot be reached costs its spans,
    which are counted as `lost`, and never a turn. Raises InputError if it is not a URL.
    """

    def __init__(self, base_url: str) -> None:
        if urlsplit(base_url).scheme not in ("http", "https") or not urlsplit(base_url).netloc:
            raise InputError(f"OTLP endpoint {base_url!r} is not a URL such as http://localhost:4318")
        self.url = f"{base_url.rstrip('/').removesuffix(_PATH)}{_PATH}"
        self._counted = _Counted(OTLPSpanExporter(endpoint=self.url, timeout=_TIMEOUT_S))
        about = {"service.name": "quickturn", "service.version": version("quickturn")}
        self._provider = TracerProvider(resource=Resource.create(about))
        self._provider.add_span_processor(BatchSpanProcessor(self._counted))
        self._tracer = self._provider.get_tracer("quickturn", version("quickturn"))

    @property
    def arrived(self) -> int:
        """How many spans the receiver has taken so far."""
        return self._counted.arrived

    @property
    def lost(self) -> int:
        """How many spans could not be sent so far."""
        return self._counted.lost

    def turn(self, index: int, turn: TurnRecord) -> None:
        """Hand over a turn's spans."""
        write_spans(self._tracer, index, turn)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._provider.shutdown()  # sends what is waiting


class _Counted(SpanExporter):
    """An exporter that knows how many spans arrived and how many did not."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter
        self.arrived = 0
        self.lost = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        with _quiet_exporter():
            result = self._exporter.export(spans)
        if result is SpanExportResult.SUCCESS:
            self.arrived += len(spans)
        else:
            self.lost += len(spans)
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()


@contextmanager
def _quiet_exporter() -> Iterator[None]:
    """Silence the SDK, which logs a page per failed batch; the owner of the spans reports in one line what was lost."""
    loud = logging.getLogger("opentelemetry.exporter")
    level = loud.level
    loud.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        loud.setLevel(level)


def write_spans(tracer: Tracer, index: int, turn: TurnRecord) -> None:
    """A turn as spans of `tracer`, at the wall-clock times at which they happened; none where those are not known."""
    if not turn.spans or turn.speech_end_at is None:
        return
    at = _Wall(turn.speech_end_at)
    root = tracer.start_span(
        "invoke_agent quickturn", start_time=at(turn.spans[0].start_ms), attributes=_turn(index, turn)
    )
    below = otel.set_span_in_context(root)
    if turn.outcome is Outcome.FAILED:
        root.set_status(Status(StatusCode.ERROR, "the turn failed"))

    def child(name: str, start_ms: float, end_ms: float, about: Attributes, kind: SpanKind = SpanKind.INTERNAL) -> None:
        span = tracer.start_span(name, context=below, kind=kind, start_time=at(start_ms), attributes=about)
        span.end(at(max(start_ms, end_ms)))

    for span in turn.spans:
        if span.stage not in _LLM_STAGES:
            about: Attributes = {
                "quickturn.stage": span.stage.value,
                "quickturn.critical_ms": span.critical_ms,
                "quickturn.discarded": span.discarded,
            }
            child(span.label or span.stage.value, span.start_ms, span.end_ms, about)
    for request in turn.requests:
        about = _request(request)
        ends_ms = (request.end_ms, request.first_unit_ms, request.first_token_ms, request.sent_ms)
        end_ms = next(moment for moment in ends_ms if moment is not None)
        child(f"chat {request.llm.partition('/')[2]}", request.sent_ms, end_ms, about, SpanKind.CLIENT)
    for run in turn.tools:
        about = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": run.name, "gen_ai.tool.type": "function"}
        if run.failed:
            about["error.type"] = "tool_error"
        child(f"execute_tool {run.name}", run.start_ms, run.start_ms + (run.ms or 0.0), about)
    for decision in turn.failover:
        told = {"quickturn.llm": decision.llm, "quickturn.reason": decision.reason}
        root.add_event(f"failover {decision.action.value}", told, at(decision.at_ms))
    root.end(at(max(span.end_ms for span in turn.spans)))


class _Wall:
    """Wall-clock nanoseconds of a turn's milliseconds, which count from the end of the user's speech."""

    def __init__(self, speech_end_at: str) -> None:
        self._origin_ns = round(datetime.fromisoformat(speech_end_at).timestamp() * 1e6) * 1_000

    def __call__(self, at_ms: float) -> int:
        return self._origin_ns + round(at_ms * 1e6)


def _turn(index: int, turn: TurnRecord) -> Attributes:
    about: dict[str, AttributeValue | None] = {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.agent.name": "quickturn",
        "quickturn.turn": index,
        "quickturn.recording": turn.recording,
        "quickturn.mode": turn.mode,
        "quickturn.llm": turn.llm,
        "quickturn.simulated": turn.simulated,
        "quickturn.stt": turn.stt,
        "quickturn.tts": turn.tts,
        "quickturn.outcome": turn.outcome.value,
        "quickturn.turn_latency_ms": turn.turn_latency_ms,
        "quickturn.speculation.hit": turn.speculation.hit,
        "quickturn.speculation.saved_ms": turn.speculation.saved_ms,
        "quickturn.cost_usd": turn.usage.cost_usd if turn.usage else None,
    }
    for stage in dict.fromkeys(segment.stage for segment in turn.critical_path):
        about[f"quickturn.critical_path.{stage.value}_ms"] = turn.share_ms(stage)
    return _known(about)


def _request(request: RequestRecord) -> Attributes:
    provider, _, model = request.llm.partition("/")
    first_ms = request.first_token_ms
    return _known(
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": provider,
            "gen_ai.request.model": model,
            "gen_ai.request.stream": True,
            "gen_ai.response.time_to_first_chunk": None if first_ms is None else (first_ms - request.sent_ms) / 1_000,
            "gen_ai.usage.input_tokens": request.prompt_tokens,
            "gen_ai.usage.output_tokens": request.completion_tokens,
            "gen_ai.usage.cache_read.input_tokens": request.cached_tokens,
            "gen_ai.usage.reasoning.output_tokens": request.reasoning_tokens,
            "quickturn.discarded": request.discarded,
            "error.type": request.broken,
        }
    )


def _known(attributes: Mapping[str, AttributeValue | None]) -> Attributes:
    """Drop what never happened: an attribute cannot be None."""
    return {key: value for key, value in attributes.items() if value is not None}
