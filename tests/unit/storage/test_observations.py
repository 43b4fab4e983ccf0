from dataclasses import replace

import pytest

from cortex.storage.migrations import load_migrations
from cortex.storage.observations import errors as errors_module
from cortex.storage.observations import traces as traces_module
from cortex.storage.observations.errors import SqliteErrors
from cortex.storage.observations.traces import SqliteTraces
from cortex.storage.sqlite import Database
from cortex.telemetry.errors import ErrorGroup
from cortex.telemetry.tracing.model import Reason, SpanRecord, TraceRecord
from cortex.testing.clock import ManualClock

GROUP = ErrorGroup(
    "f" * 16, "KeyError", "INTERNAL_ERROR", "a:b", "GET /", "x", ("a:b:1",), 2, 5.0, 9.0
)


def trace(number, start):
    top = SpanRecord(
        f"{number:032x}", "b" * 16, "", "GET /", start, 0.5, "X", {"n": 1, "ok": True}
    )
    return TraceRecord((replace(top, name="inner"), top), Reason.SLOW, 2.5, 3)


@pytest.fixture
def clock():
    return ManualClock(1_000.0)


@pytest.fixture
async def database(tmp_path, clock):
    steps = load_migrations("cortex.storage.observations")
    database = Database(tmp_path / "telemetry.db", clock=clock, migrations=steps)
    await database.open()
    yield database
    await database.close()


async def test_traces_are_found_by_time_and_id_as_they_were(database, clock):
    store = SqliteTraces(database, clock)
    kept = [trace(n, 900.0 + n) for n in range(5)]
    await store.keep(kept)
    assert await store.between(901, 903, 10) == [kept[3], kept[2], kept[1]]
    assert await store.between(901, 903, 1) == [kept[3]]
    assert await store.of_id(f"{4:032x}") == [kept[4]]
    assert await store.of_id("0" * 32) == [kept[0]]


async def test_the_oldest_traces_go(database, clock, monkeypatch):
    monkeypatch.setattr(traces_module, "TRACES_KEPT", 3)
    store = SqliteTraces(database, clock)
    for n in range(6):
        await store.keep([trace(n, 900.0 + n)])
    assert len(await store.between(0, 2000, 10)) == 3
    clock.advance(40 * 86_400)
    await store.keep([trace(9, clock.now())])
    assert len(await store.between(0, clock.now(), 10)) == 1


async def test_occurrences_add_up_over_restarts(database):
    store = SqliteErrors(database)
    await store.add([GROUP])
    later = replace(GROUP, count=3, first_seen=20.0, last_seen=30.0, message="new")
    await store.add([later])
    (group,) = await store.page(0, 10)
    assert group == replace(later, count=5, first_seen=5.0)
    assert await store.page(31, 10) == []


async def test_only_the_last_seen_groups_stay(database, monkeypatch):
    monkeypatch.setattr(errors_module, "GROUPS_KEPT", 2)
    store = SqliteErrors(database)
    await store.add(
        [replace(GROUP, fingerprint=f"{n:016x}", last_seen=n) for n in range(5)]
    )
    assert [group.last_seen for group in await store.page(0, 10)] == [4, 3]
