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


def start(path: Path, name: str, writers: int) -> subprocess.Popen[str]:
    command = [sys.executable, str(PROCESS), str(path), name, str(writers)]
    return subprocess.Popen(
        [*command, str(SECONDS)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


async def test_two_processes_write_read_and_scrub(tmp_path: Path) -> None:
    path = tmp_path / "cortex.db"
    running = [start(path, name, 16) for name in ("one", "two")]
    acknowledged = 0
    shares = []
    for process in running:
        out, err = process.communicate(timeout=SECONDS + 60)
        assert process.returncode == 0, err
        assert err == ""
        last = out.splitlines()[-1]
        assert last.startswith("done ")
        shares.append(int(last.split()[1]))
        acknowledged += shares[-1]
    database = Database(path, clock=SystemClock())
    await database.open()

    def count(connection: Connection) -> int:
        sql = "SELECT count(DISTINCT unit) FROM units"
        return int(connection.execute(sql).fetchone()[0])

    assert await database.read(count) == acknowledged
    await database.close()
    # Turns are taken: neither process is starved by the other.
    assert min(shares) > acknowledged / 10
