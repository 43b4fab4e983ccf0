"""How each route does: quantiles and success, from the request histogram."""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from cortex.operations.slo.report import Baseline
from cortex.telemetry.history.functions import quantile

SERVER_FAULTS = "5xx"
"""Status class that is no success."""


@dataclass(frozen=True, slots=True)
class Bucket:
    """One bucket of the request histogram.

    Attributes:
        status: class of the answers, such as ``2xx``.
        bound_seconds: upper bound; infinite for the last.
        count: answers up to the bound, as Prometheus counts.
    """

    route: str
    status: str
    bound_seconds: float
    count: float


@dataclass(slots=True)
class _Route:
    requests: float = 0.0
    failed: float = 0.0
    answered: dict[float, float] = field(default_factory=lambda: defaultdict(float))


def baseline(buckets: Iterable[Bucket]) -> tuple[Baseline, ...]:
    """Return a line a route, the busiest first; failures have no latency."""
    routes: dict[str, _Route] = defaultdict(_Route)
    for bucket in buckets:
        route = routes[bucket.route]
        failed = bucket.status == SERVER_FAULTS
        if math.isinf(bucket.bound_seconds):
            route.requests += bucket.count
            route.failed += bucket.count if failed else 0.0
        if not failed:
            route.answered[bucket.bound_seconds] += bucket.count
    busiest = sorted(routes.items(), key=lambda item: (-item[1].requests, item[0]))
    return tuple(_line(name, route) for name, route in busiest if route.requests)


def _line(name: str, route: _Route) -> Baseline:
    return Baseline(
        route=name,
        requests=route.requests,
        success_ratio=1.0 - route.failed / route.requests,
        p50_ms=_quantile_ms(0.5, route.answered),
        p95_ms=_quantile_ms(0.95, route.answered),
        p99_ms=_quantile_ms(0.99, route.answered),
    )


def _quantile_ms(q: float, answered: Mapping[float, float]) -> float | None:
    if not answered:
        return None
    counts = [np.array([count]) for count in answered.values()]
    seconds = float(quantile(q, list(answered), counts)[0])
    return None if math.isnan(seconds) else seconds * 1_000
