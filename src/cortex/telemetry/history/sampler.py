"""Reads the metrics of this process every ten seconds, on the clock's tens."""

import math
from collections.abc import Awaitable, Callable, Iterable, Iterator

from prometheus_client.metrics_core import Metric

from cortex.foundation.clock import Clock
from cortex.telemetry.history.model import (
    STEP_SECONDS,
    Kind,
    Run,
    Sample,
    labels_of,
)
from cortex.telemetry.history.ports import History

_COUNTERS = frozenset({"counter", "histogram", "summary"})
_CREATED = "_created"

EARLY_SECONDS = 0.05
"""How much before its instant a sample counts as on time: timers may wake early.

Stamped with the instant before, the first sample of a process would be older than the
process, and what was counted until then would seem to have been there always.
"""


class Sampler:
    """Writes what the metrics stand at into history."""

    def __init__(
        self,
        history: History,
        collect: Callable[[], Awaitable[Iterable[Metric]]],
        *,
        clock: Clock,
        run: Run,
    ) -> None:
        """Take where samples go and where they come from."""
        self._history = history
        self._collect = collect
        self._clock = clock
        self._run = run

    async def run(self) -> None:
        """Sample at every ten seconds, until cancelled."""
        while True:
            now = self._clock.now()
            await self._clock.sleep(next_instant(now + EARLY_SECONDS) - now)
            await self.sample()

    async def sample(self) -> bool:
        """Sample once, for the last instant; False when another process did."""
        at = (self._clock.now() + EARLY_SECONDS) // STEP_SECONDS * STEP_SECONDS
        found = list(samples(await self._collect()))
        return await self._history.append(at, found, self._run)


def next_instant(now: float) -> float:
    """Return the first multiple of the step after ``now``."""
    return (math.floor(now / STEP_SECONDS) + 1) * STEP_SECONDS


def samples(metrics: Iterable[Metric]) -> Iterator[Sample]:
    """Yield what the metrics stand at; times of creation are left out."""
    for metric in metrics:
        kind = Kind.COUNTER if metric.type in _COUNTERS else Kind.GAUGE
        for sample in metric.samples:
            if kind is Kind.COUNTER and sample.name.endswith(_CREATED):
                continue
            value = float(sample.value)
            yield Sample(sample.name, labels_of(sample.labels), kind, value)
