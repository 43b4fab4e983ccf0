"""When the pages come: outages replayed second by second, and days without one."""

import random
from collections.abc import Callable, Iterable

import pytest

from cortex.operations.alerts.model import AlertState, Change, Severity, step
from cortex.operations.slo.burn import BURN_RULES, BurnRule
from cortex.operations.slo.controller import SloController
from cortex.operations.slo.model import Counts, Kind, Objective

PROMISE = Objective("api:availability", "api", Kind.AVAILABILITY, ("*",), 0.999)
TICK = 10.0
HOUR, DAY = 3_600.0, 86_400.0
PER_SECOND = 10.0


def replay(
    bad_ratio: Callable[[float], float],
    until: float,
    *,
    per_second: float = PER_SECOND,
    phase: float = 0.0,
    promise: Objective = PROMISE,
) -> list[tuple[float, str, Change]]:
    """Return what fired when, with the incident's start at zero."""
    counts = Counts()
    controller = SloController([promise], lambda: {promise.name: counts})
    states: dict[str, AlertState] = {}
    told = []
    now = phase - 7 * HOUR  # healthy hours before, so that windows are full
    controller.begin(now)
    while now < until:
        begun, now = now, now + TICK
        bad = _between(bad_ratio, begun, now) * per_second
        counts = counts + Counts(per_second * TICK, bad)
        for found in controller.look(now):
            before = states.get(found.rule.name, AlertState())
            states[found.rule.name], change = step(before, found, now)
            if change is not None:
                told.append((now, found.rule.name, change))
    return told


def _between(ratio: Callable[[float], float], start: float, end: float) -> float:
    """Return the seconds' worth of bad requests, an incident may begin in between."""
    if start < 0 < end:
        return ratio(start) * -start + ratio(end) * end
    return ratio(end) * (end - start)


def outage(ratio: float) -> Callable[[float], float]:
    return lambda at: ratio if at > 0 else 0.0


def pages(told: Iterable[tuple[float, str, Change]]) -> list[float]:
    critical = {r.name for r in BURN_RULES if r.severity is Severity.CRITICAL}
    return [
        at
        for at, name, change in told
        if change is Change.FIRED and name.rpartition(":")[2] in critical
    ]


@pytest.mark.parametrize(
    ("ratio", "within"), [(1.0, 60.0), (0.1, 9 * 60.0), (0.02, 43 * 60.0)]
)
@pytest.mark.parametrize("phase", [0.0, 0.1, 5.0, 9.9])
def test_an_outage_pages_in_time_wherever_it_falls_between_two_looks(
    ratio: float, within: float, phase: float
) -> None:
    first = pages(replay(outage(ratio), within + 60, phase=phase))[0]
    assert 0 < first <= within


def test_a_slow_burn_becomes_a_ticket_and_never_a_page() -> None:
    told = replay(outage(0.002), 3.2 * DAY, per_second=2)
    assert not pages(told)
    assert [name.rpartition(":")[2] for _, name, _ in told] == ["creeping"]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("per_second", [0.02, 0.5, 20.0])
def test_a_healthy_day_pages_nobody(seed: int, per_second: float) -> None:
    """Errors come by chance, half as many as the promise allows."""
    chance = random.Random(seed)
    mean = PROMISE.budget / 2 * per_second * TICK

    def ratio(_at: float) -> float:
        return _poisson(chance, mean) / (per_second * TICK)

    assert replay(ratio, DAY, per_second=per_second) == []


def _poisson(chance: random.Random, mean: float) -> int:
    count, product, limit = 0, chance.random(), 2.718281828459045**-mean
    while product > limit:
        count += 1
        product *= chance.random()
    return count


def test_a_page_ends_soon_after_the_outage() -> None:
    def ratio(at: float) -> float:
        return 1.0 if 0 < at <= 600 else 0.0

    told = replay(ratio, 2 * HOUR)
    resolved = [at for at, name, c in told if name.endswith("fast") and c == "resolved"]
    assert resolved
    assert 600 < resolved[0] <= 600 + 300


def test_one_failure_at_night_is_no_outage() -> None:
    """Ten requests an hour, one of them fails: ten percent, and still no page."""
    assert replay(outage(0.1), 4 * HOUR, per_second=10 / HOUR) == []


def test_a_promise_of_little_still_pages_when_nearly_all_is_bad() -> None:
    lax = Objective("x:latency-p90", "x", Kind.LATENCY, ("*",), 0.9, 1.0)
    assert BURN_RULES[0].bad_ratio(lax) == 0.9
    assert pages(replay(outage(1.0), 2 * HOUR, promise=lax))


def test_factors_follow_from_the_share_of_the_budget() -> None:
    fast, slow, creeping = (rule.factor(PROMISE) for rule in BURN_RULES)
    assert (round(fast, 2), round(slow, 2), round(creeping, 3)) == (13.44, 5.6, 0.933)


@pytest.mark.parametrize("rule", BURN_RULES, ids=lambda r: r.name)
def test_the_short_window_is_a_twelfth_of_the_long_one(rule: BurnRule) -> None:
    assert rule.long_seconds / rule.short_seconds == 12
