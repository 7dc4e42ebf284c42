"""OpenTelemetry spans, received by a real OTLP/HTTP server, and Prometheus metrics, scraped by a real client."""

import json
import logging
import socket
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from prometheus_client.parser import text_string_to_metric_families

from agent.exports.otlp import OtlpSpans
from agent.exports.telemetry import TelemetrySettings, open_telemetry
from pipelines.errors import InputError
from pipelines.modes import Mode
from pipelines.stopwatch.record import TurnRecord
from pipelines.stopwatch.whatif import Speed
from tests.command_line import quickturn
from tests.ports import free_port
from tests.recorded_turns import simulated
from tests.records import SESSION, changed, plain, written

SPEECH_END = "2026-11-21T10:00:00.000+00:00"
NOTHING = TelemetrySettings("", "127.0.0.1", 0)


class Receiver(ThreadingHTTPServer):
    """An OTLP receiver that keeps what it is sent."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Taker)
        self.requests: list[ExportTraceServiceRequest] = []
        self.url = f"http://127.0.0.1:{self.server_port}"

    def spans(self) -> list[Any]:
        return [s for r in self.requests for rs in r.resource_spans for ss in rs.scope_spans for s in ss.spans]


class _Taker(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        assert isinstance(self.server, Receiver)
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.headers.get("content-encoding") == "gzip":
            import gzip

            body = gzip.decompress(body)
        self.server.requests.append(ExportTraceServiceRequest.FromString(body))
        self.send_response(200 if self.path == "/v1/traces" else 404)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Silence."""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    server = Receiver()
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def answered(request: dict[str, Any] | None = None, **more: Any) -> TurnRecord:
    """A turn of a real provider's, by name: the scripted LLM's is another; `request` changes the answer's request."""
    names = {"stt": "whisper:tiny.en", "tts": "piper:en_US-joe-medium", "speech_end_at": SPEECH_END}
    scripted = simulated("groq/llama-3.1-8b-instant", Mode.SPECULATIVE, Speed(100, 90))
    *others, last = plain(scripted)["requests"]
    requests = [*others, last | {"llm": scripted.llm} | (request or {})]
    return changed(scripted, requests=requests, **names | more)


def attributes(span: Any) -> dict[str, Any]:
    return {a.key: getattr(a.value, a.value.WhichOneof("value")) for a in span.attributes}


def sent(receiver: Receiver, *turns: TurnRecord) -> dict[str, Any]:
    with OtlpSpans(receiver.url) as spans:
        for index, document in enumerate(turns):
            spans.turn(index, document)
    assert (spans.arrived, spans.lost) == (len(receiver.spans()), 0)
    return {span.name: span for span in receiver.spans()}


def test_a_turn_is_an_agent_span_with_its_requests_and_stages_below_it(receiver: Receiver) -> None:
    spans = sent(receiver, answered())
    root = spans["invoke_agent quickturn"]
    assert {"chat llama-3.1-8b-instant", "end of turn", "final", "unit 1", "output"} <= set(spans)
    assert all(span.parent_span_id == root.span_id for span in spans.values() if span is not root)
    assert attributes(root)["gen_ai.operation.name"] == "invoke_agent"
    path = [v for k, v in attributes(root).items() if k.startswith("quickturn.critical_path.")]
    assert sum(path) == pytest.approx(attributes(root)["quickturn.turn_latency_ms"], abs=1)


def test_a_request_carries_the_conventions_attributes_and_its_real_times(receiver: Receiver) -> None:
    counts = {"prompt_tokens": 50, "completion_tokens": 12, "cached_tokens": 48, "reasoning_tokens": None}
    document = answered(counts)
    request = document.requests[-1]
    chat = sent(receiver, document)["chat llama-3.1-8b-instant"]
    told = attributes(chat)
    assert told["gen_ai.provider.name"] == "groq"
    assert told["gen_ai.request.model"] == "llama-3.1-8b-instant"
    assert told["gen_ai.response.time_to_first_chunk"] == pytest.approx(0.1, abs=0.01)
    assert (told["gen_ai.usage.input_tokens"], told["gen_ai.usage.cache_read.input_tokens"]) == (50, 48)
    assert "gen_ai.usage.reasoning.output_tokens" not in told
    assert (chat.end_time_unix_nano - chat.start_time_unix_nano) / 1e6 == pytest.approx(
        (request.end_ms or 0) - request.sent_ms, abs=0.01
    )


def test_tools_and_failover_decisions_are_told(receiver: Receiver) -> None:
    run = {"name": "weather", "failed": True, "start_ms": 300.0, "ms": 20.0}
    decision = {"at_ms": 250.0, "action": "hedged", "llm": "groq/other", "reason": "late"}
    spans = sent(receiver, answered(tools=[run], failover=[decision]))
    assert attributes(spans["execute_tool weather"])["error.type"] == "tool_error"
    assert [event.name for event in spans["invoke_agent quickturn"].events] == ["failover hedged"]


def test_nothing_that_was_said_is_sent(receiver: Receiver) -> None:
    document = answered()
    assert document.transcript
    sent(receiver, document)
    everything = b"".join(request.SerializeToString() for request in receiver.requests)
    assert document.transcript.encode() not in everything
    assert document.reply.encode() not in everything


def test_a_recorded_trace_is_sent_by_report(
    receiver: Receiver, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trace = written(tmp_path / "trace.jsonl", answered(), answered())
    assert quickturn("report", trace, "--out", tmp_path / "out", "--otlp", receiver.url) == 0
    assert f"{len(receiver.spans())} sent to {receiver.url}/v1/traces" in capsys.readouterr().out


def test_a_receiver_that_is_not_there_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.exports.otlp._TIMEOUT_S", 0.5)
    trace = written(tmp_path / "trace.jsonl", answered())
    assert quickturn("report", trace, "--out", tmp_path / "out", "--otlp", f"http://127.0.0.1:{free_port()}") == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_a_trace_without_wall_clock_times_cannot_be_sent(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trace = tmp_path / "trace.jsonl"
    old = {"type": "turn"} | plain(answered())
    del old["speech_end_at"]
    trace.write_text("\n".join(map(json.dumps, [plain(SESSION), old])) + "\n")
    assert quickturn("report", trace, "--out", tmp_path / "out", "--otlp", "http://127.0.0.1:9") == 2
    assert "record it again" in capsys.readouterr().err


def test_an_endpoint_that_is_no_url_is_refused() -> None:
    with pytest.raises(InputError, match="'localhost:4318' is not a URL such as http://localhost:4318"):
        OtlpSpans("localhost:4318")


def test_a_running_agent_tells_what_it_could_not_send(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.exports.otlp._TIMEOUT_S", 0.5)
    settings = TelemetrySettings(f"http://127.0.0.1:{free_port()}", "127.0.0.1", 0)
    with caplog.at_level(logging.WARNING), open_telemetry(settings) as telemetry:
        telemetry.sinks[0].turn(0, answered())
    assert [r.message for r in caplog.records if "could not be sent" in r.message]


def test_the_standard_environment_variable_opens_the_export(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url)
    with open_telemetry(NOTHING) as telemetry:
        telemetry.sinks[0].turn(0, answered())
    assert receiver.spans()


def test_without_an_endpoint_or_a_port_nothing_is_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT", raising=False)
    with open_telemetry(NOTHING) as telemetry:
        assert telemetry.sinks == telemetry.notes == ()


# ---------------------------------------------------------------- Prometheus


def scraped(url: str) -> dict[tuple[str, str], float]:
    """Samples by name and by the label that tells them apart."""
    with urllib.request.urlopen(url, timeout=5) as response:
        families = text_string_to_metric_families(response.read().decode())
        told = ("outcome", "stage", "kind", "why", "came_to", "action", "le")
        return {
            (sample.name, next((sample.labels[label] for label in told if label in sample.labels), "")): sample.value
            for family in families
            for sample in family.samples
        }


def test_turns_can_be_scraped() -> None:
    document = answered(failover=[{"at_ms": 250.0, "action": "hedged", "llm": "groq/other", "reason": "late"}])
    with open_telemetry(TelemetrySettings("", "127.0.0.1", free_port())) as telemetry:
        url = telemetry.notes[0].split()[-1]
        telemetry.sinks[0].turn(0, document)
        telemetry.sinks[0].turn(1, answered(outcome="failed"))
        found = scraped(url)
    assert found["quickturn_turns_total", "completed"] == found["quickturn_turns_total", "failed"] == 1
    assert found["quickturn_turn_latency_seconds_count", ""] == 1
    assert found["quickturn_turn_latency_seconds_sum", ""] == pytest.approx((document.turn_latency_ms or 0) / 1_000)
    assert found["quickturn_stage_seconds_count", "llm_ttft"] == 2
    assert found["quickturn_failover_decisions_total", "hedged"] == 1
    path_s = sum(v for (name, _), v in found.items() if name == "quickturn_critical_path_seconds_total")
    assert path_s == pytest.approx((document.turn_latency_ms or 0) / 1_000, abs=0.001)


def test_a_port_that_is_taken_is_one_clear_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with (
            pytest.raises(InputError, match=f"metrics port {port} on 127.0.0.1 cannot be opened"),
            open_telemetry(TelemetrySettings("", "127.0.0.1", port)),
        ):
            pass
