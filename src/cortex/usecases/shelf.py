"""Keeping context packs across restarts, out of reach of callers' own keys."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import orjson

from cortex.foundation.canonical import JsonValue, canonical_json
from cortex.foundation.tenancy import Namespace
from cortex.storage.keyvalue import KeyValue
from cortex.usecases.snapshot import Pack


@dataclass(frozen=True, slots=True)
class PackShelf:
    """Keeps the last packs of each namespace in a key-value store."""

    values: KeyValue

    async def load(self, namespace: Namespace, reach: str) -> Pack | None:
        """Return the pack kept for callers of that reach, if any."""
        entry = await self.values.get(_hidden(namespace), reach)
        return None if entry is None else cast("Pack", orjson.loads(entry.value))

    async def save(
        self,
        namespace: Namespace,
        reach: str,
        pack: Mapping[str, JsonValue],
        *,
        ttl_seconds: float,
    ) -> None:
        """Keep a pack for at most ``ttl_seconds``."""
        value = canonical_json(dict(pack))
        where = _hidden(namespace)
        await self.values.put(where, reach, value, ttl_seconds=ttl_seconds)

    async def drop(self, namespace: Namespace) -> None:
        """Forget the packs of the namespace, whatever their reach."""
        await self.values.clear(_hidden(namespace))


def _hidden(namespace: Namespace) -> Namespace:
    """Return a namespace that no caller can name: ``~`` is not in their alphabet."""
    return Namespace(namespace.tenant, f"~packs~{namespace.name}")
