"""Counts of the past from the history of metrics: fine near now, coarse long ago."""

from collections.abc import Mapping, Sequence

from cortex.operations.slo.track import (
    COARSE_SECONDS,
    COARSE_STEP_SECONDS,
    FINE_SECONDS,
    OLD_STEP_SECONDS,
)
from cortex.telemetry.history.model import STEP_SECONDS, Selector
from cortex.telemetry.history.ports import History


class HistoryCounters:
    """Reads counters of every label value at once."""

    def __init__(self, history: History) -> None:
        """Take the history that is kept."""
        self._history = history

    async def counters(
        self, name: str, label: str, start: float, end: float
    ) -> Mapping[str, Sequence[tuple[float, float]]]:
        """Return (epoch seconds, total over restarts) by the label's value."""
        edges = (
            (start, end - COARSE_SECONDS, OLD_STEP_SECONDS),
            (end - COARSE_SECONDS, end - FINE_SECONDS, COARSE_STEP_SECONDS),
            (end - FINE_SECONDS, end, STEP_SECONDS),
        )
        found: dict[str, list[tuple[float, float]]] = {}
        for first, last, step in edges:
            if last <= first:
                continue
            for series in await self._history.select(
                Selector(name), first, last, step=step
            ):
                points = found.setdefault(dict(series.labels).get(label, ""), [])
                latest = points[-1][0] if points else float("-inf")
                points += [
                    (at, value)
                    for at, value in zip(
                        series.times.tolist(), series.values.tolist(), strict=True
                    )
                    if at > latest
                ]
        return found
