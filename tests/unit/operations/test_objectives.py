"""Files of objectives: the short form, OpenSLO, and what is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cortex.operations.errors import SloInvalid
from cortex.operations.slo.defaults import default_objectives
from cortex.operations.slo.loader import parse_objectives
from cortex.operations.slo.model import Counts, Kind, Objective, budget_of
from cortex.operations.slo.tally import Tally

OPENSLO = """
apiVersion: openslo/v1
kind: SLI
metadata: {name: search-time}
spec:
  thresholdMetric:
    metricSource:
      type: cortex
      spec: {routes: [/memory/search, /vector/search]}
---
apiVersion: openslo/v1
kind: SLO
metadata: {name: search}
spec:
  service: cortex
  indicatorRef: search-time
  timeWindow: [{duration: 4w, isRolling: true}]
  budgetingMethod: Occurrences
  objectives:
    - {op: lte, value: 0.1, target: 0.95}
    - {op: lte, value: 0.5, targetPercent: 99}
---
apiVersion: openslo/v1
kind: SLO
metadata: {name: ledger}
spec:
  service: cortex
  indicator:
    metadata: {name: ledger-errors}
    spec:
      ratioMetric:
        counter: true
        good: {metricSource: {type: cortex, spec: {group: audit}}}
        total: {metricSource: {type: cortex, spec: {group: audit}}}
  timeWindow: [{duration: 7d, isRolling: true}]
  objectives: [{target: 0.9995}]
---
apiVersion: openslo/v1
kind: AlertPolicy
metadata: {name: page}
spec: {}
"""


def named(text: str) -> dict[str, Objective]:
    return {item.name: item for item in parse_objectives(text)}


def test_the_defaults_are_the_goals_of_the_contract() -> None:
    found = {item.name: item for item in default_objectives()}
    for group in ("service", "memory", "context", "audit"):
        assert round(found[f"{group}:availability"].budget, 9) == 0.001
    assert found["memory:latency-p95"].threshold_seconds == 0.25
    assert found["health:latency-p95"].threshold_seconds == 0.05
    assert found["metrics:latency-p95"].threshold_seconds == 0.1
    assert found["service:latency-p99"].threshold_seconds == 1.0
    assert found["plan:latency-p95"].threshold_seconds == 2.0


def test_the_short_form_replaces_a_default_and_adds_routes() -> None:
    found = named(
        "slo:\n  memory: {p95_ms: 400, error_rate: 0.01}\n"
        "  /memory/search: {p95_ms: 80, p99_ms: 300}\n"
    )
    assert found["memory:latency-p95"].threshold_seconds == 0.4
    assert found["memory:availability"].target == 0.99
    assert found["/memory/search:latency-p95"].routes == ("/memory/search",)
    assert found["/memory/search:latency-p99"].target == 0.99
    assert found["context:availability"].target == 0.999


def test_an_empty_file_leaves_the_defaults() -> None:
    assert parse_objectives("") == default_objectives()


def test_openslo_documents_become_objectives() -> None:
    found = named(OPENSLO)
    fast, slow = found["search-1:latency"], found["search-2:latency"]
    assert (fast.target, fast.threshold_seconds) == (0.95, 0.1)
    assert (slow.target, slow.threshold_seconds) == (0.99, 0.5)
    assert fast.covers("/vector/search")
    ledger = found["ledger:availability"]
    assert ledger.kind is Kind.AVAILABILITY
    assert ledger.period_seconds == 7 * 86_400
    assert ledger.covers("/audit/record")


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("slo: [1]", "slo"),
        ("slo: {nothing: {p95_ms: 1}}", "slo.nothing"),
        ("slo: {memory: {p95: 1}}", "slo.memory"),
        ("slo: {memory: {}}", "slo.memory"),
        ("slo: {memory: {p95_ms: fast}}", "slo.memory.p95_ms"),
        ("slo: {memory: {p95_ms: true}}", "slo.memory.p95_ms"),
        ("slo: {memory: {p95_ms: 0}}", "slo.memory.p95_ms"),
        ("slo: {memory: {error_rate: 1}}", "slo.memory.error_rate"),
        ("slo: {memory: {error_rate: .nan}}", "slo.memory.error_rate"),
        ("other: 1", "document 1"),
        ("- 1", "document 1"),
        ("slo: {memory: {p95_ms: 1}", "line 1"),
        ("apiVersion: openslo/v2\nkind: SLO", "document 1.apiVersion"),
        ("apiVersion: openslo/v1\nkind: Pod", "document 1.kind"),
        (OPENSLO.replace("lte", "gte"), "SLO search.spec.objectives[0].op"),
        (OPENSLO.replace("4w", "30d"), "SLO search.spec.timeWindow.duration"),
        (OPENSLO.replace("type: cortex, ", "type: x, "), "SLO ledger.metricSource"),
        (OPENSLO.replace("search-time}", "other}"), "SLO search.spec.indicatorRef"),
    ],
)
def test_a_file_that_cannot_be_meant_is_refused_with_the_place(
    text: str, where: str
) -> None:
    with pytest.raises(SloInvalid) as refused:
        parse_objectives(text)
    assert refused.value.data["field"] == where


def test_a_request_counts_for_each_promise_it_belongs_to() -> None:
    tally = Tally(default_objectives())
    tally.observe("/memory/search", 200, 0.3)  # answered, too slowly
    tally.observe("/memory/search", 200, 0.1)
    tally.observe("/memory/search", 500, 9.0)  # failed: it has no latency
    tally.observe("/memory/search", 404, 0.1)  # the caller's fault
    tally.observe("/memory/search", 499, 0.1)  # left early: does not count
    tally.observe("/memory/search", 499, 8.0)  # left because it was slow
    tally.observe("/healthz", 503, 0.01)
    tally.observe("/events/stream", 200, 900.0)
    counts = tally.counts()
    assert counts["memory:availability"] == Counts(4, 1)
    assert counts["memory:latency-p95"] == Counts(4, 2)
    assert counts["service:availability"] == Counts(5, 1)
    assert counts["service:latency-p95"] == Counts(4, 2)
    assert counts["health:latency-p95"] == Counts(0, 0)
    assert counts["context:availability"] == Counts(0, 0)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["/memory/search", "/memory", "/health", "/x"]),
            st.sampled_from([200, 404, 499, 500, 503]),
            st.one_of(
                st.sampled_from([0.05, 0.1, 0.25, 0.5, 1.0]),
                st.floats(0.0, 20.0, allow_nan=False),
            ),
        )
    )
)
def test_a_tally_counts_what_each_promise_says_of_each_request(
    requests: list[tuple[str, int, float]],
) -> None:
    promises = default_objectives()
    tally = Tally(promises)
    for request in requests:
        tally.observe(*request)
    for promise in promises:
        verdicts = [
            promise.verdict(status, seconds)
            for route, status, seconds in requests
            if promise.covers(route)
        ]
        counted = [bad for bad in verdicts if bad is not None]
        assert tally.counts()[promise.name] == Counts(len(counted), sum(counted))


def test_a_budget_is_the_share_of_bad_requests_it_allows() -> None:
    promise = Objective("a:availability", "a", Kind.AVAILABILITY, ("*",), 0.999)
    half = budget_of(promise, Counts(10_000, 5))
    assert round(half.allowed, 6) == 10
    assert round(half.remaining, 6) == 0.5
    assert half.kept
    over = budget_of(promise, Counts(10_000, 20))
    assert (over.kept, over.remaining) == (False, 0.0)
    assert budget_of(promise, Counts()).remaining == 1.0


@pytest.mark.parametrize(
    "text",
    [
        "slo:\n  memory: {p95_ms: 100}\n  memory: {p95_ms: 200}\n",
        "slo:\n  memory:\n    p95_ms: 100\n    p95_ms: 200\n",
    ],
)
def test_a_key_written_twice_is_refused_by_its_line(text: str) -> None:
    with pytest.raises(SloInvalid, match=r"line \d names '\w+' again"):
        parse_objectives(text)
