"""Numbers about requests that had to wait, or were turned away."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
"""Histogram bounds; nobody waits longer than the last."""


class CrowdMetrics:
    """Lines are ``requests``, ``media`` and ``operations``; reasons are few, too."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """Register everything."""
        self.waiting = Gauge(
            "cortex_requests_waiting",
            "Requests that wait for their turn",
            ("line",),
            registry=registry,
        )
        self.waited = Histogram(
            "cortex_request_wait_seconds",
            "Time that requests waited for their turn, of those who had to",
            ("line",),
            buckets=_SECONDS,
            registry=registry,
        )
        self.turned_away = Counter(
            "cortex_requests_turned_away",
            "Requests that were not begun (standing, full or late: 503; gone)",
            ("line", "reason"),
            registry=registry,
        )
