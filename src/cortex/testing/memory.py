"""A small world of memory for tests: virtual time, counted ids, vectors from words."""

import asyncio
import zlib
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from cortex.foundation.tenancy import Namespace
from cortex.memory.lexical import encode_terms
from cortex.memory.model import NewMemory, Stored
from cortex.memory.ports import ChunkVector, Prepared, Restored, Vector, WriteContext
from cortex.memory.store import SqliteMemoryStore
from cortex.memory.terms import TermAnalyser
from cortex.security.data_keys import DataKeys
from cortex.security.envelope import Keyring, MasterKey
from cortex.security.sealing import TenantSeals
from cortex.storage.migrations import load_migrations
from cortex.storage.sqlite import Database, DatabaseOptions

SPACE = "test-space"
DIMENSIONS = 32
START = 1_700_000_000.0
"""The virtual clock's first moment: 2023-11-14 22:13:20 UTC."""

CONTEXT = WriteContext(correlation_id="test", actor="tester")


class VirtualClock:
    """A clock that moves only when told to; sleeping moves it."""

    def __init__(self, now: float = START) -> None:
        """Start at ``now`` epoch seconds."""
        self._now = now
        self._elapsed = 0.0

    def now(self) -> float:
        """Return the virtual wall time."""
        return self._now

    def monotonic(self) -> float:
        """Return the virtual seconds that have passed."""
        return self._elapsed

    async def sleep(self, seconds: float) -> None:
        """Let the time pass at once."""
        self.advance(seconds)
        await asyncio.sleep(0)

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._now += seconds
        self._elapsed += seconds


class CountedIds:
    """Ids that tests can read: ``id-000001`` and so on."""

    def __init__(self) -> None:
        """Start at one."""
        self._given = 0

    def new(self) -> str:
        """Return the next id."""
        self._given += 1
        return f"id-{self._given:06}"


def vector_of(text: str, dimensions: int = DIMENSIONS) -> Vector:
    """Return a unit vector in which texts that share words are near."""
    total = np.zeros(dimensions, np.float32)
    for word in text.lower().split():
        seed = zlib.crc32(word.encode())
        total += np.random.default_rng(seed).standard_normal(dimensions)
    norm = float(np.linalg.norm(total))
    if not norm:
        total[0] = norm = 1.0
    return (total / norm).astype(np.float32)


def prepare(
    item: NewMemory,
    *,
    embed: bool = True,
    space: str = SPACE,
    restored: Restored | None = None,
) -> Prepared:
    """Analyse and embed one memory as the use case would."""
    said = f"{item.author}: {item.content}" if item.author else item.content
    terms = encode_terms(Counter(TermAnalyser().terms(said)))
    if not embed:
        return Prepared(item, terms, restored=restored)
    chunk = ChunkVector(0, len(item.content), vector_of(said))
    return Prepared(item, terms, (chunk,), space, restored)


@dataclass(frozen=True, slots=True)
class MemoryWorld:
    """An open store with its database, clock and ids."""

    database: Database
    store: SqliteMemoryStore
    clock: VirtualClock
    ids: CountedIds
    home: Path
    namespace: Namespace = field(default_factory=lambda: Namespace("local", "default"))
    seals: TenantSeals | None = None

    async def add(self, *items: NewMemory, ns: Namespace | None = None) -> list[Stored]:
        """Prepare and store items."""
        prepared = [prepare(item) for item in items]
        return await self.store.add(ns or self.namespace, prepared, context=CONTEXT)

    async def say(self, *texts: str, ns: Namespace | None = None) -> Sequence[str]:
        """Store plain texts and return their ids."""
        stored = await self.add(*(NewMemory(text) for text in texts), ns=ns)
        return [one.id for one in stored]


@asynccontextmanager
async def memory_world(
    home: Path,
    *,
    clock: VirtualClock | None = None,
    ids: CountedIds | None = None,
    options: DatabaseOptions | None = None,
    master: MasterKey | None = None,
) -> AsyncIterator[MemoryWorld]:
    """Open a store in ``home``; pass the same clock and ids to open it again.

    With a master key the store encrypts what it keeps.
    """
    clock, ids = clock or VirtualClock(), ids or CountedIds()
    rooms = ("cortex.storage", "cortex.memory", "cortex.security")
    steps = tuple(step for room in rooms for step in load_migrations(room))
    database = Database(
        home / "cortex.db", clock=clock, options=options, migrations=steps
    )
    await database.open()
    try:
        seals = None
        if master is not None:
            seals = TenantSeals(DataKeys(database, Keyring(master), clock=clock))
        store = SqliteMemoryStore(database, clock=clock, ids=ids, seals=seals)
        yield MemoryWorld(database, store, clock, ids, home, seals=seals)
    finally:
        await database.close()
