"""The course of counts: windows, restarts, clocks that step, thinning."""

from hypothesis import given
from hypothesis import strategies as st

from cortex.operations.slo.model import Counts
from cortex.operations.slo.track import Point, Track
from cortex.operations.steady import SteadyTime
from cortex.testing.clock import ManualClock

DAY = 86_400.0
PERIOD = 28 * DAY


def test_a_window_counts_what_was_added_in_it() -> None:
    track = Track(PERIOD)
    for second in range(0, 101, 10):
        track.read(float(second), Counts(second * 2, second / 10))
    assert track.within(50, 100.0) == Counts(100, 5)
    assert track.within(45, 100.0) == Counts(80, 4)  # from the first point inside
    assert track.within(1_000, 100.0) == Counts(200, 10)
    assert track.within(5, 100.0) == Counts()


def test_counters_that_begin_again_lose_nothing() -> None:
    track = Track(PERIOD)
    track.read(0.0, Counts(0, 0))
    track.read(10.0, Counts(100, 1))
    track.read(20.0, Counts(30, 2))  # another process: began at zero
    assert track.within(100, 20.0) == Counts(130, 3)


def test_a_course_goes_on_over_a_restart() -> None:
    old = Track(PERIOD)
    for at, total in ((0.0, 0), (10.0, 50), (20.0, 90)):
        old.read(at, Counts(total, 1))
    new = Track(PERIOD)
    for at in (0.0, 10.0, 20.0):
        new.restore(Point(at, old.within(100, at)))
    new.read(40.0, Counts(0, 0))
    new.read(50.0, Counts(7, 7))
    assert new.within(100, 50.0) == Counts(97, 7)


def test_who_begins_late_counts_what_others_counted_before() -> None:
    track = Track(PERIOD)
    track.restore(Point(0.0, Counts(90, 3)))  # of an earlier life
    track.begin(born=10.0)
    track.read(15.0, Counts(13, 1))
    assert track.within(100, 15.0) == Counts(13, 1)


def test_who_is_replaced_counts_nothing_twice() -> None:
    track = Track(PERIOD)
    for at, total in ((0.0, 90), (20.0, 97), (30.0, 100)):
        track.restore(Point(at, Counts(total, 0)))
    track.begin(born=10.0)  # so ten of them are of this life
    track.read(35.0, Counts(12, 0))
    assert track.within(20, 35.0) == Counts(102 - 97, 0)
    assert track.within(100, 35.0) == Counts(12, 0)


def test_a_moment_that_is_not_later_waits_for_the_next() -> None:
    track = Track(PERIOD)
    track.read(0.0, Counts(0, 0))
    track.read(10.0, Counts(10, 0))
    track.read(5.0, Counts(20, 4))
    track.read(20.0, Counts(25, 5))
    assert track.within(100, 20.0) == Counts(25, 5)


@given(st.lists(st.integers(0, 50), min_size=1, max_size=300))
def test_whatever_is_added_the_whole_window_holds_it_all(steps: list[int]) -> None:
    track = Track(PERIOD)
    track.read(0.0, Counts())
    total = 0
    for number, added in enumerate(steps, 1):
        total += added
        track.read(number * 3_600.0, Counts(total, total / 2))
    assert track.within(PERIOD, len(steps) * 3_600.0) == Counts(total, total / 2)


def test_weeks_are_kept_in_few_points_and_windows_stay_exact() -> None:
    track = Track(PERIOD)
    for tick in range(0, int(30 * DAY), 60):
        track.read(float(tick), Counts(tick * 5.0, tick / 100))
    now = 30 * DAY - 60
    assert len(track) < 6_000
    assert track.within(3_600, now).total == 3_600 * 5
    assert abs(track.within(3 * DAY, now).total / (3 * DAY * 5) - 1) < 0.001
    assert abs(track.within(PERIOD, now).total / (PERIOD * 5) - 1) < 0.01


def test_steady_time_knows_no_clock_steps() -> None:
    clock = ManualClock(now=1_000.0)
    time = SteadyTime(clock)
    clock.advance(10)
    clock.step(3_600)
    assert time.now() == 1_010
    clock.step(-90_000)
    clock.advance(5)
    assert time.now() == 1_015


def test_steady_time_goes_on_behind_an_earlier_process() -> None:
    clock = ManualClock(now=1_000.0)
    time = SteadyTime(clock)
    time.resume(5_000.0)  # the wall clock was set back between two runs
    assert time.now() == 5_000
    time.resume(4_000.0)
    clock.advance(1)
    assert time.now() == 5_001
