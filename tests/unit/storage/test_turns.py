"""A file that others hold: callers wait, then hear it in a named error."""

import asyncio
import sqlite3
from pathlib import Path

import pytest

from cortex.foundation.errors import Unavailable
from cortex.storage.errors import StorageBusy
from cortex.storage.locks import FileTurns
from cortex.storage.migrations import Migration
from cortex.storage.sqlite import Connection, Database, DatabaseOptions
from cortex.testing.clock import ManualClock

SCHEMA = (Migration("n", 1, "create", "CREATE TABLE notes (text TEXT);"),)


def add(connection: Connection) -> None:
    connection.execute("INSERT INTO notes VALUES ('a')")


@pytest.fixture
async def impatient(path: Path) -> Database:
    options = DatabaseOptions(lock_wait_seconds=0.02, busy_timeout_ms=20)
    database = Database(path, clock=ManualClock(), options=options, migrations=SCHEMA)
    await database.open()
    return database


async def test_a_stuck_process_fails_all_who_wait_and_is_survived(
    impatient: Database, path: Path
) -> None:
    stuck = FileTurns(path, wait_seconds=1)
    with stuck.held():
        writes = (impatient.write(add) for _ in range(5))
        results = await asyncio.gather(*writes, return_exceptions=True)
        assert [type(result) for result in results] == [StorageBusy] * 5
        with pytest.raises(StorageBusy):
            await impatient.ping()
    await impatient.write(add)
    assert impatient.status().units == 1
    stuck.close()
    await impatient.close()


async def test_a_foreign_program_that_knows_no_turns(
    impatient: Database, path: Path
) -> None:
    foreign = sqlite3.connect(path, isolation_level=None)
    foreign.execute("BEGIN IMMEDIATE")
    with pytest.raises(Unavailable) as refusal:
        await impatient.write(add)
    assert "locked" not in str(refusal.value)
    assert refusal.value.retry_after_seconds
    foreign.execute("ROLLBACK")
    foreign.close()
    await impatient.write(add)
    await impatient.close()


async def test_opening_waits_its_turn(path: Path) -> None:
    path.parent.mkdir()
    stuck = FileTurns(path, wait_seconds=1)
    options = DatabaseOptions(lock_wait_seconds=0.02)
    database = Database(path, clock=ManualClock(), options=options, migrations=SCHEMA)
    with stuck.held(), pytest.raises(StorageBusy):
        await database.open()
    await database.open()
    await database.write(add)
    await database.close()
    stuck.close()


async def test_closing_does_not_hang_on_a_stuck_process(
    impatient: Database, path: Path
) -> None:
    stuck = FileTurns(path, wait_seconds=1)
    with stuck.held():
        await impatient.close()
    stuck.close()


async def test_several_workers_start_at_once(path: Path) -> None:
    workers = [Database(path, clock=ManualClock(), migrations=SCHEMA) for _ in "1234"]
    await asyncio.gather(*(worker.open() for worker in workers))
    await asyncio.gather(*(worker.write(add) for worker in workers))
    count = workers[0].read_inline(
        lambda c: c.execute("SELECT count(*) FROM notes").fetchone()[0]
    )
    assert count == 4
    await asyncio.gather(*(worker.close() for worker in workers))
