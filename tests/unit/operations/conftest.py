"""Promises under replayed traffic, and a database for alert states."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from cortex.storage.migrations import load_migrations
from cortex.storage.sqlite import Database
from cortex.testing.clock import ManualClock


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def database(tmp_path: Path, clock: ManualClock) -> AsyncIterator[Database]:
    steps = load_migrations("cortex.storage") + load_migrations("cortex.operations")
    database = Database(tmp_path / "cortex.db", clock=clock, migrations=steps)
    await database.open()
    yield database
    await database.close()
