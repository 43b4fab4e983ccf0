"""The tier policy: monotone in use, settled at a fixed time, without flapping."""

from hypothesis import given
from hypothesis import strategies as st

from cortex.memory.model import Tier
from cortex.memory.tiering import (
    HEAT_MAX,
    TierPolicy,
    Usage,
    heat_at,
    tier_for,
    use,
    warmth,
)

NOW = 1.7e9
YEAR = 365 * 86_400.0
ORDER = {Tier.COLD: 0, Tier.WARM: 1, Tier.HOT: 2}

policies = st.builds(
    lambda half, cold, gap, hot, wide, worth: TierPolicy(
        half_life_seconds=half,
        importance_worth=worth,
        cold_enter=cold,
        cold_leave=cold + gap,
        hot_leave=cold + gap + hot,
        hot_enter=cold + gap + hot + wide,
    ),
    st.floats(60, YEAR),
    st.floats(0.01, 1),
    st.floats(0.01, 2),
    st.floats(0, 5),
    st.floats(0.01, 5),
    st.floats(0, 1),
)
usages = st.builds(
    Usage, st.floats(0, HEAT_MAX), st.floats(NOW - YEAR, NOW), st.floats(0, 1)
)
tiers = st.sampled_from(list(Tier))


@given(policies, usages, tiers)
def test_settled_at_a_fixed_time(
    policy: TierPolicy, usage: Usage, current: Tier
) -> None:
    once = tier_for(policy, current, usage, NOW)
    assert tier_for(policy, once, usage, NOW) is once


@given(policies, usages, tiers, st.integers(0, 50))
def test_more_use_never_cools(
    policy: TierPolicy, usage: Usage, current: Tier, count: int
) -> None:
    used = use(policy, usage, count=count, now=NOW)
    assert warmth(policy, used, NOW) >= warmth(policy, usage, NOW) or (
        used.heat == HEAT_MAX
    )
    before = tier_for(policy, current, usage, NOW)
    assert ORDER[tier_for(policy, current, used, NOW)] >= ORDER[before]


@given(policies, usages, st.floats(0, YEAR), st.floats(0, YEAR))
def test_silence_only_cools(
    policy: TierPolicy, usage: Usage, first: float, second: float
) -> None:
    soon, late = sorted((NOW + first, NOW + second))
    assert warmth(policy, usage, late) <= warmth(policy, usage, soon)


@given(policies, usages, tiers, st.lists(st.floats(0, 30 * 86_400.0), max_size=30))
def test_without_use_a_tier_only_falls(
    policy: TierPolicy, usage: Usage, current: Tier, steps: list[float]
) -> None:
    now = NOW
    tier = tier_for(policy, current, usage, now)
    for step in steps:
        now += step
        following = tier_for(policy, tier, usage, now)
        assert ORDER[following] <= ORDER[tier]
        tier = following


@given(policies, usages, usages)
def test_importance_only_warms(policy: TierPolicy, usage: Usage, other: Usage) -> None:
    low, high = sorted((usage.importance, other.importance))
    plain = Usage(usage.heat, usage.accessed_at, low)
    dear = Usage(usage.heat, usage.accessed_at, high)
    assert warmth(policy, dear, NOW) >= warmth(policy, plain, NOW)


@given(policies, st.floats(0, HEAT_MAX), st.lists(st.floats(0, YEAR), max_size=5))
def test_decay_does_not_depend_on_how_often_it_is_asked(
    policy: TierPolicy, heat: float, steps: list[float]
) -> None:
    now, left = NOW, heat
    for step in steps:
        left = heat_at(policy, left, now, now + step)
        now += step
    whole = heat_at(policy, heat, NOW, now)
    assert abs(left - whole) <= 1e-9 * max(1.0, heat)


@given(policies, st.floats(0, HEAT_MAX), st.floats(0, YEAR))
def test_a_clock_that_steps_back_cools_nothing(
    policy: TierPolicy, heat: float, back: float
) -> None:
    assert heat_at(policy, heat, NOW, NOW - back) == heat
