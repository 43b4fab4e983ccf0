"""Counts each finished request for the objectives it belongs to."""

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from cortex.operations.slo.model import Counts, Objective, covering

Alike: TypeAlias = tuple[int, int]
"""What all objectives of a route judge alike: a status, and between which of their
thresholds the time lies."""


@dataclass(frozen=True, slots=True)
class _Route:
    """Requests of one route; ``bounds`` are its objectives' thresholds, then infinity.

    A request costs one look-up however many objectives cover it: they are asked when
    somebody wants to know.
    """

    objectives: tuple[Objective, ...]
    bounds: tuple[float, ...]
    requests: Counter[Alike] = field(default_factory=Counter)


class Tally:
    """Good and bad requests of every objective since the process began.

    Counts are exact: a latency is judged by its own threshold, not by a histogram's
    nearest bound. For one thread, that of the event loop.
    """

    def __init__(self, objectives: Iterable[Objective]) -> None:
        """Count for these objectives; all begin at zero."""
        self._objectives = tuple(objectives)
        self._of_route: dict[str, _Route] = {}

    def observe(self, route: str, status: int, seconds: float) -> None:
        """Count one finished request; ``route`` is a template, so there are few."""
        found = self._of_route.get(route)
        if found is None:
            found = self._of_route[route] = self._watched(route)
        found.requests[status, bisect_left(found.bounds, seconds)] += 1

    def _watched(self, route: str) -> _Route:
        objectives = covering(self._objectives, route)
        thresholds = {
            item.threshold_seconds
            for item in objectives
            if item.threshold_seconds is not None
        }
        return _Route(objectives, (*sorted(thresholds), math.inf))

    def counts(self) -> Mapping[str, Counts]:
        """Return the counts by the objective's name."""
        counts = {item.name: [0, 0] for item in self._objectives}
        for route in self._of_route.values():
            for (status, place), requests in route.requests.items():
                # The upper bound stands for all below: only what is above is slow.
                seconds = route.bounds[place]
                for objective in route.objectives:
                    bad = objective.verdict(status, seconds)
                    if bad is not None:
                        counts[objective.name][0] += requests
                        counts[objective.name][1] += bad * requests
        return {name: Counts(t, b) for name, (t, b) in counts.items()}
