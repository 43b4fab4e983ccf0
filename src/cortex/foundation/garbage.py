"""Settings of Python's garbage collector that fit a server.

What start-up made lives until the end: frozen, it is never looked at again. After that
a server makes and drops mostly what reference counts free at once; looking for cycles
seldom costs little memory and saves pauses. The thresholds are those that
``benchmarks/inference/collector.py`` measured.
"""

import gc
from dataclasses import dataclass
from typing import Final

THRESHOLDS: Final = (10_000, 20, 50)
"""Allocations before a young collection, and collections before an older one."""


@dataclass(frozen=True, slots=True)
class CollectorStatus:
    """How the collector is set and what it did.

    Attributes:
        thresholds: of the three generations.
        frozen: objects that are never looked at.
        collections: by generation, since the start.
    """

    thresholds: tuple[int, int, int]
    frozen: int
    collections: tuple[int, ...]


def settle_collector() -> None:
    """Collect what start-up left, keep the rest for good, and look seldom from now.

    For a process that has finished starting and serves until it ends.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)


def collector_status() -> CollectorStatus:
    """Return how the collector of this process is set."""
    return CollectorStatus(
        gc.get_threshold(),
        gc.get_freeze_count(),
        tuple(generation["collections"] for generation in gc.get_stats()),
    )
