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
        if (ids is None) == (selection is None):
            message = "give either ids or a selection of what to forget"
            raise ValidationError(message, field="ids")
        # Packs quote memories: they go first, so that the files are cleared of them
        # too, and again afterwards, for one may have been made in between.
        await self.changed(namespace)
        where = write_context(context)
        what = ids or () if selection is None else selection
        try:
            gone = await self.store.forget(namespace, what, context=where)
        finally:
            # Also for a caller that leaves: what it began goes on.
            await self.changed(namespace)
        person = None if selection is None else selection.user_id
        if person and selection == Selection(user_id=person):
            # All of a person goes: the ledger's copy becomes unreadable too.
            await self.shred(namespace.tenant, person, context)
        return gone
