"""The alert rules that ship: one figure, one limit, held for so long.

Each rule carries the same condition twice: for the own engine, over figures by name,
and as PromQL for Prometheus. The figures are computed as the expressions say.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cortex.operations.alerts.model import Evaluation, Rule, Severity

Figures = Mapping[str, float | None]
"""Name of a figure → its value now; None or absent where nobody can tell."""

LOOKUPS_MIN = 100
"""Cache lookups in ten minutes before their hit rate means anything."""

SLOW_ROUTES = ("/memory/search", "/vector/search", "/context")
"""What a slow query is one of."""

_SLOW = "|".join(SLOW_ROUTES)


@dataclass(frozen=True, slots=True)
class Threshold:
    """One figure and its limit.

    Attributes:
        figure: name of the figure.
        above: whether values above the limit are bad; else those below.
        expression: PromQL of the figure.
    """

    rule: Rule
    figure: str
    limit: float
    expression: str
    above: bool = True

    @property
    def condition(self) -> str:
        """Return the condition as PromQL."""
        return f"{self.expression} {'>' if self.above else '<'} {self.limit:g}"

    def look(self, figures: Figures) -> Evaluation:
        """Return whether the condition holds; an unknown figure is no reason."""
        value = figures.get(self.figure)
        if value is None:
            return Evaluation(self.rule, holds=False, value=0.0)
        holds = value > self.limit if self.above else value < self.limit
        return Evaluation(self.rule, holds, value)


def _rule(name: str, severity: Severity, minutes: float, summary: str) -> Rule:
    return Rule(name, severity, minutes * 60, summary, component="host")


THRESHOLDS: Sequence[Threshold] = (
    Threshold(
        _rule("HighCpu", Severity.WARNING, 5, "The machine's processors are busy"),
        "cpu_ratio",
        0.80,
        "cortex_host_cpu_ratio",
    ),
    Threshold(
        _rule("CriticalCpu", Severity.CRITICAL, 1, "The processors are nearly full"),
        "cpu_ratio",
        0.95,
        "cortex_host_cpu_ratio",
    ),
    Threshold(
        _rule("HighMemory", Severity.WARNING, 5, "The machine's memory is nearly full"),
        "memory_ratio",
        0.85,
        "cortex_host_memory_ratio",
    ),
    Threshold(
        _rule(
            "LowCacheHitRate", Severity.WARNING, 10, "Few texts were embedded before"
        ),
        "cache_hit_ratio",
        0.70,
        'sum(increase(cortex_embeddings_total{source="cache"}[10m])) / '
        f"(sum(increase(cortex_embeddings_total[10m])) >= {LOOKUPS_MIN})",
        above=False,
    ),
    Threshold(
        _rule("HighErrorRate", Severity.CRITICAL, 5, "Many requests fail"),
        "error_ratio",
        0.10,
        "sum(increase(cortex_slo_bad_requests_total"
        '{objective="service:availability"}[1m])) / '
        "(sum(increase(cortex_slo_requests_total"
        '{objective="service:availability"}[1m])) > 0)',
    ),
    Threshold(
        _rule("SlowQueries", Severity.WARNING, 10, "Searches and contexts are slow"),
        "query_seconds_p95",
        1.0,
        "histogram_quantile(0.95, sum by (le) (rate(cortex_http_request_seconds_bucket"
        f'{{route=~"{_SLOW}",status!="5xx"}}[5m])))',
    ),
    Threshold(
        _rule("HighGpuMemory", Severity.CRITICAL, 2, "A card's memory is nearly full"),
        "gpu_memory_ratio",
        0.90,
        "max(cortex_gpu_memory_ratio)",
    ),
)
"""Section 7 of the contract."""


def power_threshold(watts: float) -> Threshold:
    """Return the alarm of power: the mean of five minutes, held for five more."""
    rule = Rule(
        "HighPower",
        Severity.WARNING,
        300,
        f"Cortex takes more than {watts:g} W",
        component="energy",
    )
    expression = "sum(rate(cortex_energy_joules_total[5m]))"
    return Threshold(rule, "average_watts", watts, expression)


def threshold_group(thresholds: Sequence[Threshold]) -> dict[str, object]:
    """Return the rules as a group for Prometheus."""
    return {
        "name": "cortex-thresholds",
        "interval": "10s",
        "rules": [
            {
                "alert": f"Cortex{one.rule.name}",
                "expr": one.condition,
                "for": f"{one.rule.for_seconds:g}s",
                "labels": {
                    "severity": one.rule.severity.value,
                    "component": one.rule.component,
                },
                "annotations": {"summary": one.rule.summary},
            }
            for one in thresholds
        ],
    }
