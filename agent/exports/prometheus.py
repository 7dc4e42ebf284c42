"""Turns as Prometheus metrics, for a running agent: an HTTP endpoint of its own, in seconds and dollars as Prometheus
names its units.
"""

from collections.abc import Callable
from types import TracebackType
from typing import Self

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server

from pipelines.errors import InputError
from pipelines.stopwatch.record import TokenUsage, TurnRecord

_BUCKETS_S = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5, 0.6, 0.8, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0)
_WHO = ("llm", "mode")


class TurnMetrics:
    """Serves `/metrics` at `host`:`port` while it is open; use it as a context manager.

    Raises InputError if the port is taken or not a valid port.
    """

    def __init__(self, host: str, port: int) -> None:
        self._registry = registry = CollectorRegistry()
        self._turns = Counter("quickturn_turns", "Turns by outcome.", (*_WHO, "outcome"), registry=registry)
        self._latency = Histogram(
            "quickturn_turn_latency_seconds",
            "End of the user's speech to the first audible sample, completed turns.",
            _WHO,
            buckets=_BUCKETS_S,
            registry=registry,
        )
        self._stages = Histogram(
            "quickturn_stage_seconds",
            "How long each stage took, hidden work included.",
            (*_WHO, "stage"),
            buckets=(0.01, 0.02, *_BUCKETS_S),
            registry=registry,
        )
        self._path = Counter(
            "quickturn_critical_path_seconds",
            "Time of the turn latency by the stage that was waited for.",
            (*_WHO, "stage"),
            registry=registry,
        )
        self._tokens = Counter("quickturn_tokens", "Tokens of the answers.", (*_WHO, "kind"), registry=registry)
        self._cost = Counter(
            "quickturn_cost_usd", "Dollars, where prices are known.", (*_WHO, "why"), registry=registry
        )
        self._guesses = Counter(
            "quickturn_speculation_requests", "Requests begun early.", (*_WHO, "came_to"), registry=registry
        )
        self._failover = Counter(
            "quickturn_failover_decisions", "Failover decisions.", ("llm", "action"), registry=registry
        )
        try:
            self._server, self._thread = start_http_server(port, host, registry)
        except (OSError, OverflowError) as error:
            raise InputError(f"metrics port {port} on {host} cannot be opened: {error}; give a free one") from None
        self.url = f"http://{host}:{self._server.server_port}/metrics"

    def gauge(self, name: str, meaning: str, read: Callable[[], float]) -> None:
        """Serve one more number; `read` is called at each scrape, on another thread."""
        Gauge(name, meaning, registry=self._registry).set_function(read)

    def turn(self, index: int, turn: TurnRecord) -> None:
        """Count a turn."""
        del index
        who = turn.llm, turn.mode
        self._turns.labels(*who, turn.outcome.value).inc()
        if turn.is_completed:
            self._latency.labels(*who).observe((turn.turn_latency_ms or 0.0) / 1_000)
            for segment in turn.critical_path:
                self._path.labels(*who, segment.stage.value).inc(max(0.0, segment.ms) / 1_000)
        for name, value in turn.stages:
            if name.endswith("_ms") and value is not None:
                self._stages.labels(*who, name.removesuffix("_ms")).observe(value / 1_000)
        self._count_spending(who, turn)
        for decision in turn.failover:
            self._failover.labels(decision.llm, decision.action.value).inc()

    def _count_spending(self, who: tuple[str, str], turn: TurnRecord) -> None:
        usage, guessed = turn.usage or TokenUsage(), turn.speculation
        for kind, tokens in (
            ("prompt", usage.prompt_tokens),
            ("completion", usage.completion_tokens),
            ("cached", usage.cached_tokens),
        ):
            self._tokens.labels(*who, kind).inc(tokens or 0)
        spent = {
            "answer": usage.cost_usd,
            "failover": usage.abandoned_cost_usd,
            "speculation": guessed.wasted_cost_usd,
        }
        for why, usd in spent.items():
            self._cost.labels(*who, why).inc(usd or 0.0)
        self._guesses.labels(*who, "hit").inc(int(guessed.hit))
        self._guesses.labels(*who, "discard").inc(guessed.discards)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
