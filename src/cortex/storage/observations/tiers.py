"""How long values are kept at which distance, and what a coarser value is."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cortex.telemetry.history.model import STEP_SECONDS, Floats


@dataclass(frozen=True, slots=True)
class Tier:
    """One distance between values.

    Attributes:
        number: in the file.
        seconds: between two values.
        kept_seconds: how far back they go.
    """

    number: int
    seconds: float
    kept_seconds: float


TIERS = (
    Tier(0, STEP_SECONDS, 6 * 3600.0),
    Tier(1, 60.0, 3 * 86_400.0),
    Tier(2, 3600.0, 30 * 86_400.0),
)
"""Finest first: 2 160, 4 320 and 720 instants."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of time to be read from one tier."""

    tier: Tier
    start: float
    end: float


def tier_for(start: float, step: float, now: float) -> Tier:
    """Return the tier to begin reading in: no finer than wanted, or than is kept."""
    wanted = [tier for tier in TIERS if tier.seconds <= max(step, STEP_SECONDS)]
    reaching = [tier for tier in TIERS if now - tier.kept_seconds <= start]
    coarsest_wanted = wanted[-1]
    if not reaching:
        return TIERS[-1]
    return max(coarsest_wanted, reaching[0], key=lambda tier: tier.seconds)


def merged(vectors: Sequence[Floats], counters: Floats) -> Floats:
    """Return one value a series for a stretch: the mean of a gauge, a counter's last.

    Args:
        vectors: of the stretch, oldest first; all of one size.
        counters: 1 where the series is a counter, else 0.
    """
    stacked = np.vstack(vectors)
    there = ~np.isnan(stacked)
    counts = there.sum(axis=0)
    sums = np.where(there, stacked, 0.0).sum(axis=0)
    means = np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
    return np.where(counters > 0, stacked[-1], means)
