"""What a promise is: which requests, how many of them good, over how long."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

PERIOD_SECONDS = 28 * 86_400.0
"""Period of a promise: four whole weeks, so that each weekday counts equally."""

ABORTED_STATUS = 499
"""Status recorded for a caller that left before the answer."""

BROKEN_BAD_MIN = 10
"""Bad requests before a promise counts as broken: the first request of all may fail."""

_SERVER_FAULT = 500


class Kind(StrEnum):
    """What is counted as bad."""

    AVAILABILITY = "availability"
    LATENCY = "latency"


@dataclass(frozen=True, slots=True)
class Objective:
    """One promise.

    Attributes:
        name: unique, ``group:kind``; label of metrics, name of alerts.
        group: what it is about; an availability and a latency often share one.
        routes: route templates; a ``*`` at the end stands for any rest.
        excluded: templates that do not count although ``routes`` covers them.
        target: share of good requests promised, between 0 and 1.
        threshold_seconds: a request is slow above it; only of a latency.
        period_seconds: over which the share is promised.
    """

    name: str
    group: str
    kind: Kind
    routes: tuple[str, ...]
    target: float
    threshold_seconds: float | None = None
    excluded: tuple[str, ...] = ()
    period_seconds: float = PERIOD_SECONDS

    @property
    def budget(self) -> float:
        """Return the share of requests that may be bad."""
        return 1.0 - self.target

    def covers(self, route: str) -> bool:
        """Return whether requests of this route count."""
        if any(_matches(pattern, route) for pattern in self.excluded):
            return False
        return any(_matches(pattern, route) for pattern in self.routes)

    def verdict(self, status: int, seconds: float) -> bool | None:
        """Return whether a request was bad; None if it does not count.

        A failed request has no latency worth counting. A caller that left does not
        count either, unless it left because the answer was already too late.
        """
        if self.threshold_seconds is None:
            return None if status == ABORTED_STATUS else status >= _SERVER_FAULT
        if status >= _SERVER_FAULT:
            return None
        slow = seconds > self.threshold_seconds
        return None if status == ABORTED_STATUS and not slow else slow


@dataclass(frozen=True, slots=True)
class Counts:
    """Requests that counted, and how many of them were bad."""

    total: float = 0.0
    bad: float = 0.0

    @property
    def bad_ratio(self) -> float:
        """Return the share of bad ones; 0 where nothing was counted."""
        return self.bad / self.total if self.total > 0 else 0.0

    def __sub__(self, other: "Counts") -> "Counts":
        """Return what was added since ``other``."""
        return Counts(self.total - other.total, self.bad - other.bad)

    def __add__(self, other: "Counts") -> "Counts":
        """Return both together."""
        return Counts(self.total + other.total, self.bad + other.bad)


@dataclass(frozen=True, slots=True)
class Budget:
    """What is left of one promise.

    Attributes:
        allowed: bad requests that the promise leaves room for, at this traffic.
        spent: share of them used up; above 1 the promise is broken.
    """

    counts: Counts
    allowed: float
    spent: float

    @property
    def remaining(self) -> float:
        """Return the share that is left, 0 to 1."""
        return max(0.0, 1.0 - self.spent)

    @property
    def kept(self) -> bool:
        """Return whether the promise is kept; a handful of requests breaks none."""
        return self.spent <= 1.0 or self.counts.bad < BROKEN_BAD_MIN


def budget_of(objective: Objective, counts: Counts) -> Budget:
    """Return the budget after these requests of the period."""
    allowed = counts.total * objective.budget
    spent = counts.bad_ratio / objective.budget
    return Budget(counts, allowed, spent)


def covering(objectives: Iterable[Objective], route: str) -> tuple[Objective, ...]:
    """Return the objectives that requests of a route count for."""
    return tuple(item for item in objectives if item.covers(route))


def _matches(pattern: str, route: str) -> bool:
    if pattern.endswith("*"):
        return route.startswith(pattern[:-1])
    return route == pattern
