"""Computes the figures that thresholds judge, from counters and gauges."""

import math
from collections import deque
from collections.abc import Callable, Iterable, Mapping

import numpy as np

from cortex.operations.alerts.thresholds import LOOKUPS_MIN, SLOW_ROUTES, Figures
from cortex.operations.slo.baseline import SERVER_FAULTS, Bucket
from cortex.operations.slo.model import Counts
from cortex.telemetry.history.functions import quantile

Reading = Mapping[str, float]

CACHE_SECONDS, QUERY_SECONDS = 600.0, 300.0
"""Windows of the hit rate and of slow queries."""

QUERY_QUANTILE = 0.95


class Window:
    """Readings of counters in the last so many seconds; tells what they grew by."""

    def __init__(self, seconds: float, read: Callable[[], Reading]) -> None:
        """Take the window's length and where the counters are read."""
        self._seconds = seconds
        self._read = read
        self._course: deque[tuple[float, Reading]] = deque()

    def growth(self, now: float) -> Reading:
        """Read now and return the growth since the first reading in the window."""
        latest = dict(self._read())
        self._course.append((now, latest))
        while self._course[0][0] < now - self._seconds:
            self._course.popleft()
        first = self._course[0][1]
        return {name: value - first.get(name, 0.0) for name, value in latest.items()}


class FigureReader:
    """Every figure at a moment; for one loop that asks again and again."""

    def __init__(
        self,
        embeddings: Callable[[], Mapping[str, float]],
        buckets: Callable[[], Iterable[Bucket]],
        last_minute: Callable[[float], Counts],
        gauges: Callable[[], Figures],
    ) -> None:
        """Take the sources.

        Args:
            embeddings: texts embedded, by ``cache`` or ``model``.
            buckets: the request histogram.
            last_minute: requests of the whole service in the minute to a moment.
            gauges: figures that are read as they are.
        """
        self._cache = Window(CACHE_SECONDS, embeddings)
        self._queries = Window(QUERY_SECONDS, lambda: _held(buckets()))
        self._last_minute = last_minute
        self._gauges = gauges

    def read(self, now: float) -> Figures:
        """Return every figure."""
        return {
            **self._gauges(),
            "cache_hit_ratio": _hit_ratio(self._cache.growth(now)),
            "query_seconds_p95": _quantile(self._queries.growth(now)),
            "error_ratio": self._last_minute(now).bad_ratio,
        }


def _held(buckets: Iterable[Bucket]) -> Reading:
    held: dict[str, float] = {}
    for bucket in buckets:
        if bucket.route in SLOW_ROUTES and bucket.status != SERVER_FAULTS:
            name = repr(bucket.bound_seconds)
            held[name] = held.get(name, 0.0) + bucket.count
    return held


def _hit_ratio(grown: Reading) -> float | None:
    lookups = sum(grown.values())
    return grown.get("cache", 0.0) / lookups if lookups >= LOOKUPS_MIN else None


def _quantile(grown: Reading) -> float | None:
    if not grown:
        return None
    bounds = [float(name) for name in grown]
    counts = [np.array([value]) for value in grown.values()]
    found = float(quantile(QUERY_QUANTILE, bounds, counts)[0])
    return None if math.isnan(found) else found
