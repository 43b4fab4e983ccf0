"""Counts each finished request for the objectives it belongs to."""

from collections.abc import Callable, Iterable, Mapping
from typing import TypeAlias

from cortex.operations.slo.model import Counts, Objective, covering

Watched: TypeAlias = tuple[tuple[Callable[[int, float], bool | None], list[int]], ...]
"""The verdicts on requests of one route, each with what it counts: total and bad."""


class Tally:
    """Good and bad requests of every objective since the process began.

    Counts are exact: a latency is judged by its own threshold, not by a histogram's
    nearest bound. For one thread, that of the event loop.
    """

    def __init__(self, objectives: Iterable[Objective]) -> None:
        """Count for these objectives; all begin at zero."""
        self._objectives = tuple(objectives)
        self._counts = {item.name: [0, 0] for item in self._objectives}
        self._of_route: dict[str, Watched] = {}

    def observe(self, route: str, status: int, seconds: float) -> None:
        """Count one finished request; ``route`` is a template, so there are few."""
        watched = self._of_route.get(route)
        if watched is None:
            watched = self._of_route[route] = tuple(
                (item.verdict, self._counts[item.name])
                for item in covering(self._objectives, route)
            )
        for verdict, counts in watched:
            bad = verdict(status, seconds)
            if bad is not None:
                counts[0] += 1
                counts[1] += bad

    def counts(self) -> Mapping[str, Counts]:
        """Return the counts by the objective's name."""
        return {name: Counts(t, b) for name, (t, b) in self._counts.items()}
