"""Embedding what has no vector in today's space: after an outage, or a new model.

Resumable: it asks the store what is missing, so a restart goes on where it stopped.
"""

from collections.abc import Sequence

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


class CatchUp:
    """Gives memories their missing vectors, in the background."""

    def __init__(self, store: MemoryStore, prepare: Preparing, clock: Clock) -> None:
        """Take the store to ask and the way to embed."""
        self._store = store
        self._prepare = prepare
        self._clock = clock
        self._after = 0

    async def run(self) -> None:
        """Catch up for ever; ends by cancellation."""
        while True:
            if not await self.step():
                await self._clock.sleep(IDLE_SECONDS)

    async def step(self) -> int:
        """Embed one batch and return how many rows got their vectors.

        A row that the embedder refuses for good is passed over until the next round,
        so that it does not hold up those behind it.
        """
        space = self._prepare.embedder.info.space
        missing = await self._store.pending(space, after=self._after, limit=BATCH_ROWS)
        if not missing:
            self._after = 0
            return 0
        written = 0
        for namespace, rows in _by_namespace(missing).items():
            try:
                embedded = [one for row in rows for one in await self._embedded(row)]
            except Unavailable:
                self._after = 0
                return written
            written += await self._store.set_vectors(namespace, space, embedded)
        self._after = max(row.seq for row in missing)
        return written

    async def _embedded(self, row: Pending) -> tuple[Embedded, ...]:
        try:
            vectors = await self._prepare.vectors(as_new(row.memory))
        except Unavailable as error:
            if error.retryable:
                raise
            return ()
        return (Embedded(row.seq, row.memory.content_sha256, vectors),)


def _by_namespace(rows: Sequence[Pending]) -> dict[Namespace, list[Pending]]:
    grouped: dict[Namespace, list[Pending]] = {}
    for row in rows:
        grouped.setdefault(row.namespace, []).append(row)
    return grouped
