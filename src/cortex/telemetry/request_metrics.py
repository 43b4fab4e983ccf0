"""What every request counts: kept in plain numbers, told when somebody looks.

Requests come with cold caches, where each call of a metrics library costs as much as a
look-up: here one lock and a few additions count a request or a search.
"""

import threading
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import NamedTuple, TypeAlias

from prometheus_client.core import (
    CounterMetricFamily,
    Exemplar,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from cortex.foundation.clock import Clock

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
"""Histogram bounds: the goals of 25, 50, 100, 250 ms and 1 s are among them."""

_HITS = (0, 1, 2, 5, 10, 20, 50, 100)
_LABELS = ("route", "method", "status")
_REQUEST_SECONDS = "cortex_http_request_seconds"

Kind: TypeAlias = tuple[str, str, int]
"""Route, method and class of status: few, as routes are templates."""


class RequestSample(NamedTuple):
    """One finished request; ``route`` is the template, never the raw path."""

    route: str
    method: str
    status: int
    seconds: float


class Spread:
    """How values spread over buckets; whoever adds to it holds a lock."""

    __slots__ = ("bounds", "counts", "created", "exemplars", "total")

    def __init__(self, bounds: Sequence[float], created: float = 0.0) -> None:
        """Begin empty; the last bucket holds what is above all bounds."""
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.exemplars: list[Exemplar | None] = [None] * len(self.counts)
        self.total = 0.0
        self.created = created

    def add(self, value: float) -> int:
        """Count a value; return its bucket."""
        bucket = bisect_left(self.bounds, value)
        self.counts[bucket] += 1
        self.total += value
        return bucket

    def tell(self, family: HistogramMetricFamily, labels: Sequence[str]) -> None:
        """Add it as it stands to a family."""
        names = [*(str(float(bound)) for bound in self.bounds), "+Inf"]
        sums = map(float, accumulate(self.counts))
        buckets = list(zip(names, sums, self.exemplars, strict=True))
        family.add_metric(labels, buckets, self.total)  # type: ignore[arg-type]


class RequestMetrics(Collector):
    """Counts and times requests; safe to use from any thread."""

    def __init__(self, clock: Clock) -> None:
        """Begin with none; the clock dates exemplars."""
        self._clock = clock
        self._lock = threading.Lock()
        self._of_kind: dict[Kind, Spread] = {}

    def add(self, sample: RequestSample, trace_id: str) -> None:
        """Count one finished request; ``trace_id`` names a trace that shows it."""
        kind = (sample.route, sample.method, sample.status // 100)
        with self._lock:
            spread = self._of_kind.get(kind)
            if spread is None:
                spread = self._of_kind[kind] = Spread(SECONDS, self._clock.now())
            bucket = spread.add(sample.seconds)
            if trace_id:
                shown = {"trace_id": trace_id}
                now = self._clock.now()
                spread.exemplars[bucket] = Exemplar(shown, sample.seconds, now)

    def collect(self) -> Iterator[Metric]:
        """Return the counter and the histogram as they stand."""
        requests = CounterMetricFamily(
            "cortex_http_requests",
            "HTTP requests finished, by route template and status class",
            labels=_LABELS,
        )
        seconds = HistogramMetricFamily(
            _REQUEST_SECONDS,
            "Time from the request's first byte to the answer's last",
            labels=_LABELS,
        )
        with self._lock:
            for (route, method, hundreds), spread in self._of_kind.items():
                labels = (route, method, f"{hundreds}xx")
                requests.add_metric(labels, sum(spread.counts), spread.created)
                spread.tell(seconds, labels)
                named = dict(zip(_LABELS, labels, strict=True))
                created = f"{_REQUEST_SECONDS}_created"
                seconds.add_sample(created, named, spread.created)
        yield requests
        yield seconds


class InFlight(Collector):
    """Requests being worked on; safe to use from any thread."""

    def __init__(self) -> None:
        """Begin with none."""
        self._lock = threading.Lock()
        self._value = 0

    def inc(self) -> None:
        """Count one that begins."""
        with self._lock:
            self._value += 1

    def dec(self) -> None:
        """Count one that is over."""
        with self._lock:
            self._value -= 1

    def set(self, value: int) -> None:
        """Say how many there are."""
        with self._lock:
            self._value = value

    def collect(self) -> Iterator[Metric]:
        """Return the gauge as it stands."""
        yield GaugeMetricFamily(
            "cortex_http_requests_in_flight",
            "HTTP requests being worked on",
            value=float(self._value),
        )


class SearchMetrics(Collector):
    """Counts searches and what they found; safe to use from any thread."""

    def __init__(self, clock: Clock) -> None:
        """Begin with none; the clock says since when is counted."""
        self._clock = clock
        self._lock = threading.Lock()
        self._created = clock.now()
        self._by_mode: dict[str, tuple[int, float]] = {}
        self._low_confidence = 0
        self._hits = Spread(_HITS)

    def add(self, mode: str, hits: int, *, low_confidence: bool) -> None:
        """Count one answered search."""
        with self._lock:
            count, since = self._by_mode.get(mode) or (0, self._clock.now())
            self._by_mode[mode] = count + 1, since
            self._low_confidence += low_confidence
            self._hits.add(hits)

    def collect(self) -> Iterator[Metric]:
        """Return the counters and the histogram as they stand."""
        searches = CounterMetricFamily(
            "cortex_searches", "Searches answered, by mode", labels=("mode",)
        )
        low = CounterMetricFamily(
            "cortex_searches_low_confidence",
            "Searches whose best hit was below the relevance floor",
        )
        found = HistogramMetricFamily(
            "cortex_search_hits", "Memories a search answered with", labels=()
        )
        with self._lock:
            for mode, (count, since) in self._by_mode.items():
                searches.add_metric((mode,), count, since)
            low.add_metric((), self._low_confidence, self._created)
            self._hits.tell(found, ())
        found.add_sample("cortex_search_hits_created", {}, self._created)
        yield searches
        yield low
        yield found
