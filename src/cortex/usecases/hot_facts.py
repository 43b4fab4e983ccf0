"""The memories that deserve a place in a context pack: hot ones, then the newest."""

from collections.abc import Sequence
from dataclasses import dataclass

from cortex.foundation.tenancy import Namespace
from cortex.memory.model import Memory, Selection, Tier
from cortex.memory.ports import MemoryStore


@dataclass(frozen=True, slots=True)
class HotFacts:
    """Chooses facts by tier, then importance, then age."""

    store: MemoryStore

    async def __call__(self, namespace: Namespace, limit: int) -> Sequence[Memory]:
        """Return at most ``limit`` memories, the worthiest first."""
        hot = await self._page(namespace, frozenset({Tier.HOT}), limit)
        if len(hot) < limit:
            hot += await self._page(namespace, frozenset({Tier.WARM}), limit - len(hot))
        return hot

    async def _page(
        self, namespace: Namespace, tiers: frozenset[Tier], limit: int
    ) -> list[Memory]:
        page = await self.store.list(
            namespace, Selection(tiers=tiers), cursor=None, limit=limit
        )
        found = list(page.memories)
        # Stable: equally important ones stay newest first.
        found.sort(key=lambda memory: -memory.importance)
        return found
