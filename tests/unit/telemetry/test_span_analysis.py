import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cortex.telemetry.tracing.analysis import (
    compare,
    critical_path,
    parts,
    quantile,
    self_times,
)
from cortex.telemetry.tracing.model import Reason, SpanRecord, TraceRecord

TRACE = "a" * 32


def span(span_id, parent, name, start, seconds, error=""):
    return SpanRecord(TRACE, span_id, parent, name, start, seconds, error)


def trace(*spans, weight=1.0):
    return TraceRecord(spans, Reason.RATIO, weight)


REQUEST = trace(
    span("2", "1", "embed", 0.1, 0.4),
    span("3", "1", "words", 0.1, 0.2),
    span("4", "1", "read", 0.6, 0.1),
    span("1", "", "GET /", 0.0, 1.0),
)


def test_self_time_is_what_no_child_covers():
    own = {span.name: seconds for span, seconds in self_times(REQUEST.spans)}
    assert own == pytest.approx({"GET /": 0.5, "embed": 0.4, "words": 0.2, "read": 0.1})


def test_the_critical_path_leaves_out_what_nobody_waited_for():
    path = [(s.name, round(s.start_ms), round(s.ms)) for s in critical_path(REQUEST)]
    assert path == [
        ("GET /", 0, 100),
        ("embed", 100, 400),
        ("GET /", 500, 100),
        ("read", 600, 100),
        ("GET /", 700, 300),
    ]


def test_the_bottleneck_comes_first_and_shares_add_up():
    found = parts([REQUEST])
    assert [part.name for part in found] == ["GET /", "embed", "words", "read"]
    assert sum(part.self_share for part in found) == pytest.approx(1)
    assert sum(part.critical_share for part in found) == pytest.approx(1)
    assert {part.name: part.critical_share for part in found}["words"] == 0


def test_a_kept_request_counts_for_those_that_were_not():
    fast = trace(span("1", "", "GET /", 0, 0.01), weight=10)
    slow = trace(span("1", "", "GET /", 0, 1.0, "TIMEOUT"))
    (part,) = parts([fast] * 9 + [slow] * 10)
    assert part.count == 100
    assert part.errors == 10
    assert part.p50_ms == pytest.approx(10)
    assert part.p95_ms == pytest.approx(1000)


def test_a_part_whose_parent_is_elsewhere_is_a_top_of_its_own():
    alone = trace(span("9", "f" * 16, "ledger.keep", 5, 0.2))
    (part,) = parts([alone])
    assert part.critical_share == 1


def test_periods_that_differ_are_told_from_chance():
    draw = random.Random(5)

    def period(slowness, count=60):
        return [
            trace(
                span("2", "1", "embed", 0, slowness * draw.lognormvariate(-5, 0.3)),
                span("3", "1", "read", 1, draw.lognormvariate(-3, 0.3)),
                span("1", "", "GET /", 0, 2),
            )
            for _ in range(count)
        ]

    found = {one.name: one for one in compare(period(1), period(2))}
    assert found["embed"].sure
    assert 1.6 < found["embed"].ratio < 2.5
    assert not found["read"].sure
    assert compare(period(1, 5), period(2)) == []


@given(st.lists(st.tuples(st.floats(0, 1e3), st.floats(0.1, 10)), min_size=1))
def test_weighted_quantiles_are_values_that_were_there(values):
    seen = {value for value, _ in values}
    assert quantile(values, 0.5) in seen
    assert quantile(values, 0.0) == min(seen)
    assert quantile(values, 1.0) <= max(seen)


@st.composite
def trees(draw):
    """Traces with children anywhere: overlapping, too long, of unknown parents."""
    count = draw(st.integers(1, 12))
    spans = [
        span(
            str(n),
            str(draw(st.integers(0, count + 1))),
            f"n{draw(st.integers(0, 3))}",
            draw(st.floats(0, 10)),
            draw(st.floats(0, 5)),
        )
        for n in range(1, count)
    ]
    return trace(*spans, span("0", "", "top", 0.0, draw(st.floats(0.001, 10))))


@given(trees())
def test_the_critical_path_fills_the_request_and_no_more(found):
    path = critical_path(found)
    assert sum(step.ms for step in path) == pytest.approx(found.top.seconds * 1000)
    assert all(step.ms >= 0 for step in path)
    for _, seconds in self_times(found.spans):
        assert seconds >= -1e-9
