"""Where finished turns go beside the trace: OpenTelemetry spans and Prometheus metrics, each if asked for.

Neither sends what was said off the machine: transcripts and answers are in the trace alone.
"""

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from agent.exports.otlp import OtlpSpans
    from pipelines.stopwatch.record import TurnRecord

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TelemetrySettings:
    """`otlp_endpoint` is the base URL of an OTLP/HTTP receiver, empty for the OpenTelemetry environment variables' or
    none; `metrics_port` is where Prometheus may scrape, 0 for nowhere.
    """

    otlp_endpoint: str
    metrics_host: str
    metrics_port: int


class TurnSink(Protocol):
    """What takes finished turns."""

    def turn(self, index: int, turn: "TurnRecord") -> None:
        """Take a turn; it must return at once."""
        ...


class Numbered:
    """Turns of several conversations in one sequence, numbered as they finish."""

    def __init__(self, sinks: Sequence[TurnSink]) -> None:
        self._sinks = sinks
        self._numbers = count()

    def turn(self, index: int, turn: "TurnRecord") -> None:
        """See TurnSink; `index` is of that conversation alone."""
        del index
        number = next(self._numbers)
        for sink in self._sinks:
            sink.turn(number, turn)


@dataclass(frozen=True, slots=True)
class Telemetry:
    """The sinks that are open, and a line about each for the user."""

    sinks: tuple[TurnSink, ...]
    notes: tuple[str, ...]


@contextmanager
def open_telemetry(settings: TelemetrySettings) -> Iterator[Telemetry]:
    """Open what the settings ask for; what is still waiting is sent on exit. Raises InputError."""
    sinks: list[TurnSink] = []
    notes: list[str] = []
    with ExitStack() as stack:
        if endpoint := settings.otlp_endpoint or _endpoint_in_environment():
            from agent.exports.otlp import OtlpSpans  # a tenth of a second to import, which few need

            spans = OtlpSpans(endpoint)
            stack.callback(_tell_lost, spans)  # after the last were sent
            stack.enter_context(spans)
            sinks.append(spans)
            notes.append(f"OpenTelemetry spans go to {spans.url}")
        if settings.metrics_port:
            from agent.exports.prometheus import TurnMetrics

            metrics = stack.enter_context(TurnMetrics(settings.metrics_host, settings.metrics_port))
            sinks.append(metrics)
            notes.append(f"Prometheus metrics at {metrics.url}")
        yield Telemetry(tuple(sinks), tuple(notes))


def _endpoint_in_environment() -> str:
    names = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
    return next((value for name in names if (value := os.environ.get(name, "").strip())), "")


def _tell_lost(spans: "OtlpSpans") -> None:
    if spans.lost:
        log.warning("%d OpenTelemetry spans could not be sent to %s: is a receiver there?", spans.lost, spans.url)
