"""What cosines are like by chance in a namespace: those of an even sample."""

from typing import Final

import numpy as np

from cortex.memory.shard import Shard
from cortex.memory.vectors import Asked, Floats, Rows, VectorIndex

SAMPLE_ROWS: Final = 1_000
"""Vectors that are looked at, about; all of them where there are fewer."""

SAMPLED_AFRESH_MAX: Final = 8_192
"""Vectors up to which the sample is drawn for each query, from all cosines."""

SAMPLE_DRIFT: Final = 1.05
"""Growth of a shard after which its kept sample is drawn again."""


class ChanceSample:
    """The sample of one shard; kept, where drawing it costs more than the query."""

    __slots__ = ("_drawn_at", "_kept")

    def __init__(self) -> None:
        """Nothing is drawn yet."""
        self._kept: VectorIndex | None = None
        self._drawn_at = 0

    def cosines(self, shard: Shard, asked: Asked, query: Floats) -> Floats:
        """Return the cosines of the sample with a query."""
        if shard.vectors is None:
            return np.empty(0, np.float32)
        if len(shard.vectors) <= SAMPLED_AFRESH_MAX:
            return asked.cosines(_drawn(shard))
        moved = len(shard.vectors) + shard.dead_rows
        if self._kept is None or moved > self._drawn_at * SAMPLE_DRIFT:
            self._kept = shard.vectors.take(_drawn(shard))
            self._drawn_at = moved
        return self._kept.ask(query).cosines(np.arange(len(self._kept)))


def _drawn(shard: Shard) -> Rows:
    live = shard.row_mask(None)
    size = 0 if shard.vectors is None else len(shard.vectors)
    rows = np.arange(size) if live is None else np.flatnonzero(live)
    return rows[:: max(1, len(rows) // SAMPLE_ROWS)]
