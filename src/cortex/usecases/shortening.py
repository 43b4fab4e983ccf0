"""Shortening what may go into a context, and telling how each part was shortened."""

import asyncio
from collections.abc import Awaitable, Callable, Container, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from cortex.foundation.tenancy import Namespace, require_scope
from cortex.memory.packing import DroppedItem, DropReason, PackItem
from cortex.memory.strategies import Compression, Shorter, shortened
from cortex.security.scopes import Scope
from cortex.usecases.model import CallContext

NO_MODEL: Final = "no language model is configured (CORTEX_LLM__PROVIDER)"


def check_allowed(compression: Compression, context: CallContext) -> None:
    """Let those ask a language model who may do so elsewhere.

    Raises:
        PermissionDenied: the strategy needs the scope ``agents``.
    """
    if compression is Compression.ABSTRACTIVE:
        require_scope(context.scopes, Scope.AGENTS)


@dataclass(frozen=True, slots=True)
class Retold:
    """What a language model made of items: new texts by id, and what went wrong."""

    texts: Mapping[str, str] = field(default_factory=dict)
    failure: str = ""


Retell = Callable[[Sequence[PackItem], Namespace, CallContext], Awaitable[Retold]]


@dataclass(frozen=True, slots=True)
class Shortened:
    """Items as a strategy leaves them.

    Attributes:
        used: the strategy; another than was asked for where that could not be had.
        fallback: why; also why single items were not retold.
    """

    items: tuple[Shorter, ...]
    used: Compression
    fallback: str = ""

    def reason(self, dropped: DroppedItem) -> str:
        """Return why an item is not in the pack: one that repeats others is empty."""
        emptied = dropped.reason is DropReason.EMPTY and any(
            one.item.id == dropped.id and one.used is Compression.DEDUPLICATE
            for one in self.items
        )
        return (DropReason.DUPLICATE if emptied else dropped.reason).value

    def of(self, item_id: str, *, partial: bool) -> Shorter:
        """Return how an item stands in the pack."""
        found = next(one for one in self.items if one.item.id == item_id)
        return found.packed(self.used, partial=partial)


NOTHING: Final = Shortened((), Compression.EXTRACTIVE)


@dataclass(frozen=True, slots=True)
class Shortening:
    """Applies a strategy, with a language model's help where there is one."""

    retell: Retell | None = None

    async def __call__(
        self,
        items: Sequence[PackItem],
        compression: Compression,
        namespace: Namespace,
        context: CallContext,
        shown: Container[str] | None = None,
    ) -> Shortened:
        """Return the items shortened; whatever the budget, always the same way.

        ``shown``: ids of what a language model may see; None for all.
        """
        if compression is not Compression.ABSTRACTIVE:
            # Comparing many sentences takes a while: other requests go on meanwhile.
            made = await asyncio.to_thread(shortened, items, compression)
            return Shortened(made, compression)
        if self.retell is None:
            plain = shortened(items, Compression.EXTRACTIVE)
            return Shortened(plain, Compression.EXTRACTIVE, NO_MODEL)
        seen = [item for item in items if shown is None or item.id in shown]
        retold = await self.retell(seen, namespace, context)
        made = tuple(_retold(item, retold.texts.get(item.id)) for item in items)
        if retold.failure and not retold.texts:
            return Shortened(made, Compression.EXTRACTIVE, retold.failure)
        return Shortened(made, compression, retold.failure)


def _retold(item: PackItem, text: str | None) -> Shorter:
    """Take a text over if it is one and is shorter."""
    if text is None or not 0 < len(text.strip()) < len(item.text):
        return Shorter(item)
    new = replace(item, text=text.strip(), excerpts=())
    return Shorter(new, Compression.ABSTRACTIVE, lossy=True)
