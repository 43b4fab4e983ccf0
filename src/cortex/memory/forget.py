"""Forgetting: rows out of the tables, then their bytes out of every file.

Deleting is done in bounded batches, each a transaction with its event. The scrub that
follows empties the write-ahead log; callers that forget at the same time share one.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final, TypeVar

from cortex.foundation.clock import Clock
from cortex.foundation.tenancy import Namespace
from cortex.memory import selecting, writes
from cortex.memory.events import EventMaker
from cortex.memory.model import Forgotten, Quarantine, Selection
from cortex.memory.numbers import Numbers
from cortex.memory.ports import WriteContext
from cortex.memory.sealing import blinded_text
from cortex.memory.writes import SQL, Removed
from cortex.storage import outbox
from cortex.storage.errors import StorageBusy
from cortex.storage.sqlite import Connection, Database

T = TypeVar("T")

FORGET_BATCH: Final = 500
"""Rows in one transaction of a forget: bounds how long it holds the writer."""


class Forgetting:
    """Removes memories of one database for good."""

    def __init__(
        self, database: Database, numbers: Numbers, events: EventMaker, clock: Clock
    ) -> None:
        """Share the store's database and its parts."""
        self._database = database
        self._numbers = numbers
        self._events = events
        self._clock = clock
        self._turn = asyncio.Lock()
        self._deletions = 0
        # Whoever had the file before may have ended between a deletion and its scrub:
        # the first forget of a process clears the files whether it finds a row or not.
        self._scrubbed = -1

    async def by_ids(
        self, ns: Namespace, ids: Sequence[str], context: WriteContext
    ) -> Forgotten:
        """Forget the memories with these ids; those that are not here are skipped."""
        removed: list[Removed] = []
        ns_id = self._numbers.namespace(ns)
        if ns_id is not None:
            for batch in selecting.batches(ids, FORGET_BATCH):
                removed += await self._delete(ns, ns_id, batch, context)
        await self.scrub()
        return self._answer(removed)

    async def by_selection(
        self, ns: Namespace, selection: Selection, context: WriteContext
    ) -> Forgotten:
        """Forget what a selection names, and the conversations that it names whole.

        What is quarantined goes too: forgetting a person leaves nothing behind.
        """
        wanted = selection
        if selection.quarantine is Quarantine.EXCLUDED:
            wanted = replace(selection, quarantine=Quarantine.INCLUDED)
        removed: list[Removed] = []
        ns_id = self._numbers.namespace(ns)
        if ns_id is not None:
            async for ids in selecting.selected(
                self._database, self._numbers, ns, wanted, batch=FORGET_BATCH
            ):
                removed += await self._delete(ns, ns_id, ids, context)
        if ns_id is not None:
            await self._forget_sessions(ns, ns_id, selection)
        await self.scrub()
        return self._answer(removed)

    async def scrub(self) -> None:
        """Clear the bytes of all deletions committed so far from the files.

        Raises:
            StorageBusy: readers held old pages; the deletions stand, call again.
        """
        owed = self._deletions
        async with self._turn:
            if self._scrubbed >= owed:
                return
            covered = self._deletions
            await self._database.scrub()
            self._scrubbed = covered

    async def finish(self) -> None:
        """Clear what a caller left in the files who went away in the midst of it.

        Where readers hold old pages now, the next call does it.
        """
        if self._deletions <= max(self._scrubbed, 0):
            return
        try:
            await self.scrub()
        except StorageBusy:
            return

    async def _delete(
        self,
        ns: Namespace,
        ns_id: int,
        ids: Sequence[str],
        context: WriteContext,
    ) -> list[Removed]:
        def unit(connection: Connection) -> list[Removed]:
            seal = self._numbers.seals.reading(connection, ns.tenant)
            removed = writes.delete(connection, ns_id, ids, seal)
            if removed:
                event = self._events.forgotten(ns, removed, context)
                outbox.append(connection, event)
            return removed

        removed = await self._written(unit)
        if removed:
            self._deletions += 1
        return removed

    async def _written(self, unit: Callable[[Connection], T]) -> T:
        try:
            return await self._database.write(unit)
        except asyncio.CancelledError:
            # It may be carried out all the same: its bytes are owed like any other's.
            self._deletions += 1
            raise

    async def _forget_sessions(
        self, ns: Namespace, ns_id: int, selection: Selection
    ) -> None:
        """Remove conversations themselves when the selection is about them as such."""
        names = (selection.session_id, selection.user_id, selection.agent_id)
        only_names = Selection(session_id=names[0], user_id=names[1], agent_id=names[2])
        if selection != only_names:
            return

        def unit(connection: Connection) -> int:
            seal = self._numbers.seals.reading(connection, ns.tenant)
            session_id, *people = names
            values = (ns_id, session_id, *(blinded_text(seal, one) for one in people))
            return connection.execute(SQL["delete_sessions"], values).rowcount

        if await self._written(unit):
            self._deletions += 1

    def _answer(self, removed: Sequence[Removed]) -> Forgotten:
        return Forgotten(
            ids=tuple(one.id for one in removed),
            content_sha256=tuple(one.content_sha256 for one in removed),
            forgotten_at=self._clock.now(),
        )
