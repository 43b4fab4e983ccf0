"""Forget: from every row, index, cache and file, then say so."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from cortex.foundation.errors import ValidationError
from cortex.foundation.tenancy import Namespace
from cortex.memory.model import Forgotten, Selection
from cortex.memory.ports import MemoryStore
from cortex.usecases.model import CallContext
from cortex.usecases.remember import Changed, write_context

Shred = Callable[[str, str, CallContext], Awaitable[None]]
"""Destroys the key to what the ledger keeps of a tenant's person."""


@dataclass(frozen=True, slots=True)
class Forget:
    """Removes memories and whatever was derived from them."""

    store: MemoryStore
    changed: Changed
    shred: Shred

    async def __call__(
        self,
        namespace: Namespace,
        /,
        *,
        ids: Sequence[str] | None,
        selection: Selection | None,
        context: CallContext,
    ) -> Forgotten:
        """Return ids and hashes of what was removed; its text is in no file.

        Raises:
            ValidationError: neither or both of ``ids`` and ``selection`` are given.
        """
        # Packs quote memories: they go first, so that none outlives its source.
        await self.changed(namespace)
        where = write_context(context)
        if ids is not None and selection is None:
            return await self.store.forget(namespace, ids, context=where)
        if selection is not None and ids is None:
            gone = await self.store.forget(namespace, selection, context=where)
            if selection == Selection(user_id=selection.user_id) and selection.user_id:
                # All of a person goes: the ledger's copy becomes unreadable too.
                await self.shred(namespace.tenant, selection.user_id, context)
            return gone
        message = "give either ids or a selection of what to forget"
        raise ValidationError(message, field="ids")
