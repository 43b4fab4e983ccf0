"""How many memories a second become durable, and does it slow down with size?

Vectors are given, so this times the store: row, terms, vector and outbox event in one
unit, answered after the sync. Beside it: the same rows with one commit each.

Run: python -m benchmarks.memory.writes
"""

import asyncio
import random
import sqlite3
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.claims import Claim, report
from cortex.foundation.clock import SystemClock
from cortex.foundation.ids import Uuid7Source
from cortex.foundation.tenancy import Namespace
from cortex.memory.lexical import encode_terms
from cortex.memory.model import NewMemory
from cortex.memory.ports import ChunkVector, Prepared, WriteContext
from cortex.memory.store import SqliteMemoryStore
from cortex.memory.terms import TermAnalyser
from cortex.storage.migrations import load_migrations
from cortex.storage.sqlite import Database

WRITERS = 64
ROWS_TIMED = 16_000
PLAIN_ROWS = 300
SMALL, LARGE = 10_000, 100_000
PROBE_ROWS = 2_000
PROBES = 5
WORDS = [f"word{n}" for n in range(20_000)]
WHERE = Namespace("bench", "default")
SPACE = "bench-384"
CONTEXT = WriteContext("bench", "bench")


class Source:
    """Makes prepared memories: 20 words, one vector of 384."""

    def __init__(self, space: str = SPACE) -> None:
        self._space = space
        self._random = random.Random(7)
        self._vectors = np.random.default_rng(7)
        self._analyser = TermAnalyser()
        self._count = 0

    def make(self, rows: int) -> list[Prepared]:
        return [self._one() for _ in range(rows)]

    def _one(self) -> Prepared:
        self._count += 1
        text = " ".join(self._random.choices(WORDS, k=20))
        vector = self._vectors.standard_normal(384).astype(np.float32)
        vector /= np.linalg.norm(vector)
        item = NewMemory(text, author="Ann", occurred_at=float(self._count))
        terms = encode_terms(self._analyser.counts(f"Ann: {text}"))
        chunk = ChunkVector(0, len(text), vector)
        return Prepared(item, terms, (chunk,), self._space)


def open_store(home: Path) -> tuple[Database, SqliteMemoryStore]:
    """Return a database and its store, not opened yet."""
    clock = SystemClock()
    migrations = load_migrations("cortex.storage") + load_migrations("cortex.memory")
    database = Database(home / "cortex.db", clock=clock, migrations=migrations)
    return database, SqliteMemoryStore(database, clock=clock, ids=Uuid7Source(clock))


async def write_all(store: SqliteMemoryStore, rows: list[Prepared]) -> float:
    """Write rows by 64 writers, one a call; return the seconds it took."""
    waiting = iter(rows)

    async def writer() -> None:
        for row in waiting:
            await store.add(WHERE, [row], context=CONTEXT)

    started = time.perf_counter()
    async with asyncio.TaskGroup() as tasks:
        for _ in range(WRITERS):
            tasks.create_task(writer())
    return time.perf_counter() - started


async def fill(store: SqliteMemoryStore, source: Source, rows: int) -> None:
    """Store memories until there are so many."""
    while (await store.stats(WHERE.tenant)).total < rows:
        await store.add(WHERE, source.make(500), context=CONTEXT)


async def probe(store: SqliteMemoryStore, source: Source) -> float:
    """Return the seconds a row takes now: the median of several rounds."""
    rounds = [
        await write_all(store, source.make(PROBE_ROWS)) / PROBE_ROWS
        for _ in range(PROBES)
    ]
    return statistics.median(rounds)


async def measure(home: Path) -> tuple[float, float, float]:
    """Return rows a second, and seconds a row at the two sizes."""
    source = Source()
    database, store = open_store(home)
    await database.open()
    try:
        await fill(store, source, SMALL)
        small = await probe(store, source)
        rate = ROWS_TIMED / await write_all(store, source.make(ROWS_TIMED))
        await fill(store, source, LARGE)
        large = await probe(store, source)
    finally:
        await database.close()
    return rate, small, large


def plain_rate(home: Path) -> float:
    """Return rows a second with one commit each, ``synchronous=FULL``."""
    connection = sqlite3.connect(home / "plain.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("CREATE TABLE t(id INTEGER PRIMARY KEY, x TEXT, v BLOB)")
    rows = [(f"{n} " * 40, bytes(768)) for n in range(PLAIN_ROWS)]
    started = time.perf_counter()
    for row in rows:
        connection.execute("INSERT INTO t(x, v) VALUES (?, ?)", row)
    seconds = time.perf_counter() - started
    connection.close()
    return PLAIN_ROWS / seconds


def main() -> bool:
    """Measure, print and keep."""
    with tempfile.TemporaryDirectory(prefix="cortex-writes-") as folder:
        home = Path(folder)
        plain = plain_rate(home)
        rate, small, large = asyncio.run(measure(home))
    claims = [
        Claim(
            "durable_rows_per_second_64_writers",
            rate,
            "rows/s",
            8_000,
            baseline=plain,
            baseline_name="one commit a row",
            note="every row acknowledged, none failed",
        ),
        Claim(
            "add_time_at_100000_against_10000",
            large / small,
            "ratio",
            1.3,
            at_most=True,
            note=f"{1e6 * small:.0f} µs and {1e6 * large:.0f} µs a row",
        ),
    ]
    return report("memory-writes", claims)


if __name__ == "__main__":
    raise SystemExit(0 if main() else 1)
