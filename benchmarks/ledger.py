"""Measures the ledger against plain SQLite on the same disk, in one run.

    python -m benchmarks.ledger [--entries 20000] [--large 1000000] [--folder PATH]

Each figure stands beside what it is measured against, in turns of one run, so that a
busy machine slows both; ratios carry over to other machines, absolute numbers do not.
Two baselines of a batch are told: plain rows of the same size and indexes, which SQLite
writes without any Python an entry, and the ledger's own entries in full batches, which
are chained, hashed, sealed, indexed and published as all others. The goal is set
against the latter, which do the same work; the former tell what that work costs.
"""

import argparse
import asyncio
import shutil
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from benchmarks.claims import Claim, report
from cortex.foundation.clock import SystemClock
from cortex.foundation.ids import Uuid7Source
from cortex.ledger.log import Ledger, LedgerContext
from cortex.ledger.model import AgentCall, SystemEvent
from cortex.ledger.offline import verify_folder
from cortex.ledger.options import LedgerOptions, LedgerPaths
from cortex.ledger.pins import PinFolder
from cortex.ledger.verdicts import Verdict
from cortex.ledger.verify import Request
from cortex.storage.sqlite import Connection, Database

WRITERS = 32
PROBES = 1_000
ROUNDS = 10
SEED = 20_261_121
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


def plain_file(folder: Path, name: str) -> sqlite3.Connection:
    """Open a plain SQLite file with the settings and indexes of the ledger's."""
    connection = sqlite3.connect(folder / name, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(TABLE)
    for column in INDEXES:
        connection.execute(f"CREATE INDEX by_{column} ON rows (tenant, {column})")
    return connection


def plain_seconds(connection: sqlite3.Connection, group: int, count: int) -> float:
    """Return the seconds for durable rows with ``group`` of them in one commit."""
    begun = time.perf_counter()
    for start in range(0, count, group):
        rows = [row(time.perf_counter_ns()) for _ in range(min(group, count - start))]
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(INSERT, rows)
        connection.execute("COMMIT")
    return time.perf_counter() - begun


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


@dataclass
class Tally:
    """Entries and seconds of one way to write."""

    count: int = 0
    seconds: float = 0.0
    taken: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Return entries a second."""
        return self.count / self.seconds

    async def run(
        self, work: Callable[[int], Awaitable[object]], count: int, writers: int
    ) -> None:
        """Add what so many writers need for so many entries."""
        begun = time.perf_counter()
        self.taken += await grouped(work, count, writers)
        self.seconds += time.perf_counter() - begun
        self.count += count


async def measure_appends(folder: Path, count: int) -> list[Claim]:
    """Durable appends by many writers, beside plain rows on the same disk."""
    ledger = await open_ledger(folder / "home")
    plain = Database(folder / "grouped.db", clock=SystemClock())
    await plain.open()
    await plain.write(lambda connection: connection.execute(TABLE) and None)
    for column in INDEXES:
        sql = f"CREATE INDEX by_{column} ON rows (tenant, {column})"
        await plain.write(lambda connection, sql=sql: connection.execute(sql) and None)

    def insert(_: int) -> Awaitable[None]:
        def unit(connection: Connection) -> None:
            connection.execute(INSERT, row(time.perf_counter_ns()))

        return plain.write(unit)

    def record(_: int) -> Awaitable[object]:
        return ledger.record(CALL)

    alone, many, full, grouped_plain, batch = (Tally() for _ in range(5))
    file = plain_file(folder, "plain.db")
    share = count // ROUNDS
    async with asyncio.TaskGroup() as group:
        task = group.create_task(ledger.run())
        await many.run(record, share, WRITERS)
        many = Tally()
        for _ in range(ROUNDS):
            await alone.run(record, 50, 1)
            await many.run(record, share, WRITERS)
            await grouped_plain.run(insert, share, WRITERS)
            await full.run(record, share, BATCH)
            batch.seconds += plain_seconds(file, BATCH, share)
            batch.count += share
        task.cancel()
    file.close()
    await plain.close()
    await ledger.close()
    shape = f"{WRITERS} writers, durable, published, content sealed"
    return [
        Claim(
            "append_rate", many.rate, "entries/s", 3 * alone.rate,
            baseline=alone.rate, baseline_name="the ledger, one sync an entry",
            note=shape,
        ),
        Claim(
            "append_of_same_batch", many.rate / full.rate, "ratio", 0.5,
            baseline=1.0,
            baseline_name=f"{full.rate:,.0f}/s, the same entries in batches of {BATCH}",
            note=shape,
        ),
        Claim(
            "append_of_plain_batch", many.rate / batch.rate, "ratio", 0.0,
            baseline=1.0,
            baseline_name=f"{batch.rate:,.0f}/s, plain rows, {BATCH} a commit",
            note="told for comparison, no goal: plain rows are neither chained, "
            "hashed, sealed nor published",
        ),
        Claim(
            "append_of_plain_group", many.rate / grouped_plain.rate, "ratio", 0.0,
            baseline=1.0,
            baseline_name=f"{grouped_plain.rate:,.0f}/s, plain rows, {WRITERS} writers",
            note="told for comparison, no goal",
        ),
        Claim(
            "record_p99", p99(many.taken), "ms", 1.5 * p99(grouped_plain.taken),
            at_most=True, baseline=p99(grouped_plain.taken),
            baseline_name=f"durable insert of a plain row, {WRITERS} writers",
            note="without HTTP on either side",
        ),
    ]  # fmt: skip


async def fill(ledger: Ledger, count: int) -> None:
    """Append system events and publish now and then."""
    for start in range(0, count, 2000):
        events = (
            SystemEvent(
                f"event-{number}",
                "memory.stored",
                f"memory:{number}",
                {"bytes": number, "hash": "0" * 64, "agent": "planner"},
                actor="writer",
            )
            for number in range(start, min(start + 2000, count))
        )
        await asyncio.gather(*(ledger.append(event) for event in events))
        await ledger.publish()
    await ledger.upkeep.run()


def spin(seconds: float) -> None:
    """Compute for so long, by this thread's own clock."""
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        sum(range(50))


def proof_claims(ledger: Ledger, count: int) -> list[Claim]:
    """Inclusion proofs of entries all over the log, none asked for before.

    On a busy machine the slowest of a hundred wait for a processor, whatever they do:
    a computation of the same length takes turns with the proofs and tells by how much.
    """
    random = Random(SEED)
    wall, cpu, idle = [], [], []
    for index in random.sample(range(count), min(PROBES, count)):
        begun, used = time.perf_counter(), time.thread_time()
        ledger.inclusion_proof(index)
        wall.append(time.perf_counter() - begun)
        cpu.append(time.thread_time() - used)
        begun = time.perf_counter()
        spin(statistics.median(cpu[-99:]))
        idle.append(time.perf_counter() - begun)
    note = f"random entries of {count:,}"
    same = "a computation of the same length in turn"
    return [
        Claim("inclusion_proof_p50", statistics.median(wall) * 1e3, "ms", 1.0,
              at_most=True, baseline=statistics.median(idle) * 1e3,
              baseline_name=same, note=note),
        Claim("inclusion_proof_p99_cpu", p99(cpu), "ms", 1.0, at_most=True, note=note),
        Claim("inclusion_proof_p99", p99(wall), "ms", 1.0, at_most=True,
              baseline=p99(idle), baseline_name=same, note=note),
    ]  # fmt: skip


async def measure_reading(folder: Path, count: int) -> list[Claim]:
    """Proofs, verification, increments and recovery of a large log."""
    home = folder / "large"
    ledger = await open_ledger(home)
    await fill(ledger, count)
    await ledger.close()
    ledger = await open_ledger(home)
    claims = proof_claims(ledger, count)
    since = ledger.checkpoint().size
    pinned_before = PinFolder(home / "pins").read()
    await asyncio.gather(
        *(ledger.append(SystemEvent(f"new-{n}", "test.new")) for n in range(1000))
    )
    await ledger.publish()
    await ledger.close()
    paths = LedgerPaths.below(home)
    for name, request, goal in (
        ("verify_rate", Request(), 150_000),
        ("verify_deep_rate", Request(deep=True), 0),
    ):
        begun = time.process_time()
        found = verify_folder(paths, PinFolder(home / "pins").read(), request)
        rate = found.size / (time.process_time() - begun)
        claims.append(
            Claim(name, rate, "entries/s", goal, note=f"CPU time; {found.verdict}")
        )
        if found.verdict is not Verdict.INTACT:
            raise SystemExit(str(found))
    tries = []
    for _ in range(3):
        begun = time.perf_counter()
        verify_folder(paths, pinned_before, Request(since=since))
        tries.append((time.perf_counter() - begun) * 1e3)
    note = f"median of 3, on {count:,}"
    median = statistics.median(tries)
    claims.append(Claim("verify_1000_new", median, "ms", 50.0, at_most=True, note=note))
    begun = time.perf_counter()
    ledger = await open_ledger(home)
    await ledger.stats("local")
    taken = time.perf_counter() - begun
    await ledger.close()
    note = f"open and count {count:,}, with a snapshot"
    claims.append(Claim("recovery", taken, "s", 2.0, at_most=True, note=note))
    return claims


def main() -> int:
    """Measure and print; 1 when a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entries", type=int, default=20_000)
    parser.add_argument("--large", type=int, default=1_000_000)
    parser.add_argument("--folder", type=Path, default=None)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="ledger-", dir=options.folder))
    try:
        claims = asyncio.run(measure_appends(folder, options.entries))
        claims += asyncio.run(measure_reading(folder, options.large))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return int(not report("ledger", claims))


if __name__ == "__main__":
    sys.exit(main())
