"""Remember and change: limits, analysis and embedding, then one durable write."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from cortex.foundation.errors import Conflict, PayloadTooLarge, ValidationError
from cortex.foundation.limits import MEMORY_ITEMS_PER_REQUEST_MAX
from cortex.foundation.tenancy import Namespace, Principal
from cortex.memory.model import Memory, MemoryPatch, NewMemory, Stored
from cortex.memory.ports import MemoryStore, WriteContext
from cortex.usecases.model import CallContext
from cortex.usecases.preparing import Preparing, check_item

UPDATE_TRIES_MAX = 5
"""Analyses of a memory that others rewrite at the same time, before it is refused."""

Changed = Callable[[Namespace], Awaitable[None]]
"""Told after a change to what a namespace holds."""


def write_context(context: CallContext) -> WriteContext:
    """Return on whose behalf the store writes."""
    return WriteContext(context.correlation_id, context.actor, context.traceparent)


@dataclass(frozen=True, slots=True)
class Remember:
    """Stores a batch whole or not at all."""

    store: MemoryStore
    prepare: Preparing

    async def __call__(
        self,
        principal: Principal,
        namespace: Namespace,
        items: Sequence[NewMemory],
        context: CallContext,
        /,
    ) -> list[Stored]:
        """Return one answer an item, in order; durable when returned.

        Raises:
            ValidationError: no items, or an item breaks a rule; nothing was stored.
            PayloadTooLarge: too many items; nothing was stored.
        """
        del principal  # who may write here was decided when the namespace was given
        if not items:
            raise ValidationError("items must hold at least one item", field="items")
        if len(items) > MEMORY_ITEMS_PER_REQUEST_MAX:
            limit = MEMORY_ITEMS_PER_REQUEST_MAX
            message = f"items has {len(items)} items; the limit is {limit}"
            raise PayloadTooLarge(message, field="items", limit=limit)
        prepared = await self.prepare(items)
        return await self.store.add(namespace, prepared, context=write_context(context))


@dataclass(frozen=True, slots=True)
class UpdateMemory:
    """Changes fields; a new content or author is analysed and embedded anew."""

    store: MemoryStore
    prepare: Preparing
    changed: Changed

    async def __call__(
        self,
        namespace: Namespace,
        memory_id: str,
        patch: MemoryPatch,
        context: CallContext,
        /,
    ) -> Memory:
        """Return the changed memory.

        Raises:
            NotFound: no such memory in the namespace.
            ValidationError: the changed memory would break a rule.
            Conflict: others rewrite it all the time.
        """
        tries = 1
        while True:
            try:
                memory = await self._once(namespace, memory_id, patch, context)
            except asyncio.CancelledError:
                # What the caller began may be durable all the same.
                await self.changed(namespace)
                raise
            except Conflict:
                # It was rewritten while its words were analysed: analyse the new ones.
                tries += 1
                if tries > UPDATE_TRIES_MAX:
                    raise
            else:
                await self.changed(namespace)
                return memory

    async def _once(
        self,
        namespace: Namespace,
        memory_id: str,
        patch: MemoryPatch,
        context: CallContext,
    ) -> Memory:
        before = await self.store.get(namespace, memory_id)
        after = _patched(before, patch)
        check_item(after, "")
        prepared = None
        if patch.content is not None or patch.author is not None:
            (prepared,) = await self.prepare([after])
        return await self.store.update(
            namespace,
            memory_id,
            patch,
            prepared=prepared,
            context=write_context(context),
        )


def as_new(memory: Memory) -> NewMemory:
    """Return a stored memory as the item it was made from."""
    return NewMemory(
        content=memory.content,
        author=memory.author,
        kind=memory.kind,
        session_id=memory.session_id,
        agent_id=memory.agent_id,
        user_id=memory.user_id,
        importance=memory.importance,
        tags=memory.tags,
        metadata=memory.metadata,
        occurred_at=memory.occurred_at,
        valid_from=memory.valid_from,
        valid_to=memory.valid_to,
        modality=memory.modality,
        run_id=memory.provenance.run_id,
        source=memory.provenance.source,
        source_kind=memory.provenance.source_kind,
        trust=memory.trust,
    )


def _patched(memory: Memory, patch: MemoryPatch) -> NewMemory:
    item = as_new(memory)
    return replace(
        item,
        content=item.content if patch.content is None else patch.content,
        author=item.author if patch.author is None else patch.author,
        kind=item.kind if patch.kind is None else patch.kind,
        importance=item.importance if patch.importance is None else patch.importance,
        tags=item.tags if patch.tags is None else patch.tags,
        metadata=item.metadata if patch.metadata is None else patch.metadata,
        valid_from=item.valid_from if patch.valid_from is None else patch.valid_from,
        valid_to=item.valid_to if patch.valid_to is None else patch.valid_to,
        ttl_seconds=patch.ttl_seconds,
    )
