"""Run as a process: fills a small disk, then shows what still works, as JSON.

Usage: filling_process.py DATABASE
"""

import asyncio
import json
import os
import sys
from pathlib import Path

from cortex.foundation.clock import SystemClock
from cortex.foundation.errors import CortexError
from cortex.storage.migrations import Migration
from cortex.storage.sqlite import Connection, Database

SCHEMA = (
    Migration("f", 1, "create", "CREATE TABLE filler (n INTEGER PRIMARY KEY, b BLOB);"),
)

BALLAST_BYTES = 12_000_000


def numbers(connection: Connection) -> list[int]:
    return [n for (n,) in connection.execute("SELECT n FROM filler ORDER BY n")]


async def main(path: Path) -> None:
    ballast = path.with_name("other people's files")
    ballast.write_bytes(os.urandom(BALLAST_BYTES))
    database = Database(path, clock=SystemClock(), migrations=SCHEMA)
    await database.open()
    kept: list[int] = []
    errors: list[str] = []

    async def fill(number: int) -> None:
        def unit(connection: Connection) -> None:
            body = os.urandom(20_000)
            connection.execute("INSERT INTO filler VALUES (?, ?)", (number, body))

        try:
            await database.write(unit)
        except CortexError as error:
            errors.append(error.code)
        else:
            kept.append(number)

    for start in range(0, 1_000, 20):
        await asyncio.gather(*(fill(n) for n in range(start, start + 20)))
    acknowledged = sorted(kept)
    readable = await database.read(numbers)
    ballast.unlink()
    await database.write(lambda c: c.execute("DELETE FROM filler WHERE n % 4 = 0"))
    await database.scrub()
    await fill(10_000)
    after = database.read_inline(numbers)
    await database.close()
    await database.open()
    again = await database.read(numbers)
    await database.close()
    found = {
        "kept": acknowledged,
        "readable": readable,
        "errors": sorted(set(errors)),
        "after": after,
        "again": again,
    }
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
