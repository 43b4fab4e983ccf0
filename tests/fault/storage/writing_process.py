"""Run as a process: writes units of three rows and says which are acknowledged.

Usage: writing_process.py DATABASE NAME WRITERS SECONDS
Each acknowledged unit is one line ``NAME-number`` on standard output; at the end one
line ``done COUNT``. Any error ends the process with its text on standard error.
"""

import asyncio
import os
import sys
from pathlib import Path

from cortex.bus.events import Event
from cortex.foundation.clock import SystemClock
from cortex.foundation.ids import Uuid7Source
from cortex.storage.migrations import Migration, load_migrations
from cortex.storage.outbox import append
from cortex.storage.sqlite import Connection, Database

ROWS_PER_UNIT = 3
MIGRATIONS = (
    *load_migrations("cortex.storage"),
    Migration(
        "units",
        1,
        "create",
        "CREATE TABLE units (unit TEXT, part INTEGER, body BLOB,"
        " PRIMARY KEY (unit, part));",
    ),
)


NEWEST_UNIT = (
    "SELECT count(*) FROM units WHERE unit ="
    " (SELECT unit FROM units ORDER BY rowid DESC LIMIT 1)"
)


def rows_of_newest(connection: Connection) -> int:
    return int(connection.execute(NEWEST_UNIT).fetchone()[0])


def check_whole(rows: int) -> None:
    if rows not in {0, ROWS_PER_UNIT}:
        message = f"half a unit is visible: {rows} rows"
        raise ValueError(message)


def write_unit(connection: Connection, name: str, event: Event) -> None:
    for part in range(ROWS_PER_UNIT):
        row = (name, part, os.urandom(300))
        connection.execute("INSERT INTO units VALUES (?, ?, ?)", row)
        if part == 1:
            append(connection, event)


async def main(path: Path, name: str, writers: int, seconds: float) -> None:
    clock = SystemClock()
    ids = Uuid7Source(clock)
    database = Database(path, clock=clock, migrations=MIGRATIONS)
    await database.open()
    deadline = clock.monotonic() + seconds
    numbers = iter(range(10**9))
    acknowledged = 0

    def event_of(unit: str) -> Event:
        return Event(
            id=ids.new(),
            type="memory.stored",
            source="/test",
            time=clock.now(),
            subject=unit,
            tenant="local",
            data={"ids": [unit], "namespace": "default"},
        )

    async def write() -> None:
        nonlocal acknowledged
        while clock.monotonic() < deadline:
            unit = f"{name}-{next(numbers)}"
            event = event_of(unit)
            await database.write(lambda c, u=unit, e=event: write_unit(c, u, e))
            acknowledged += 1
            os.write(1, f"{unit}\n".encode())

    async def read() -> None:
        while clock.monotonic() < deadline:
            check_whole(await database.read(rows_of_newest))
            check_whole(database.read_inline(rows_of_newest))
            await asyncio.sleep(0.002)

    async def scrub() -> None:
        while clock.monotonic() < deadline:
            await asyncio.sleep(0.3)
            await database.scrub()

    async with asyncio.TaskGroup() as group:
        for _ in range(writers):
            group.create_task(write())
        for _ in range(4):
            group.create_task(read())
        group.create_task(scrub())
    await database.close()
    os.write(1, f"done {acknowledged}\n".encode())


if __name__ == "__main__":
    asyncio.run(
        main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), float(sys.argv[4]))
    )
