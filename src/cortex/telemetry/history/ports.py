"""What a store of history does."""

from collections.abc import Sequence
from typing import Protocol

from cortex.telemetry.history.model import Catalogued, Run, Sample, Selector, Series


class History(Protocol):
    """Keeps samples for 30 days, coarser with age: 10 s, then 1 min, then 1 h."""

    async def append(self, at: float, samples: Sequence[Sample], run: Run) -> bool:
        """Keep all samples of one instant.

        Args:
            at: epoch seconds, a multiple of ``STEP_SECONDS``.
            samples: of every series that there is now.
            run: whose counters they are; a new one tells that they began anew.

        Returns:
            False when this instant is there already, from another process.
        """
        ...

    async def select(
        self, selector: Selector, start: float, end: float, *, step: float = 0.0
    ) -> list[Series]:
        """Return the series with their values from ``start`` to ``end``, both in.

        Counters are totals that never fall, over restarts; a counter born in this
        time begins with a zero at its birth. Series without a value are left out.

        Args:
            selector: which series.
            start: epoch seconds.
            end: epoch seconds.
            step: seconds between values that are enough; coarser values are read
                when they are, or when finer ones are no longer kept.
        """
        ...

    async def catalog(self) -> list[Catalogued]:
        """Return every metric that is kept, by name."""
        ...
