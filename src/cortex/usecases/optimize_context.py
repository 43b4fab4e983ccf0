"""Fitting a caller's own items into a budget, by priority against length."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from cortex.foundation.canonical import JsonValue
from cortex.foundation.clock import Clock
from cortex.inference.ports import TokenCounter, TokenCounters
from cortex.memory.packing import Pack, PackItem, decayed_priority, optimize
from cortex.usecases.model import (
    DroppedItem,
    Optimized,
    OptimizedItem,
    OptimizeItem,
    OptimizeRequest,
)

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

    async def __call__(self, request: OptimizeRequest, /) -> Optimized:
        """Return what fits, in prompt order, and why the rest does not."""
        counter = await asyncio.to_thread(self.counters.for_model, request.model)
        items = [
            _pack_item(number, item, self.clock.now())
            for number, item in enumerate(request.items)
        ]
        packed = await asyncio.to_thread(
            optimize,
            items,
            request.max_tokens,
            counter.count,
            reserve_tokens=request.reserve_tokens,
        )
        return _answer(packed, request.items, counter)


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
    packed: Pack, given: Sequence[OptimizeItem], counter: TokenCounter
) -> Optimized:
    items = []
    for one in packed.items:
        index = int(one.id)
        kept = replace(given[index], content=one.text)
        items.append(OptimizedItem(index, kept, counter.count(one.text)))
    dropped = [
        DroppedItem(int(o.id), o.reason.value, counter.count(given[int(o.id)].content))
        for o in packed.dropped
    ]
    return Optimized(
        items=tuple(items),
        dropped=tuple(dropped),
        total_tokens=packed.total_tokens,
        budget_used_percent=round(packed.budget_used_percent, 2),
        token_method=counter.method,
        token_exact=counter.exact,
    )
