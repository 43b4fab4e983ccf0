"""The circuit breaker: when it opens, whom it lets through, how it closes."""

from dataclasses import replace

import pytest

from cortex.foundation.breaker import Breaker, BreakerPolicy, Permit, Phase, Refused
from cortex.testing.memory import VirtualClock

POLICY = BreakerPolicy(failures_in_a_row=3, window_calls=10, open_seconds=60)


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def breaker(clock: VirtualClock) -> Breaker:
    return Breaker(clock, POLICY)


def call(breaker: Breaker, *, ok: bool) -> None:
    permit = breaker.enter()
    assert isinstance(permit, Permit)
    breaker.settle(permit, ok=ok)


def test_three_failures_in_a_row_open_it_for_a_minute(
    breaker: Breaker, clock: VirtualClock
) -> None:
    for _ in range(3):
        call(breaker, ok=False)
    clock.advance(20)
    assert breaker.enter() == Refused(retry_after_seconds=40)


def test_a_success_between_failures_keeps_it_closed(breaker: Breaker) -> None:
    for ok in (False, False, True, True, True, False, False, True):
        call(breaker, ok=ok)
    assert breaker.state.phase is Phase.CLOSED


def test_half_of_a_full_window_opens_it(breaker: Breaker) -> None:
    for ok in (True, True, True, True, True, False, False, True, False, False):
        call(breaker, ok=ok)
    assert breaker.state.phase is Phase.CLOSED
    call(breaker, ok=True)
    call(breaker, ok=False)
    assert breaker.state.phase is Phase.OPEN


def opened(breaker: Breaker, clock: VirtualClock) -> None:
    for _ in range(3):
        call(breaker, ok=False)
    clock.advance(POLICY.open_seconds)


def test_only_one_probe_passes_when_half_open(
    breaker: Breaker, clock: VirtualClock
) -> None:
    opened(breaker, clock)
    probe = breaker.enter()
    assert isinstance(probe, Permit)
    assert probe.probe
    assert isinstance(breaker.enter(), Refused)
    breaker.settle(probe, ok=True)
    assert breaker.state.phase is Phase.CLOSED
    assert breaker.state.failures == 0


def test_a_failed_probe_opens_it_for_the_full_time_again(
    breaker: Breaker, clock: VirtualClock
) -> None:
    opened(breaker, clock)
    call(breaker, ok=False)
    assert breaker.enter() == Refused(retry_after_seconds=60)


def test_an_abandoned_probe_lets_the_next_one_through(
    breaker: Breaker, clock: VirtualClock
) -> None:
    opened(breaker, clock)
    first = breaker.enter()
    assert isinstance(first, Permit)
    breaker.abandon(first)
    second = breaker.enter()
    assert isinstance(second, Permit)
    breaker.settle(second, ok=True)
    assert breaker.state.phase is Phase.CLOSED


def test_a_probe_that_never_comes_back_is_replaced(
    breaker: Breaker, clock: VirtualClock
) -> None:
    opened(breaker, clock)
    lost = breaker.enter()
    assert isinstance(lost, Permit)
    clock.advance(POLICY.open_seconds)
    call(breaker, ok=True)
    breaker.settle(lost, ok=False)
    assert breaker.state.phase is Phase.CLOSED


def test_answers_from_before_it_opened_are_not_counted(
    breaker: Breaker, clock: VirtualClock
) -> None:
    early = breaker.enter()
    assert isinstance(early, Permit)
    opened(breaker, clock)
    probe = breaker.enter()
    assert isinstance(probe, Permit)
    breaker.settle(early, ok=True)
    assert breaker.state.phase is Phase.HALF_OPEN
    breaker.settle(probe, ok=True)
    breaker.settle(early, ok=False)
    assert breaker.state.failures == 0


@pytest.mark.parametrize(
    "change",
    [
        {"failures_in_a_row": 0},
        {"window_calls": 0},
        {"failure_share": 0.0},
        {"failure_share": 1.5},
        {"open_seconds": 0.0},
    ],
)
def test_a_policy_that_makes_no_sense_is_refused(change: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must be"):
        replace(POLICY, **change)  # type: ignore[arg-type]
