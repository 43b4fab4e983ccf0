"""The signed context pack: what a tenant's agents should have at hand now.

A pack is small (30 KB at most), carries its own freshness, and is signed over exactly
what is returned, so that whoever holds the key can verify it later.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol, cast

from cortex.foundation.cache import Cache
from cortex.foundation.canonical import JsonValue, canonical_json, sha256_hex
from cortex.foundation.clock import Clock
from cortex.foundation.errors import PayloadTooLarge, Unavailable
from cortex.foundation.tenancy import Namespace, Principal
from cortex.memory.model import Memory
from cortex.usecases.model import Resource

HOT_FACTS_MAX = 20
"""Facts considered for a pack: more than an agent reads at a glance."""

HOT_FACT_BYTES_MAX = 2_000
"""Serialized bytes of one fact (the contract says under 2 KB)."""

SUMMARY_TOKENS_MAX = 200
"""Tokens of the extractive summary."""

PACKS_KNOWN_MAX = 10_000
"""Packs of which it is known that this process made them: about 3 MB."""

Pack = dict[str, JsonValue]


class Signs(Protocol):
    """Signs and verifies objects."""

    def sign(self, unsigned: Mapping[str, JsonValue]) -> Pack:
        """Return a copy with ``signature`` added."""
        ...

    def verify(self, signed: Mapping[str, JsonValue]) -> bool:
        """Tell whether the signature is right."""
        ...


class Shelf(Protocol):
    """Keeps the last packs of a namespace across restarts, one for each reach."""

    async def load(self, namespace: Namespace, reach: str) -> Pack | None:
        """Return the pack kept for callers of that reach, if any."""
        ...

    async def save(
        self, namespace: Namespace, reach: str, pack: Pack, *, ttl_seconds: float
    ) -> None:
        """Keep a pack for at most ``ttl_seconds``."""
        ...

    async def drop(self, namespace: Namespace) -> None:
        """Forget the packs of the namespace, whatever their reach."""
        ...


@dataclass(frozen=True, slots=True)
class SnapshotOptions:
    """Limits of a pack.

    Attributes:
        ttl_seconds: how long a pack may be answered from the cache.
        size_bytes_max: of its canonical JSON; above it facts, then resources go.
    """

    ttl_seconds: float = 120.0
    size_bytes_max: int = 30_720


@dataclass(frozen=True, slots=True)
class SnapshotSources:
    """Where the parts of a pack come from."""

    facts: Callable[[Namespace, int], Awaitable[Sequence[Memory]]]
    resources: Callable[[Principal], Awaitable[Sequence[Resource]]]
    summarise: Callable[[Sequence[str], int], str]
    count_tokens: Callable[[str], int]


class Snapshot:
    """Builds, caches and signs the context pack of a namespace."""

    def __init__(
        self,
        sources: SnapshotSources,
        *,
        shelf: Shelf,
        signer: Signs,
        clock: Clock,
        options: Callable[[], SnapshotOptions],
    ) -> None:
        """Take the sources, the place to keep packs, the key, and limits in force."""
        self._sources = sources
        self._shelf = shelf
        self._signer = signer
        self._clock = clock
        self._options = options
        self._made_here: Cache[tuple[Namespace, str], str] = Cache(PACKS_KNOWN_MAX)
        self._invalidated = 0

    async def __call__(
        self, principal: Principal, since: str | None = None
    ) -> Mapping[str, JsonValue]:
        """Return the pack; the kept one when ``since`` names it and it is in time.

        Raises:
            PayloadTooLarge: over the size cap even without facts and resources.
            Unavailable: the store is down and no earlier pack is kept.
        """
        namespace, reach = principal.namespace(), _reach(principal)
        kept = await self._kept(namespace, reach)
        if kept is not None and since == kept["generated_at"] and self._in_time(kept):
            here = self._made_here.get((namespace, reach)) == kept["generated_at"]
            return self._resigned(kept, "cached" if here else "restored")
        invalidated = self._invalidated
        try:
            pack = await self._build(principal, namespace)
        except Unavailable:
            if kept is None:
                raise
            return self._resigned(kept, "stale")
        if invalidated == self._invalidated:
            # Kept ten times as long as it is fresh: a stale pack beats none.
            kept_seconds = self._options().ttl_seconds * 10
            await self._shelf.save(namespace, reach, pack, ttl_seconds=kept_seconds)
            made = cast("str", pack["generated_at"])
            self._made_here.put((namespace, reach), made)
        return pack

    async def invalidate(self, namespace: Namespace) -> None:
        """Drop the kept pack: something in it was changed or forgotten.

        Nor is one kept that is being made now: it may quote what was there before.
        """
        # Which packs this process made is left: a dropped one is never asked for.
        self._invalidated += 1
        await self._shelf.drop(namespace)

    async def _kept(self, namespace: Namespace, reach: str) -> Pack | None:
        try:
            pack = await self._shelf.load(namespace, reach)
        except Unavailable:
            return None
        return pack if pack is not None and self._signer.verify(pack) else None

    def _in_time(self, pack: Pack) -> bool:
        generated = datetime.fromisoformat(cast("str", pack["generated_at"]))
        age = self._clock.now() - generated.timestamp()
        return 0 <= age < self._options().ttl_seconds

    def _resigned(self, pack: Pack, freshness: str) -> Pack:
        return self._signer.sign({**pack, "freshness": freshness})

    async def _build(self, principal: Principal, namespace: Namespace) -> Pack:
        memories = await self._sources.facts(namespace, HOT_FACTS_MAX)
        resources = await self._sources.resources(principal)
        texts = [memory.content for memory in memories]
        summary = self._sources.summarise(texts, SUMMARY_TOKENS_MAX) if texts else ""
        facts = [fact for fact in map(_fact, memories) if fact is not None]
        listed = [_resource(resource) for resource in resources]
        while True:
            pack = self._pack(summary, facts, listed)
            size = len(canonical_json(pack))
            if size <= self._options().size_bytes_max:
                return pack
            # Facts go first, the least worthy before the others; then resources.
            if facts:
                facts.pop()
            elif listed:
                listed.pop()
            else:
                message = f"the context pack has {size} bytes even when trimmed"
                limit = self._options().size_bytes_max
                raise PayloadTooLarge(message, field="snapshot", limit=limit)

    def _pack(
        self, summary: str, facts: Sequence[Pack], resources: Sequence[Pack]
    ) -> Pack:
        text = "\n".join([summary, *(cast("str", fact["content"]) for fact in facts)])
        generated = datetime.fromtimestamp(self._clock.now(), UTC)
        return self._signer.sign(
            {
                "generated_at": generated.isoformat(timespec="microseconds"),
                "ttl_seconds": self._options().ttl_seconds,
                "summary": summary,
                "resources": list(resources),
                "hot_facts": list(facts),
                "token_count": self._sources.count_tokens(text),
                "freshness": "fresh",
            }
        )


def _reach(principal: Principal) -> str:
    """Name what a caller may see: a pack lists resources, so it is for its like."""
    held = {
        "scopes": [*sorted(principal.scopes)],
        "namespaces": [*sorted(principal.namespaces)],
    }
    return sha256_hex(canonical_json(held))


def _fact(memory: Memory) -> Pack | None:
    """Return a memory as a fact under the size limit, or None when it is too long."""
    fact: Pack = {
        "id": memory.id,
        "content": memory.content,
        "author": memory.author,
        "kind": memory.kind,
        "occurred_at": memory.occurred_at,
        "importance": memory.importance,
    }
    return fact if len(canonical_json(fact)) <= HOT_FACT_BYTES_MAX else None


def _resource(resource: Resource) -> Pack:
    return {
        "id": resource.id,
        "kind": resource.kind,
        "name": resource.name,
        "uri": resource.uri,
        "metadata": dict(resource.metadata),
    }
