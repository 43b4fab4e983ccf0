"""Quarantine and release: take memories out of every answer, and let them in again."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

from cortex.foundation.errors import ValidationError
from cortex.foundation.tenancy import Namespace
from cortex.memory.errors import MemoryNotFound
from cortex.memory.model import Memory, Quarantine, Quarantined, Selection
from cortex.memory.ports import MemoryStore, WriteContext
from cortex.memory.trust import SOURCE_CHARACTERS_MAX
from cortex.usecases.model import CallContext
from cortex.usecases.remember import Changed, write_context

RELEASE_BATCH = 100
"""Memories released together: some share of the writer's queue, never all of it."""


@dataclass(frozen=True, slots=True)
class QuarantineMemories:
    """Takes memories out of answers; the ledger hears which, why and by whom."""

    store: MemoryStore
    changed: Changed

    async def __call__(
        self,
        namespace: Namespace,
        what: Sequence[str] | Selection,
        reason: str,
        context: CallContext,
        /,
    ) -> Quarantined:
        """Return what was taken out; nothing answers with it from here on.

        Raises:
            ValidationError: the reason is empty or too long, or the selection selects
                everything.
            MemoryNotFound: one of the ids is not in the namespace.
        """
        if not reason.strip() or len(reason) > SOURCE_CHARACTERS_MAX:
            limit = SOURCE_CHARACTERS_MAX
            message = f"reason must have 1 to {limit} characters"
            raise ValidationError(message, field="reason", limit=limit)
        if what == Selection():
            message = "a quarantine needs an id or a condition"
            raise ValidationError(message, field="selection")
        if not isinstance(what, Selection):
            for memory_id in what:
                await self.store.get(namespace, memory_id)
        taken = await self.store.quarantine(
            namespace, what, reason=reason, context=write_context(context)
        )
        # A signed pack quotes memories: the kept one may quote what was taken out.
        await self.changed(namespace)
        return taken


@dataclass(frozen=True, slots=True)
class ReleaseMemories:
    """Ends all quarantines that a selection names: somebody has looked at them."""

    store: MemoryStore
    changed: Changed

    async def __call__(
        self, namespace: Namespace, selection: Selection, context: CallContext, /
    ) -> tuple[str, ...]:
        """Return the ids of what is answered again, in the order of storing.

        Raises:
            ValidationError: the selection selects everything.
        """
        if selection == Selection():
            message = "a release needs an id or a condition"
            raise ValidationError(message, field="selection")
        held = replace(selection, quarantine=Quarantine.ONLY)
        where = write_context(context)
        released: list[str] = []
        cursor: str | None = None
        while True:
            # A page may be empty and not the last: a filter looks at so many rows.
            page = await self.store.list(
                namespace, held, cursor=cursor, limit=RELEASE_BATCH, oldest_first=True
            )
            ids = [memory.id for memory in page.memories]
            # Together, so that they share the store's commits; waited for together,
            # so that none goes on when one fails.
            done = await asyncio.gather(
                *(self._released(namespace, memory_id, where) for memory_id in ids),
                return_exceptions=True,
            )
            for was in done:
                if isinstance(was, BaseException):
                    raise was
            released += [one for one, was in zip(ids, done, strict=True) if was]
            cursor = page.next_cursor
            if cursor is None:
                break
        await self.changed(namespace)
        return tuple(released)

    async def _released(
        self, namespace: Namespace, memory_id: str, context: WriteContext
    ) -> bool:
        """Release one; false when it was forgotten since it was listed."""
        try:
            await self.store.release(namespace, memory_id, context=context)
        except MemoryNotFound:
            return False
        return True


@dataclass(frozen=True, slots=True)
class ReleaseMemory:
    """Ends a quarantine: somebody has looked at the memory."""

    store: MemoryStore
    changed: Changed

    async def __call__(
        self, namespace: Namespace, memory_id: str, context: CallContext, /
    ) -> Memory:
        """Return the memory as it is now; one in no quarantine stays as it is.

        Raises:
            MemoryNotFound: no such memory in the namespace.
        """
        where = write_context(context)
        memory = await self.store.release(namespace, memory_id, context=where)
        await self.changed(namespace)
        return memory
