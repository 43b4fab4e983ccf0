"""The alert rules that ship: limits, how long they must hold, and their figures."""

import math

import pytest

from cortex.operations.alerts.model import AlertState, Change, Severity, step
from cortex.operations.alerts.thresholds import THRESHOLDS, power_threshold
from cortex.operations.figures import FigureReader
from cortex.operations.slo.baseline import Bucket
from cortex.operations.slo.model import Counts

ALL = {one.rule.name: one for one in (*THRESHOLDS, power_threshold(100))}

CONTRACT = [
    ("HighCpu", "cpu_ratio", 0.81, 0.80, 5, Severity.WARNING),
    ("CriticalCpu", "cpu_ratio", 0.96, 0.95, 1, Severity.CRITICAL),
    ("HighMemory", "memory_ratio", 0.86, 0.85, 5, Severity.WARNING),
    ("LowCacheHitRate", "cache_hit_ratio", 0.69, 0.70, 10, Severity.WARNING),
    ("HighErrorRate", "error_ratio", 0.11, 0.10, 5, Severity.CRITICAL),
    ("SlowQueries", "query_seconds_p95", 1.01, 1.0, 10, Severity.WARNING),
    ("HighGpuMemory", "gpu_memory_ratio", 0.91, 0.90, 2, Severity.CRITICAL),
    ("HighPower", "average_watts", 101.0, 100.0, 5, Severity.WARNING),
]


@pytest.mark.parametrize(("name", "figure", "bad", "good", "minutes", "sev"), CONTRACT)
def test_each_rule_fires_when_its_limit_was_passed_for_its_time(
    name: str, figure: str, bad: float, good: float, minutes: float, sev: Severity
) -> None:
    rule = ALL[name]
    assert rule.rule.severity is sev
    assert not rule.look({figure: good}).holds
    state, now, change = AlertState(), 0.0, None
    while change is None:
        state, change = step(state, rule.look({figure: bad}), now)
        if change is None:
            now += 10
    assert (change, now) == (Change.FIRED, minutes * 60)
    state, change = step(state, rule.look({figure: good}), now + 10)
    assert change is Change.RESOLVED


@pytest.mark.parametrize("rule", ALL.values(), ids=ALL)
def test_a_figure_that_nobody_can_tell_fires_nothing(rule) -> None:
    assert not rule.look({}).holds
    assert not rule.look({rule.figure: None}).holds


class Sources:
    def __init__(self) -> None:
        self.embedded = {"cache": 0.0, "model": 0.0}
        self.slow = 0.0
        self.fast = 0.0
        self.minute = Counts()

    def buckets(self):
        for bound, count in (
            (1.0, self.fast), (2.0, self.fast + self.slow),
            (math.inf, self.fast + self.slow),
        ):  # fmt: skip
            yield Bucket("/memory/search", "2xx", bound, count)
            yield Bucket("/memory/search", "5xx", bound, 1_000.0)
            yield Bucket("/healthz", "2xx", bound, 1_000.0)

    def reader(self) -> FigureReader:
        return FigureReader(
            lambda: self.embedded, self.buckets, lambda _now: self.minute, dict
        )


def test_the_hit_rate_is_of_ten_minutes_and_of_enough_lookups() -> None:
    sources = Sources()
    reader = sources.reader()
    reader.read(0)
    sources.embedded = {"cache": 30.0, "model": 60.0}
    assert reader.read(10)["cache_hit_ratio"] is None
    sources.embedded = {"cache": 60.0, "model": 60.0}
    assert reader.read(20)["cache_hit_ratio"] == 0.5
    assert reader.read(700)["cache_hit_ratio"] is None  # nothing in the window


def test_slow_queries_are_the_p95_of_five_minutes_without_failures() -> None:
    sources = Sources()
    reader = sources.reader()
    assert reader.read(0)["query_seconds_p95"] is None
    sources.fast = 90.0
    sources.slow = 10.0
    assert reader.read(10)["query_seconds_p95"] == pytest.approx(1.5)
    reader.read(200)
    sources.fast += 1_000
    assert reader.read(400)["query_seconds_p95"] == pytest.approx(0.95)


def test_the_error_rate_is_the_services_of_a_minute() -> None:
    sources = Sources()
    sources.minute = Counts(200, 30)
    assert sources.reader().read(0)["error_ratio"] == 0.15
