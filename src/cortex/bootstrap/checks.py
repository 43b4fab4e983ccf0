"""What health asks: every dependency, by a call that really needs it."""

import asyncio
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cortex.bootstrap.promises import Promises
from cortex.bootstrap.stores import Stores
from cortex.bootstrap.trust import Trust
from cortex.foundation.breaker import Phase
from cortex.foundation.canonical import JsonValue
from cortex.foundation.clock import Clock
from cortex.foundation.tenancy import Namespace
from cortex.inference.text import TextEmbedding
from cortex.memory.model import Query
from cortex.security.intrusion import Watch
from cortex.service.http.lines import Lines
from cortex.usecases.configuration import Configuration
from cortex.usecases.health import Check, Health

HEALTH_TEXT = "health"
HEALTH_TENANT = "~health"
"""No caller can name it: ``~`` is not in their alphabet."""

MEGABYTE = 1024 * 1024

FREE_BYTES_MIN = 64 * MEGABYTE
"""Room below which the disk is as good as full: a busy log file takes as much."""

_BY_WORDS = "vectors failed in a search a moment ago; words answered instead"
_CROWDED = "requests wait too long, and some are refused"
_LEFT_ALONE = "it failed repeatedly and is left alone for now"


@dataclass(frozen=True, slots=True)
class CheckedParts:
    """What is asked."""

    stores: Stores
    embedder: TextEmbedding
    trust: Trust
    promises: Promises
    watch: Watch
    configuration: Configuration
    lines: Lines | None
    clock: Clock

    async def database(self) -> Mapping[str, JsonValue]:
        """Read, and hear from the writer."""
        await self.stores.database.ping()
        status = self.stores.database.status()
        return {"queued_units": status.queued_units}

    async def vector_store(self) -> Mapping[str, JsonValue]:
        """Search an empty namespace: through shard, vectors and ranking.

        What its vectors cannot show is known from the searches of callers.
        """
        query = Query(HEALTH_TEXT, 1)
        vector = self.embedder.kept(HEALTH_TEXT)  # the embedder has its own check
        where = Namespace(HEALTH_TENANT, HEALTH_TENANT)
        await self.stores.recall.search(where, query, vector, self.embedder.info.space)
        if self.stores.recall.index_fails:
            return {"degraded": True, "reason": _BY_WORDS}
        return {}

    async def embedding(self) -> Mapping[str, JsonValue]:
        """Embed once, and ask the breaker: a known text says nothing.

        It is not looked up again, which would count as a hit of the cache.
        """
        if self.embedder.kept(HEALTH_TEXT) is None:
            await self.embedder.embed([HEALTH_TEXT])
        info = self.embedder.info
        facts: dict[str, JsonValue] = {
            "model": info.name,
            "space": info.space,
            "degraded": info.degraded,
        }
        if self.embedder.breaker.state.phase is not Phase.CLOSED:
            facts |= {"degraded": True, "reason": _LEFT_ALONE}
        return facts

    async def audit_ledger(self) -> Mapping[str, JsonValue]:
        """Tell whether it takes entries; sums over all tenants are not for probes."""
        facts = self.trust.health()
        return {k: v for k, v in facts.items() if k not in {"entries", "published"}}

    async def requests(self) -> Mapping[str, JsonValue]:
        """Tell how many wait for their turn."""
        if self.lines is None:
            return {}
        facts: dict[str, JsonValue] = {"waiting": self.lines.requests.waiting}
        if self.lines.stand(self.clock.monotonic()):
            facts |= {"degraded": True, "reason": _CROWDED}
        return facts

    async def doors(self) -> Mapping[str, JsonValue]:
        """Tell of alerts and of clients that wait."""
        return {
            "alerts": len(self.watch.alerts()),
            "waiting_clients": self.watch.waiting(),
        }


def health_of(parts: CheckedParts, home: Path, clock: Clock) -> Health:
    """Return the health of the whole; without its database nothing is served."""

    async def disk() -> Mapping[str, JsonValue]:
        free = (await asyncio.to_thread(shutil.disk_usage, home)).free
        if free >= FREE_BYTES_MIN:
            return {}
        return {"degraded": True, "reason": f"{free // MEGABYTE} MB are free"}

    checks: dict[str, Check] = {
        "database": parts.database,
        "disk": disk,
        "vector_store": parts.vector_store,
        "embedder": parts.embedding,
        "audit_ledger": parts.audit_ledger,
        "doors": parts.doors,
        "requests": parts.requests,
        "promises": parts.promises.health,
        "configuration": parts.configuration.health,
        **parts.trust.transport_checks(),
    }
    return Health(checks, vital=frozenset({"database"}), clock=clock)
