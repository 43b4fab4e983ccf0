"""Many writers and readers in two processes: nobody hears that a database is locked."""

import os
import subprocess
import sys
from pathlib import Path

from cortex.foundation.clock import SystemClock
from cortex.storage.sqlite import Connection, Database

PROCESS = Path(__file__).with_name("writing_process.py")
HEAVY = bool(os.environ.get("CORTEX_TEST_HEAVY"))
SECONDS = 60 if HEAVY else 3


def start(path: Path, name: str, writers: int) -> subprocess.Popen[bytes]:
    """Start a process that says into ``<name>.out`` what was acknowledged to it."""
    command = [sys.executable, str(PROCESS), str(path), name, str(writers)]
    with (
        path.with_name(f"{name}.out").open("wb") as out,
        path.with_name(f"{name}.err").open("wb") as err,
    ):
        return subprocess.Popen([*command, str(SECONDS)], stdout=out, stderr=err)


async def test_two_processes_write_read_and_scrub(tmp_path: Path) -> None:
    path = tmp_path / "cortex.db"
    names = ("one", "two")
    running = [start(path, name, 16) for name in names]
    codes = [process.wait(timeout=SECONDS + 60) for process in running]
    shares = []
    for name in names:
        assert path.with_name(f"{name}.err").read_text() == ""
        last = path.with_name(f"{name}.out").read_text().splitlines()[-1]
        assert last.startswith("done ")
        shares.append(int(last.split()[1]))
    assert codes == [0, 0]
    acknowledged = sum(shares)
    database = Database(path, clock=SystemClock())
    await database.open()

    def count(connection: Connection) -> int:
        sql = "SELECT count(DISTINCT unit) FROM units"
        return int(connection.execute(sql).fetchone()[0])

    assert await database.read(count) == acknowledged
    await database.close()
    # Turns are taken: neither process is starved by the other.
    assert min(shares) > acknowledged / 4
