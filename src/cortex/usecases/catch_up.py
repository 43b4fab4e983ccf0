"""Embedding what has no vector in today's space: after an outage, or a new model.

Resumable: it asks the store what is missing, so a restart goes on where it stopped.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from cortex.foundation.clock import Clock
from cortex.foundation.errors import Unavailable
from cortex.foundation.tenancy import Namespace
from cortex.memory.ports import Embedded, MemoryStore, Pending
from cortex.usecases.preparing import Preparing
from cortex.usecases.remember import as_new

BATCH_ROWS = 32
"""Rows embedded between two writes: under a second of work on one core."""

IDLE_SECONDS = 5.0
"""How long to wait when nothing is missing or the embedder is down."""


@dataclass(frozen=True, slots=True)
class CatchUp:
    """Gives memories their missing vectors, in the background."""

    store: MemoryStore
    prepare: Preparing
    clock: Clock

    async def run(self) -> None:
        """Catch up for ever; ends by cancellation."""
        while True:
            if not await self.step():
                await self.clock.sleep(IDLE_SECONDS)

    async def step(self) -> int:
        """Embed one batch and return how many rows got their vectors."""
        space = self.prepare.embedder.info.space
        missing = await self.store.pending(space, limit=BATCH_ROWS)
        written = 0
        for namespace, rows in _by_namespace(missing).items():
            try:
                embedded = [await self._embedded(row) for row in rows]
            except Unavailable:
                return written
            written += await self.store.set_vectors(namespace, space, embedded)
        return written

    async def _embedded(self, row: Pending) -> Embedded:
        vectors = await self.prepare.vectors(as_new(row.memory))
        return Embedded(row.seq, row.memory.content_sha256, vectors)


def _by_namespace(rows: Sequence[Pending]) -> dict[Namespace, list[Pending]]:
    grouped: dict[Namespace, list[Pending]] = {}
    for row in rows:
        grouped.setdefault(row.namespace, []).append(row)
    return grouped
