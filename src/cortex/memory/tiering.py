"""Which tier a memory belongs in: a pure policy over its use, its age and its worth.

A memory has *heat*: each use adds one, and heat halves every `HALF_LIFE_SECONDS`, so
that it is an exponentially decayed count of uses. Storing a memory counts as one use.
Its *warmth* is that heat plus what its importance is worth. Each tier has a threshold
to enter it and a lower one to leave it (hysteresis): between the two a memory stays
where it is, so a memory at an edge does not move to and fro, each move costing a write.

Decay is the only thing that cools, and it is continuous, so that a decision depends on
(heat, when it was measured, importance, now) and never on how often it was asked.
"""

from dataclasses import dataclass
from typing import Final

from cortex.memory.model import Tier

HALF_LIFE_SECONDS: Final = 7 * 86_400.0
"""Seconds in which half of a use is forgotten: a week, the rhythm of most work."""

HEAT_MAX: Final = 1_000.0
"""Heat above which more uses add nothing: it takes ten half-lives to cool from."""

IMPORTANCE_WORTH: Final = 0.2
"""Warmth of importance 1: alone it keeps a memory from going cold, not hot."""

HOT_ENTER: Final = 4.0
"""Warmth that makes a memory hot: about three uses beside the storing, in a week."""

HOT_LEAVE: Final = 2.0
"""Warmth below which a hot memory is warm again: one half-life under the entry."""

COLD_ENTER: Final = 0.125
"""Warmth below which a memory goes cold: three silent weeks for importance 0, five for
0.5, never for 1."""

COLD_LEAVE: Final = 0.5
"""Warmth at which a cold memory is warm again: one use does it."""


@dataclass(frozen=True, slots=True)
class TierPolicy:
    """Thresholds of the tiers, all in warmth, and the half-life of heat."""

    half_life_seconds: float = HALF_LIFE_SECONDS
    importance_worth: float = IMPORTANCE_WORTH
    hot_enter: float = HOT_ENTER
    hot_leave: float = HOT_LEAVE
    cold_enter: float = COLD_ENTER
    cold_leave: float = COLD_LEAVE

    def __post_init__(self) -> None:
        """Refuse thresholds that would let a memory move to and fro."""
        ordered = self.cold_enter < self.cold_leave <= self.hot_leave < self.hot_enter
        if not ordered or self.half_life_seconds <= 0:
            message = (
                "tier thresholds must rise: cold_enter < cold_leave <= hot_leave "
                "< hot_enter, and half_life_seconds must be positive"
            )
            raise ValueError(message)


@dataclass(frozen=True, slots=True)
class Usage:
    """What is known of the use of one memory.

    Attributes:
        heat: decayed count of uses at ``accessed_at``.
        accessed_at: last use, or the storing; epoch seconds.
        importance: 0..1.
    """

    heat: float
    accessed_at: float
    importance: float


def initial_heat(access_count: int = 0) -> float:
    """Return the heat right after storing, or after an import with uses."""
    return min(1.0 + access_count, HEAT_MAX)


def heat_at(policy: TierPolicy, heat: float, since: float, now: float) -> float:
    """Return what is left at ``now`` of a heat measured at ``since``.

    A clock that stepped back cools nothing.
    """
    elapsed = max(0.0, now - since)
    return float(heat * 0.5 ** (elapsed / policy.half_life_seconds))


def use(policy: TierPolicy, usage: Usage, *, count: int, now: float) -> Usage:
    """Return the usage after ``count`` uses, the last of them at ``now``."""
    heat = heat_at(policy, usage.heat, usage.accessed_at, now) + count
    at = max(now, usage.accessed_at)
    return Usage(min(heat, HEAT_MAX), at, usage.importance)


def warmth(policy: TierPolicy, usage: Usage, now: float) -> float:
    """Return what the tiers are judged by: heat left at ``now``, plus importance."""
    left = heat_at(policy, usage.heat, usage.accessed_at, now)
    return left + policy.importance_worth * usage.importance


def tier_for(policy: TierPolicy, current: Tier, usage: Usage, now: float) -> Tier:
    """Return the tier that a memory belongs in at ``now``.

    Deciding again at the same time for the tier returned changes nothing.
    """
    value = warmth(policy, usage, now)
    if value >= policy.hot_enter:
        return Tier.HOT
    if current is Tier.HOT and value >= policy.hot_leave:
        return Tier.HOT
    if value < policy.cold_enter:
        return Tier.COLD
    if current is Tier.COLD and value < policy.cold_leave:
        return Tier.COLD
    return Tier.WARM
