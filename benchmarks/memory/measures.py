"""Retrieval measures and their confidence intervals by conversation."""

import math
import random
from collections.abc import Callable, Sequence

BOOTSTRAP_ROUNDS = 2_000
SEED = 20_240_601


def recall_at(found: Sequence[str], evidence: frozenset[str], k: int) -> float:
    """Return the share of the evidence among the first ``k`` found."""
    return len(evidence.intersection(found[:k])) / len(evidence)


def ndcg_at(found: Sequence[str], evidence: frozenset[str], k: int) -> float:
    """Return nDCG with binary relevance (Järvelin and Kekäläinen, 2002)."""
    gain = sum(
        1 / math.log2(place + 2)
        for place, key in enumerate(found[:k])
        if key in evidence
    )
    ideal = sum(1 / math.log2(place + 2) for place in range(min(k, len(evidence))))
    return gain / ideal


def auroc(positive: Sequence[float], negative: Sequence[float]) -> float:
    """Return the chance that a positive scores above a negative; ties count half."""
    ranked = sorted([(v, 1) for v in positive] + [(v, 0) for v in negative])
    total, place = 0.0, 0
    while place < len(ranked):
        end = place
        while end < len(ranked) and ranked[end][0] == ranked[place][0]:
            end += 1
        middle = (place + 1 + end) / 2
        total += middle * sum(label for _, label in ranked[place:end])
        place = end
    n, m = len(positive), len(negative)
    return (total - n * (n + 1) / 2) / (n * m)


def mean(values: Sequence[float]) -> float:
    """Return the mean; 0 for none."""
    return sum(values) / len(values) if values else 0.0


def interval(
    groups: Sequence[Sequence[float]],
    statistic: Callable[[Sequence[float]], float] = mean,
) -> tuple[float, float]:
    """Return a 95 % interval by resampling whole conversations (cluster bootstrap)."""
    rng = random.Random(SEED)
    groups = [group for group in groups if group]
    values = []
    for _ in range(BOOTSTRAP_ROUNDS):
        drawn = [rng.choice(groups) for _ in groups]
        values.append(statistic([v for group in drawn for v in group]))
    values.sort()
    low, high = int(0.025 * len(values)), int(0.975 * len(values))
    return values[low], values[min(high, len(values) - 1)]
