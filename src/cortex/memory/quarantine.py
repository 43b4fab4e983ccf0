"""Quarantine: memories that are kept, and kept out of every answer.

In bounded batches, each a transaction with its event, as forgetting is.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from cortex.foundation.clock import Clock
from cortex.foundation.tenancy import Namespace
from cortex.memory import reads, selecting, writes
from cortex.memory.events import EventMaker
from cortex.memory.model import Quarantine, Quarantined, Selection
from cortex.memory.numbers import Numbers
from cortex.memory.ports import WriteContext
from cortex.memory.rows import RecordRow
from cortex.storage import outbox
from cortex.storage.sqlite import Connection, Database

QUARANTINE_BATCH: Final = 500
"""Rows in one transaction of a quarantine: bounds how long it holds the writer."""


class Quarantining:
    """Takes memories of one database out of answers, and lets them in again."""

    def __init__(
        self, database: Database, numbers: Numbers, events: EventMaker, clock: Clock
    ) -> None:
        """Share the store's database and its parts."""
        self._database = database
        self._numbers = numbers
        self._events = events
        self._clock = clock

    async def take(
        self,
        ns: Namespace,
        what: Sequence[str] | Selection,
        reason: str,
        context: WriteContext,
    ) -> Quarantined:
        """Quarantine by ids or by selection; see ``MemoryStore.quarantine``."""
        now = self._clock.now()
        ns_id = self._numbers.namespace(ns)
        taken: list[str] = []
        if ns_id is None:
            return Quarantined((), reason, now)
        place = writes.Place(ns_id, {}, now)
        if isinstance(what, Selection):
            free = replace(what, quarantine=Quarantine.EXCLUDED)
            async for ids in selecting.selected(
                self._database, self._numbers, ns, free, batch=QUARANTINE_BATCH
            ):
                taken += await self._take(ns, place, ids, reason, context)
        else:
            for batch in selecting.batches(what, QUARANTINE_BATCH):
                taken += await self._take(ns, place, batch, reason, context)
        return Quarantined(tuple(taken), reason, now)

    async def release(
        self, ns: Namespace, memory_id: str, context: WriteContext
    ) -> RecordRow | None:
        """End one quarantine and return the row, None when there is none."""
        ns_id = self._numbers.namespace(ns)
        if ns_id is None:
            return None

        def unit(connection: Connection) -> RecordRow | None:
            seal = self._numbers.seals.reading(connection, ns.tenant)
            before = reads.record(connection, ns_id, memory_id, seal)
            if before is not None and writes.release(connection, ns_id, memory_id):
                why = before.quarantine_reason
                event = self._events.released(ns, memory_id, why, context)
                outbox.append(connection, event)
            return reads.record(connection, ns_id, memory_id, seal)

        return await self._database.write(unit)

    async def _take(
        self,
        ns: Namespace,
        place: writes.Place,
        ids: Sequence[str],
        reason: str,
        context: WriteContext,
    ) -> list[str]:
        def unit(connection: Connection) -> list[str]:
            taken = writes.quarantine(connection, place, ids, reason)
            if taken:
                event = self._events.quarantined(ns, taken, reason, context)
                outbox.append(connection, event)
            return taken

        return await self._database.write(unit)
