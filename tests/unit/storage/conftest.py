"""An open database with one table, beside the tables of storage itself."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from cortex.foundation.ids import Uuid7Source
from cortex.storage.migrations import Migration, load_migrations
from cortex.storage.sqlite import Database
from cortex.testing.clock import ManualClock

NOTES = Migration(
    "notes",
    1,
    "create",
    "CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE);",
)
MIGRATIONS = (*load_migrations("cortex.storage"), NOTES)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def ids(clock: ManualClock) -> Uuid7Source:
    return Uuid7Source(clock)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "home" / "cortex.db"


@pytest.fixture
async def database(path: Path, clock: ManualClock) -> AsyncIterator[Database]:
    opened = Database(path, clock=clock, migrations=MIGRATIONS)
    await opened.open()
    yield opened
    await opened.close()
