"""Measures the ledger against plain SQLite on the same disk, in one run.

    python benchmarks/ledger.py [--entries 20000] [--large 1000000] [--folder PATH]

Each figure stands beside what it is measured against; ratios carry over to other
machines, absolute numbers do not. The limiting factor of durable appends is the sync.
"""

import argparse
import asyncio
import platform
import shutil
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from cortex.foundation.clock import SystemClock
from cortex.foundation.ids import Uuid7Source
from cortex.ledger.log import Ledger, LedgerContext
from cortex.ledger.model import AgentCall, SystemEvent
from cortex.ledger.offline import verify_folder
from cortex.ledger.options import LedgerOptions, LedgerPaths
from cortex.ledger.pins import PinFolder
from cortex.ledger.verify import Request
from cortex.storage.sqlite import Connection, Database

WRITERS = 32
PROBES = 300
BATCH = 512
CALL = AgentCall(
    run_id="run-0123456789",
    agent_name="planner",
    method_name="plan",
    prompt="What is to be done next? " * 20,
    raw_output="First this, then that. " * 20,
    correlation_id="01a1fd3c-ffdd-73fb-8d92-16a255b40fef",
    parse_ok=True,
    latency_ms=812.5,
    model_name="model",
    provider_name="provider",
    usage={"input_tokens": 512, "output_tokens": 128},
    context_refs=["memory:1", "memory:2", "memory:3"],
)
ROW_BYTES = 1500
TABLE = """CREATE TABLE rows (
    idx INTEGER PRIMARY KEY, id TEXT UNIQUE, tenant TEXT, kind TEXT, run_id TEXT,
    correlation_id TEXT, agent TEXT, outcome TEXT, body BLOB) STRICT"""
INDEXES = ("kind", "run_id", "correlation_id", "agent", "outcome")
INSERT = "INSERT INTO rows VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?)"


def row(number: int) -> tuple[object, ...]:
    """Return a plain row of an entry's size and columns."""
    text = f"{number:036}"
    return (text, "local", "call", "run", text, "planner", "ok", b"x" * ROW_BYTES)


def say(name: str, value: str, note: str = "") -> None:
    """Print one figure."""
    print(f"{name:<58}{value:>16}  {note}", flush=True)


def plain_file(folder: Path, name: str) -> sqlite3.Connection:
    """Open a plain SQLite file with the settings and indexes of the ledger's."""
    connection = sqlite3.connect(folder / name, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(TABLE)
    for column in INDEXES:
        connection.execute(f"CREATE INDEX by_{column} ON rows (tenant, {column})")
    return connection


def plain_rate(folder: Path, group: int, count: int) -> float:
    """Return durable rows a second with ``group`` rows in one commit."""
    connection = plain_file(folder, f"plain-{group}.db")
    begun = time.perf_counter()
    for start in range(0, count, group):
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(INSERT, [row(start + at) for at in range(group)])
        connection.execute("COMMIT")
    taken = time.perf_counter() - begun
    connection.close()
    return count / taken


async def grouped(
    work: Callable[[int], Awaitable[object]], count: int, writers: int = WRITERS
) -> list[float]:
    """Run work from many writers; return the seconds each took."""
    taken: list[float] = []

    async def write(first: int) -> None:
        for number in range(first, count, writers):
            begun = time.perf_counter()
            await work(number)
            taken.append(time.perf_counter() - begun)

    await asyncio.gather(*(write(first) for first in range(writers)))
    return taken


def p99(values: list[float]) -> float:
    """Return the 99th percentile in milliseconds."""
    return statistics.quantiles(values, n=100)[98] * 1000


async def open_ledger(home: Path) -> Ledger:
    """Open a ledger whose pins lie beside it."""
    clock = SystemClock()
    context = LedgerContext(clock, Uuid7Source(clock))
    return await Ledger.open(home, context, LedgerOptions(pins=home / "pins"))


async def measure_appends(folder: Path, count: int) -> None:
    """Durable appends by many writers, beside plain rows on the same disk."""
    single = plain_rate(folder, 1, min(count, 400))
    batch = plain_rate(folder, BATCH, max(BATCH, count // BATCH * BATCH))
    ledger = await open_ledger(folder / "home")
    clock = SystemClock()
    plain = Database(folder / "grouped.db", clock=clock)
    await plain.open()
    await plain.write(lambda connection: connection.execute(TABLE) and None)
    for column in INDEXES:
        sql = f"CREATE INDEX by_{column} ON rows (tenant, {column})"
        await plain.write(lambda connection, sql=sql: connection.execute(sql) and None)

    def insert(number: int) -> Awaitable[None]:
        def unit(connection: Connection) -> None:
            connection.execute(INSERT, row(number))

        return plain.write(unit)

    async with asyncio.TaskGroup() as group:
        task = group.create_task(ledger.run())
        begun = time.perf_counter()
        await grouped(lambda _: ledger.record(CALL), 400, writers=1)
        alone = 400 / (time.perf_counter() - begun)
        begun = time.perf_counter()
        await grouped(lambda _: ledger.record(CALL), count, writers=BATCH)
        full = count / (time.perf_counter() - begun)
        begun = time.perf_counter()
        taken = await grouped(lambda _: ledger.record(CALL), count)
        rate = count / (time.perf_counter() - begun)
        begun = time.perf_counter()
        plain_taken = await grouped(insert, count)
        plain_rate_grouped = count / (time.perf_counter() - begun)
        task.cancel()
    await plain.close()
    await ledger.close()
    say("one plain durable row a commit", f"{single:,.0f}/s")
    say(f"plain rows, {BATCH} a commit", f"{batch:,.0f}/s")
    say(f"plain rows, {WRITERS} writers, group commit", f"{plain_rate_grouped:,.0f}/s")
    say("record, 1 writer: one sync an entry", f"{alone:,.0f}/s")
    say(f"record, {BATCH} writers: full batches", f"{full:,.0f}/s")
    say(
        f"record, {WRITERS} writers",
        f"{rate:,.0f}/s",
        f"x{rate / alone:.1f} of one, goal 3",
    )
    say("record against full batches", f"x{rate / full:.2f}", "goal 0.5")
    ratio = p99(taken) / p99(plain_taken)
    say("record P99", f"{p99(taken):.1f} ms", f"x{ratio:.2f} of plain, goal 1.5")


async def measure_reading(folder: Path, count: int) -> None:
    """Verification, proofs, increments and recovery of a large log."""
    home = folder / "large"
    ledger = await open_ledger(home)
    for start in range(0, count, 2000):
        await asyncio.gather(
            *(
                ledger.append(
                    SystemEvent(
                        f"event-{number}",
                        "memory.stored",
                        f"memory:{number}",
                        {"bytes": number, "hash": "0" * 64, "agent": "planner"},
                        actor="writer",
                    )
                )
                for number in range(start, min(start + 2000, count))
            )
        )
        await ledger.publish()
    await ledger.upkeep.run()
    probes = []
    for number in range(PROBES):
        index = number * (count // PROBES)
        begun = time.perf_counter()
        ledger.inclusion_proof(index)
        probes.append(time.perf_counter() - begun)
    say(
        f"inclusion proof of {count:,}, median",
        f"{statistics.median(probes) * 1e3:.2f} ms",
    )
    say("inclusion proof, P99", f"{p99(probes):.2f} ms", "goal 1")
    since = ledger.checkpoint().size
    pinned_before = PinFolder(home / "pins").read()
    await asyncio.gather(
        *(ledger.append(SystemEvent(f"new-{n}", "test.new")) for n in range(1000))
    )
    await ledger.publish()
    await ledger.close()
    paths = LedgerPaths.below(home)
    begun = time.process_time()
    whole = verify_folder(paths, PinFolder(home / "pins").read())
    rate = whole.size / (time.process_time() - begun)
    say("verify", f"{rate:,.0f}/s", f"{whole.verdict}, goal 150,000 a core")
    begun = time.process_time()
    deep = verify_folder(paths, PinFolder(home / "pins").read(), Request(deep=True))
    rate = deep.size / (time.process_time() - begun)
    say("verify, deep", f"{rate:,.0f}/s", str(deep.verdict))
    begun = time.perf_counter()
    added = verify_folder(paths, pinned_before, Request(since=since))
    taken = (time.perf_counter() - begun) * 1000
    say(
        f"verify 1,000 new on {count:,}", f"{taken:.0f} ms", f"{added.verdict}, goal 50"
    )
    begun = time.perf_counter()
    ledger = await open_ledger(home)
    await ledger.stats("local")
    say("recovery with a snapshot", f"{time.perf_counter() - begun:.2f} s", "goal 2")
    await ledger.close()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entries", type=int, default=20_000)
    parser.add_argument("--large", type=int, default=1_000_000)
    parser.add_argument("--folder", type=Path, default=None)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="ledger-", dir=options.folder))
    say("machine", platform.machine(), f"Python {platform.python_version()}")
    try:
        asyncio.run(measure_appends(folder, options.entries))
        asyncio.run(measure_reading(folder, options.large))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
