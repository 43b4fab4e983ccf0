"""Listing and counting, for callers."""

from dataclasses import dataclass

from cortex.foundation.tenancy import Namespace, Principal
from cortex.memory.model import MemoryStats, Page, Selection
from cortex.memory.ports import MemoryStore


@dataclass(frozen=True, slots=True)
class ListMemories:
    """Lists one page, newest first."""

    store: MemoryStore

    async def __call__(
        self,
        namespace: Namespace,
        selection: Selection,
        cursor: str | None,
        limit: int,
        /,
    ) -> Page:
        """Return the page at ``cursor`` (None: the first)."""
        return await self.store.list(namespace, selection, cursor=cursor, limit=limit)


@dataclass(frozen=True, slots=True)
class MemoryStatistics:
    """Counts what a tenant holds, as far as the caller may see it."""

    store: MemoryStore

    async def __call__(
        self, principal: Principal, namespace: Namespace | None, /
    ) -> MemoryStats:
        """Return counts of one namespace, or of all the tenant's.

        A caller bound to some namespaces asks for one of them: the whole would tell
        of the others.
        """
        if namespace is None and "*" not in principal.namespaces:
            namespace = principal.namespace()
        return await self.store.stats(principal.tenant, namespace)
