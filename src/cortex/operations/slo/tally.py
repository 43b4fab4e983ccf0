"""Counts each finished request for the objectives it belongs to."""

from collections.abc import Iterable, Mapping

from cortex.operations.slo.model import Counts, Objective, covering


class Tally:
    """Good and bad requests of every objective since the process began.

    Counts are exact: a latency is judged by its own threshold, not by a histogram's
    nearest bound. For one thread, that of the event loop.
    """

    def __init__(self, objectives: Iterable[Objective]) -> None:
        """Count for these objectives; all begin at zero."""
        self._objectives = tuple(objectives)
        self._counts = {item.name: [0, 0] for item in self._objectives}
        self._of_route: dict[str, tuple[Objective, ...]] = {}

    def observe(self, route: str, status: int, seconds: float) -> None:
        """Count one finished request; ``route`` is a template, so there are few."""
        objectives = self._of_route.get(route)
        if objectives is None:
            objectives = covering(self._objectives, route)
            self._of_route[route] = objectives
        for objective in objectives:
            bad = objective.verdict(status, seconds)
            if bad is not None:
                counts = self._counts[objective.name]
                counts[0] += 1
                counts[1] += bad

    def counts(self) -> Mapping[str, Counts]:
        """Return the counts by the objective's name."""
        return {name: Counts(t, b) for name, (t, b) in self._counts.items()}
