"""kill -9 in the middle of acknowledged writes: all of them there, none of them half."""

import os
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

import pytest

from cortex.bus.events import Event
from cortex.foundation.clock import SystemClock
from cortex.storage.outbox import read_after
from cortex.storage.sqlite import Connection, Database

PROCESS = Path(__file__).with_name("writing_process.py")
ROWS_PER_UNIT = 3
HEAVY = bool(os.environ.get("CORTEX_TEST_HEAVY"))
ROUNDS = 20 if HEAVY else 3


def write_until_killed(path: Path, name: str, after_units: int) -> list[str]:
    """Return the units that were acknowledged before the process died."""
    command = [sys.executable, str(PROCESS), str(path), name, "64", "60"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        dead_man = threading.Timer(60, process.kill)
        dead_man.start()
        acknowledged = []
        for line in process.stdout:
            acknowledged.append(line)
            if len(acknowledged) == after_units:
                process.kill()
        dead_man.cancel()
    # The last line may be torn: only whole lines were said.
    return [line.strip() for line in acknowledged if line.endswith("\n")]


@pytest.mark.parametrize("round_number", range(ROUNDS))
async def test_nothing_acknowledged_is_lost(tmp_path: Path, round_number: int) -> None:
    path = tmp_path / "cortex.db"
    acknowledged: list[str] = []
    for run in range(2):
        units = 300 + 711 * round_number % 1_500
        acknowledged += write_until_killed(path, f"{run}", units)
    database = Database(path, clock=SystemClock())
    await database.open()

    def look(connection: Connection) -> tuple[Counter[str], set[str], str]:
        units = Counter(u for (u,) in connection.execute("SELECT unit FROM units"))
        events = read_after(connection, 0, 10**9)
        subjects = {Event.from_json(row.body).subject for row in events}
        check = connection.execute("PRAGMA integrity_check").fetchone()[0]
        return units, subjects, check

    units, subjects, check = await database.read(look)
    await database.close()
    assert check == "ok"
    assert len(acknowledged) >= 600
    assert set(acknowledged) <= set(units)
    assert set(units.values()) == {ROWS_PER_UNIT}
    assert subjects == set(units)
