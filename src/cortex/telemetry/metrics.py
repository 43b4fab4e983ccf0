"""Numbers for Prometheus, in a registry of their own.

Names and labels are the operator's interface: they are listed in
``docs/reference/metrics.md`` and only grow.
"""

from collections.abc import Callable, Iterator, Mapping

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

from cortex.foundation.clock import Clock, SystemClock
from cortex.telemetry.crowd_metrics import CrowdMetrics
from cortex.telemetry.model_metrics import ModelMetrics
from cortex.telemetry.request_metrics import (
    SECONDS,
    InFlight,
    RequestMetrics,
    RequestSample,
    SearchMetrics,
)

CONTENT_TYPE = CONTENT_TYPE_LATEST

UNMATCHED_ROUTE = "(unmatched)"
"""Route label of requests to no route: raw paths would grow without bound."""


class Metrics:
    """Every metric of the service; safe to use from any thread."""

    def __init__(self, *, brand: str, version: str, clock: Clock | None = None) -> None:
        """Register everything, in a fresh registry; the clock dates exemplars."""
        self.registry = CollectorRegistry()
        self._declare_requests(clock or SystemClock())
        self._declare_memory()
        self._declare_models()
        self._declare_language()
        self._declare_objectives()
        self._declare_state()
        ProcessCollector(registry=self.registry)
        info = Info("cortex_build", "Which build runs", registry=self.registry)
        info.info({"brand": brand, "version": version})

    def _declare_requests(self, clock: Clock) -> None:
        self.crowd = CrowdMetrics(self.registry)
        self._requests = RequestMetrics(clock)
        self.registry.register(self._requests)
        self.requests_in_flight = InFlight()
        self.registry.register(self.requests_in_flight)
        self.errors = Counter(
            "cortex_errors",
            "Requests refused or failed, by error code",
            ("code",),
            registry=self.registry,
        )

        self._mcp_calls = Counter(
            "cortex_mcp_calls",
            "Tool calls over MCP, by tool and outcome (ok or the error code)",
            ("tool", "outcome"),
            registry=self.registry,
        )

        self._searches = SearchMetrics(clock)
        self.registry.register(self._searches)

    def _declare_memory(self) -> None:
        self.memories_stored = Counter(
            "cortex_memories_stored",
            "Memories acknowledged as durable",
            registry=self.registry,
        )
        self.memories_existing = Counter(
            "cortex_memories_existing",
            "Memories that were there already",
            registry=self.registry,
        )
        self.memories_forgotten = Counter(
            "cortex_memories_forgotten",
            "Memories removed from every file",
            registry=self.registry,
        )
        self.contexts_built = Counter(
            "cortex_contexts_built", "Contexts packed", registry=self.registry
        )
        self.context_fill = Histogram(
            "cortex_context_fill_ratio",
            "Part of its budget that a packed context fills",
            buckets=(0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 1.0),
            registry=self.registry,
        )
        self.tokens_saved = Counter(
            "cortex_context_tokens_saved",
            "Tokens of candidates that contexts left out",
            registry=self.registry,
        )
        self.context_tokens = Histogram(
            "cortex_context_tokens",
            "Tokens of a packed context",
            buckets=(256, 512, 1024, 2048, 4096, 8192, 16384, 65536),
            registry=self.registry,
        )

    def _declare_state(self) -> None:
        self.memories = Gauge(
            "cortex_memories",
            "Memories there are, by tier",
            ("tier",),
            registry=self.registry,
        )
        self.memories_bytes = Gauge(
            "cortex_memories_bytes",
            "Bytes of content there are, by tier",
            ("tier",),
            registry=self.registry,
        )
        self.ledger_lag = Gauge(
            "cortex_ledger_lag_events",
            "Events that are not in the ledger yet",
            registry=self.registry,
        )
        self.ledger_unpublished = Gauge(
            "cortex_ledger_unpublished_entries",
            "Entries that no signed head covers yet",
            registry=self.registry,
        )
        self.loop_lag = Histogram(
            "cortex_event_loop_lag_seconds",
            "How late the event loop comes to what is due",
            buckets=SECONDS,
            registry=self.registry,
        )
        self.spans_exported = Counter(
            "cortex_spans_exported",
            "Spans of kept traces for a collector, by outcome (sent or dropped)",
            ("outcome",),
            registry=self.registry,
        )
        self.traces_kept = Counter(
            "cortex_traces_kept",
            "Traces kept, by reason (error, slow, caller or ratio)",
            ("reason",),
            registry=self.registry,
        )

    def _declare_objectives(self) -> None:
        self._observe: Callable[[str, int, float], None] = _ignore
        self._objectives = _Objectives()
        self.registry.register(self._objectives)

    def _declare_models(self) -> None:
        self.models = ModelMetrics(self.registry)
        self._embeddings = _Embeddings()
        self.registry.register(self._embeddings)
        self.embedding_seconds = Histogram(
            "cortex_embedding_seconds",
            "Time to embed one request's texts",
            buckets=SECONDS,
            registry=self.registry,
        )

    def _declare_language(self) -> None:
        self._model_calls = Counter(
            "cortex_model_calls",
            "Calls of the language model, by provider and outcome",
            ("provider", "outcome"),
            registry=self.registry,
        )
        self._model_tokens = Counter(
            "cortex_model_tokens",
            "Tokens of the language model, by direction (prompt or completion)",
            ("direction",),
            registry=self.registry,
        )
        self._model_seconds = Histogram(
            "cortex_model_call_seconds",
            "Time of a call of the language model, its repetitions included",
            ("provider",),
            buckets=(*SECONDS, 30.0, 60.0),
            registry=self.registry,
        )
        self.plans = Counter(
            "cortex_plans",
            "Plans made, by strategy and method (model, recall or decomposition)",
            ("strategy", "method"),
            registry=self.registry,
        )
        self.reflections = Counter(
            "cortex_reflections",
            "Reflections made, by method (model or checks) and verdict",
            ("method", "verdict"),
            registry=self.registry,
        )

    def model_call(self, provider: str, outcome: str, seconds: float) -> None:
        """Count one call of the language model; the names come from fixed lists."""
        self._model_calls.labels(provider, outcome).inc()
        self._model_seconds.labels(provider).observe(seconds)

    def model_tokens(self, direction: str, tokens: int) -> None:
        """Count tokens that a call cost."""
        self._model_tokens.labels(direction).inc(tokens)

    def mcp_call(self, tool: str, outcome: str) -> None:
        """Count one tool call; both names come from fixed lists."""
        self._mcp_calls.labels(tool, outcome).inc()

    def watch_objectives(
        self, read: Callable[[], Mapping[str, tuple[float, float]]]
    ) -> None:
        """Tell from now on what ``read`` returns: objective → requests, bad ones."""
        self._objectives.read = read

    def embedded(self) -> Mapping[str, float]:
        """Return texts embedded, by source of the vector."""
        return self._embeddings.read()

    def watch_embeddings(self, read: Callable[[], Mapping[str, float]]) -> None:
        """Tell from now on what ``read`` returns: source of the vector → texts."""
        self._embeddings.read = read

    def watch_requests(self, observe: Callable[[str, int, float], None]) -> None:
        """Hand route, status and seconds of each finished request on as well."""
        self._observe = observe

    def request(self, sample: RequestSample, trace_id: str = "") -> None:
        """Count one finished request; ``trace_id`` names a trace that shows it."""
        self._observe(sample.route, sample.status, sample.seconds)
        self._requests.add(sample, trace_id)

    def searched(self, mode: str, hits: int, *, low_confidence: bool) -> None:
        """Count one answered search; modes are few."""
        self._searches.add(mode, hits, low_confidence=low_confidence)

    def render(self) -> bytes:
        """Return this process' metrics in the Prometheus text format."""
        return generate_latest(self.registry)


def _ignore(route: str, status: int, seconds: float) -> None:
    """Be the observer where nobody watches requests."""


class _Objectives(Collector):
    """Asks the tally of promises for its counts when somebody looks."""

    def __init__(self) -> None:
        self.read: Callable[[], Mapping[str, tuple[float, float]]] = dict

    def collect(self) -> Iterator[CounterMetricFamily]:
        """Return both counters as they stand; each objective is there from zero."""
        total = CounterMetricFamily(
            "cortex_slo_requests",
            "Requests that count for an objective",
            labels=("objective",),
        )
        bad = CounterMetricFamily(
            "cortex_slo_bad_requests",
            "Requests among them that failed, or took too long",
            labels=("objective",),
        )
        for name, (requests, failed) in self.read().items():
            total.add_metric((name,), requests)
            bad.add_metric((name,), failed)
        yield total
        yield bad


class _Embeddings(Collector):
    """Asks the embedding service for its own counts when somebody looks."""

    def __init__(self) -> None:
        self.read: Callable[[], Mapping[str, float]] = dict

    def collect(self) -> Iterator[CounterMetricFamily]:
        """Return the counter as it stands."""
        family = CounterMetricFamily(
            "cortex_embeddings",
            "Texts embedded, by where the vector came from (cache or model)",
            labels=("source",),
        )
        for source, texts in self.read().items():
            family.add_metric((source,), texts)
        yield family
