from hypothesis import given
from hypothesis import strategies as st

from cortex.foundation.bucket import Buckets, Rate, judge

TEN_A_MINUTE = Rate(10)


def spend(rate, times):
    """Return how many of the requests at these times passed, and when."""
    arrival, passed = None, []
    for now in times:
        verdict = judge(rate, arrival, now)
        arrival = verdict.arrival
        if verdict.allowed:
            passed.append(now)
    return passed


def test_a_whole_burst_passes_at_once_and_not_one_more():
    assert len(spend(TEN_A_MINUTE, [5.0] * 30)) == 10


def test_remaining_counts_down_to_zero():
    arrival, told = None, []
    for _ in range(11):
        verdict = judge(TEN_A_MINUTE, arrival, 0.0)
        arrival = verdict.arrival
        told.append(verdict.remaining)
    assert told == [9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 0]


def test_one_request_is_free_again_after_its_share_of_the_period():
    assert len(spend(TEN_A_MINUTE, [0.0] * 10 + [5.9, 6.0, 6.1])) == 11


def test_a_refusal_costs_nothing():
    assert len(spend(TEN_A_MINUTE, [0.0] * 10 + [1.0] * 500 + [60.0] * 10)) == 20


@given(
    limit=st.integers(1, 500),
    period=st.floats(0.1, 3600),
    gaps=st.lists(st.floats(0, 100), max_size=200),
)
def test_no_window_of_a_period_sees_more_than_two_bursts(limit, period, gaps):
    rate = Rate(limit, period)
    times, now = [], 0.0
    for gap in gaps:
        now += gap
        times.append(now)
    passed = spend(rate, times)
    for start in passed:
        inside = [t for t in passed if start <= t < start + period]
        assert len(inside) <= 2 * limit


@given(limit=st.integers(1, 500), period=st.floats(0.1, 3600), now=st.floats(0, 1e9))
def test_retry_after_is_when_the_next_request_passes(limit, period, now):
    rate = Rate(limit, period)
    arrival = None
    for _ in range(limit + 1):
        verdict = judge(rate, arrival, now)
        arrival = verdict.arrival
    assert not verdict.allowed
    wait = verdict.retry_after_seconds
    assert judge(rate, arrival, now + wait + 1e-3).allowed
    assert not judge(rate, arrival, now + wait * 0.9 - 1e-3).allowed


def test_clients_and_groups_do_not_share_a_bucket():
    buckets = Buckets()
    one = Rate(1)
    assert buckets.take("a", "x", one, 0.0).allowed
    assert buckets.take("b", "x", one, 0.0).allowed
    assert buckets.take("a", "y", one, 0.0).allowed
    assert not buckets.take("a", "x", one, 0.0).allowed


def test_the_table_never_outgrows_its_bound():
    buckets = Buckets(clients_max=100)
    for number in range(5_000):
        buckets.take(f"client-{number}", "x", TEN_A_MINUTE, 0.0)
        assert len(buckets) <= 100


def test_idle_clients_are_dropped_before_busy_ones():
    buckets = Buckets(clients_max=10)
    for number in range(10):
        buckets.take(f"idle-{number}", "x", TEN_A_MINUTE, 0.0)
    busy = Rate(1, 1_000.0)
    assert buckets.take("busy", "x", busy, 100.0).allowed
    for number in range(9):
        buckets.take(f"late-{number}", "x", TEN_A_MINUTE, 100.0)
    assert not buckets.take("busy", "x", busy, 101.0).allowed
