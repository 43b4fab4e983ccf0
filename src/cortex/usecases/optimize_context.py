"""Fitting a caller's own items into a budget, by priority against length."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from cortex.foundation.canonical import JsonValue
from cortex.foundation.clock import Clock
from cortex.foundation.tenancy import Namespace
from cortex.inference.ports import TokenCounter, TokenCounters
from cortex.memory.packing import Pack, PackItem, decayed_priority, optimize
from cortex.memory.strategies import cut_of
from cortex.usecases.model import (
    CallContext,
    DroppedItem,
    Optimized,
    OptimizedItem,
    OptimizeItem,
    OptimizeRequest,
)
from cortex.usecases.shortening import Shortened, Shortening, check_allowed

CATEGORY_ORDER: Final = (
    "system",
    "instruction",
    "tool",
    "memory",
    "context",
    "general",
    "history",
    "query",
)
"""Prompt order of categories; unknown ones stand where ``general`` stands."""

OCCURRED_AT: Final = "occurred_at"
"""Metadata key (epoch seconds) that lets an item's priority decay with age."""


@dataclass(frozen=True, slots=True)
class OptimizeContext:
    """Chooses items; keeps nothing."""

    counters: TokenCounters
    clock: Clock
    shortening: Shortening = field(default_factory=Shortening)

    async def __call__(
        self, namespace: Namespace, request: OptimizeRequest, context: CallContext, /
    ) -> Optimized:
        """Return what fits, in prompt order, and why the rest does not.

        ``namespace`` is where a language model's calls are accounted for.

        Raises:
            PermissionDenied: the compression needs a scope that the caller lacks.
        """
        check_allowed(request.compression, context)
        counter = await asyncio.to_thread(self.counters.for_model, request.model)
        items = [
            _pack_item(number, item, self.clock.now())
            for number, item in enumerate(request.items)
        ]
        shortened = await self.shortening(
            items, request.compression, namespace, context
        )
        packed = await asyncio.to_thread(
            optimize,
            [one.item for one in shortened.items],
            request.max_tokens,
            counter.count,
            reserve_tokens=request.reserve_tokens,
            cut=cut_of(shortened.used),
        )
        return _answer(packed, request.items, counter, shortened)


def _pack_item(number: int, item: OptimizeItem, now: float) -> PackItem:
    return PackItem(
        id=str(number),
        text=item.content,
        worth=_worth(item.priority, item.metadata, now),
        position=_place(item.category),
        category=item.category,
    )


def _worth(priority: float, metadata: Mapping[str, JsonValue], now: float) -> float:
    occurred = metadata.get(OCCURRED_AT)
    if isinstance(occurred, bool) or not isinstance(occurred, int | float):
        return priority
    return decayed_priority(priority, now - occurred)


def _place(category: str) -> float:
    name = category.lower()
    known = name if name in CATEGORY_ORDER else "general"
    return float(CATEGORY_ORDER.index(known))


def _answer(
    packed: Pack,
    given: Sequence[OptimizeItem],
    counter: TokenCounter,
    shortened: Shortened,
) -> Optimized:
    items = []
    for one in packed.items:
        index = int(one.id)
        kept = replace(given[index], content=one.text)
        stands = shortened.of(one.id, partial=one.partial)
        items.append(
            OptimizedItem(
                index,
                kept,
                counter.count(one.text),
                counter.count(given[index].content),
                stands.used,
                stands.lossy,
            )
        )
    dropped = [
        DroppedItem(
            int(o.id), shortened.reason(o), counter.count(given[int(o.id)].content)
        )
        for o in packed.dropped
    ]
    return Optimized(
        items=tuple(items),
        dropped=tuple(dropped),
        total_tokens=packed.total_tokens,
        budget_used_percent=round(packed.budget_used_percent, 2),
        token_method=counter.method,
        token_exact=counter.exact,
        compression=shortened.used,
        compression_fallback=shortened.fallback,
    )
