import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cortex.foundation.errors import ValidationError
from cortex.telemetry.history import functions
from cortex.telemetry.history.model import (
    Comparison,
    Kind,
    Matcher,
    Selector,
    Series,
)
from cortex.telemetry.history.question import (
    POINTS_MAX,
    Function,
    Question,
    answer,
    ask,
    ask_quantiles,
)


def series(values, *, step=10.0, start=0.0, labels=(), name="m_total"):
    times = start + step * np.arange(len(values), dtype=float)
    return Series(name, labels, Kind.COUNTER, times, np.array(values, dtype=float))


def at(*instants):
    return np.array(instants, dtype=float)


def test_a_value_is_found_until_it_is_too_old():
    line = series([1, 2, 3])
    found = functions.query(line, at(-1, 0, 15, 20, 320, 321))
    np.testing.assert_array_equal(found, [math.nan, 1, 2, 3, 3, math.nan])


def test_a_steady_counter_has_its_rate():
    line = series(range(0, 700, 7))
    assert functions.rate(line, at(500), 300)[0] == pytest.approx(0.7)


def test_a_restart_does_not_make_a_rate_fall():
    line = series([100, 110, 120, 3, 13, 23])
    # 20 before the restart, 3 after it, then 20.
    assert functions.increase(line, at(50), 50)[0] == pytest.approx(43)


def test_one_value_has_no_rate():
    assert math.isnan(functions.rate(series([5]), at(0), 300)[0])
    assert math.isnan(functions.rate(series([]), at(0), 300)[0])


def test_quantiles_are_interpolated_within_their_bucket():
    bounds = [0.1, 0.25, math.inf]
    counts = [at(50), at(100), at(100)]
    assert functions.quantile(0.75, bounds, counts)[0] == pytest.approx(0.175)
    assert functions.quantile(0.25, bounds, counts)[0] == pytest.approx(0.05)


def test_a_quantile_in_the_last_bucket_is_the_largest_bound_there_is():
    counts = [at(1), at(1), at(10)]
    assert functions.quantile(0.99, [0.1, 0.25, math.inf], counts)[0] == 0.25


def test_a_histogram_without_its_last_bucket_has_no_quantile():
    assert math.isnan(functions.quantile(0.5, [0.1, 0.2], [at(1), at(2)])[0])


@given(
    grown=st.lists(st.integers(0, 1000), min_size=2, max_size=60),
    restarts=st.sets(st.integers(1, 59)),
)
def test_restarts_lose_nothing_but_what_was_counted_before_them(grown, restarts):
    """Over any restarts, an increase that reaches both edges is what was counted."""
    exposed, total, stand = [], 0, 0
    for n, more in enumerate(grown):
        if n in restarts:
            stand = 0
        stand += more
        total += more if n else 0
        exposed.append(stand)
    falls = all(
        exposed[n] < exposed[n - 1] or n not in restarts for n in range(1, len(exposed))
    )
    line = series(exposed)
    window = 10.0 * (len(grown) - 1)
    found = functions.increase(line, at(window), window)[0]
    if falls:
        assert found == pytest.approx(total)
    assert found >= 0


def test_sums_keep_the_labels_asked_for():
    lines = [
        series([0, 60, 120], labels=(("code", code), ("route", "/memory")))
        for code in ("2xx", "5xx")
    ]
    asked = Question(
        Selector("m_total"), 20, 20, 10, Function.INCREASE, 20, by=("route",)
    )
    (line,) = answer(lines, asked)
    assert line.labels == (("route", "/memory"),)
    assert line.values[0] == pytest.approx(240)


def test_a_quantile_is_asked_of_the_histogram_by_its_name():
    buckets = [
        series([0, held], labels=(("le", bound),), name="h_bucket")
        for bound, held in (("0.1", 50), ("0.25", 100), ("+Inf", 100))
    ]
    asked = Question(Selector("h"), 10, 10, 10, Function.QUANTILE, 60, q=0.75)
    (line,) = answer(buckets, asked)
    assert line.values[0] == pytest.approx(0.175)


@pytest.mark.parametrize(
    ("comparison", "value", "accepted"),
    [
        (Comparison.EQUAL, "/memory", True),
        (Comparison.UNEQUAL, "/memory", False),
        (Comparison.MATCHES, "/mem.*", True),
        (Comparison.MATCHES, "mem", False),
        (Comparison.DIFFERS, "/context", True),
    ],
)
def test_matchers_compare_as_in_promql(comparison, value, accepted):
    found = Matcher("route", value, comparison).accepts({"route": "/memory"})
    assert found is accepted


def test_what_cannot_be_answered_is_refused():
    with pytest.raises(ValidationError, match="pattern"):
        Matcher("a", "x" * 300, Comparison.MATCHES).accepts({})
    with pytest.raises(ValidationError, match="expression"):
        Matcher("a", "(", Comparison.MATCHES).accepts({})
    for start, end, step, window in (
        (1, 0, 1, 1),
        (0, 1, 0, 1),
        (0, POINTS_MAX, 1, 1),
        (0, 1, 1, 0),
    ):
        with pytest.raises(ValidationError):
            Question(Selector("m"), start, end, step, window=window)


COUNTS = st.lists(st.integers(0, 20).map(float), max_size=6)


@given(
    many=st.lists(st.tuples(COUNTS, st.sampled_from([0.0, 5.0])), max_size=8),
    instants=st.lists(st.floats(-20, 120), min_size=1, max_size=4).map(sorted),
)
def test_rates_of_many_series_are_those_of_each(many, instants):
    lines = [series(values, start=start) for values, start in many]
    found = functions.rates(lines, at(*instants), 30)
    for line, rates in zip(lines, found, strict=True):
        np.testing.assert_array_equal(rates, functions.rate(line, at(*instants), 30))


class Kept:
    """A history of one histogram, which counts how often it is read."""

    def __init__(self):
        self.reads = 0

    async def select(self, selector, start, end, *, step):
        self.reads += 1
        return [
            series(
                [n * share for n in range(10)],
                labels=(("le", bound), ("route", "/a")),
                name=selector.name,
            )
            for bound, share in (("0.1", 1), ("0.5", 3), ("inf", 4))
        ]


async def test_quantiles_asked_together_are_those_asked_alone_and_read_once():
    asked = {
        q: Question(Selector("m"), 90, 90, 1, Function.QUANTILE, 60, q, by=("route",))
        for q in (0.1, 0.5, 0.99)
    }
    kept = Kept()
    together = await ask_quantiles(kept, asked[0.5], tuple(asked))
    assert kept.reads == 1
    for lines, question in zip(together, asked.values(), strict=True):
        (line,), (alone,) = lines, await ask(kept, question)
        assert line.labels == alone.labels == (("route", "/a"),)
        np.testing.assert_array_equal(line.values, alone.values)
