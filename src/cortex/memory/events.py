"""The events that memory emits: ids, counts and hashes, never content."""

from collections.abc import Sequence
from dataclasses import dataclass

from cortex.bus.events import Event
from cortex.foundation.canonical import JsonValue
from cortex.foundation.clock import Clock
from cortex.foundation.ids import IdSource
from cortex.foundation.tenancy import Namespace
from cortex.memory.model import Tier
from cortex.memory.ports import WriteContext
from cortex.memory.writes import Removed

SOURCE = "/cortex/memory"


@dataclass(frozen=True, slots=True)
class EventMaker:
    """Makes events with an id and a time; one for each store."""

    clock: Clock
    ids: IdSource

    def stored(self, ns: Namespace, ids: Sequence[str], context: WriteContext) -> Event:
        """Return ``memory.stored`` for new memories."""
        data: dict[str, JsonValue] = {
            "namespace": ns.name,
            "ids": list(ids),
            "count": len(ids),
            "actor": context.actor,
        }
        return self._event("memory.stored", ns, data, context)

    def updated(
        self,
        ns: Namespace,
        memory_id: str,
        content_sha256: str,
        fields: Sequence[str],
        context: WriteContext,
    ) -> Event:
        """Return ``memory.updated`` for one changed memory."""
        data: dict[str, JsonValue] = {
            "namespace": ns.name,
            "ids": [memory_id],
            "content_sha256": [content_sha256],
            "fields": list(fields),
            "actor": context.actor,
        }
        return self._event("memory.updated", ns, data, context)

    def forgotten(
        self, ns: Namespace, removed: Sequence[Removed], context: WriteContext
    ) -> Event:
        """Return ``memory.forgotten``: what outlives a memory."""
        data: dict[str, JsonValue] = {
            "namespace": ns.name,
            "ids": [one.id for one in removed],
            "content_sha256": [one.content_sha256 for one in removed],
            "count": len(removed),
            "actor": context.actor,
        }
        return self._event("memory.forgotten", ns, data, context)

    def quarantined(
        self, ns: Namespace, ids: Sequence[str], reason: str, context: WriteContext
    ) -> Event:
        """Return ``memory.quarantined``: what is kept out of answers, and why."""
        data: dict[str, JsonValue] = {
            "namespace": ns.name,
            "ids": list(ids),
            "count": len(ids),
            "reason": reason,
            "actor": context.actor,
        }
        return self._event("memory.quarantined", ns, data, context)

    def released(
        self, ns: Namespace, memory_id: str, reason: str, context: WriteContext
    ) -> Event:
        """Return ``memory.released``; ``reason`` is that of the quarantine it ends."""
        data: dict[str, JsonValue] = {
            "namespace": ns.name,
            "ids": [memory_id],
            "count": 1,
            "reason": reason,
            "actor": context.actor,
        }
        return self._event("memory.released", ns, data, context)

    def moved(
        self,
        ns: Namespace,
        ids: Sequence[str],
        tiers: tuple[Tier, Tier],
        context: WriteContext,
    ) -> Event:
        """Return ``memory.promoted`` or ``memory.demoted``, by the two tiers."""
        source, target = tiers
        order = (Tier.COLD, Tier.WARM, Tier.HOT)
        up = order.index(target) > order.index(source)
        data: dict[str, JsonValue] = {
            "namespace": ns.name,
            "ids": list(ids),
            "from_tier": source.value,
            "to_tier": target.value,
            "count": len(ids),
        }
        name = "memory.promoted" if up else "memory.demoted"
        return self._event(name, ns, data, context)

    def _event(
        self,
        name: str,
        ns: Namespace,
        data: dict[str, JsonValue],
        context: WriteContext,
    ) -> Event:
        ids = data["ids"]
        single = isinstance(ids, list) and len(ids) == 1
        return Event(
            id=self.ids.new(),
            type=name,
            source=SOURCE,
            time=self.clock.now(),
            subject=str(ids[0]) if single and isinstance(ids, list) else "",
            tenant=ns.tenant,
            data=data,
            correlation_id=context.correlation_id,
            traceparent=context.traceparent,
        )
