"""Components that fall ill, flap, recover and restart: each change is told once."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from cortex.bus.events import Event
from cortex.bus.registry import check
from cortex.foundation.errors import Unavailable
from cortex.operations.health_changes import (
    UNTOLD_MAX,
    UNWELL_SECONDS,
    WELL_SECONDS,
    HealthChanges,
    HealthStore,
    Seen,
    Standing,
    step,
)
from cortex.storage.outbox import Journal
from cortex.storage.sqlite import Database
from cortex.testing.clock import ManualClock
from cortex.testing.memory import CountedIds

LOOK = 5.0
IDS = CountedIds()
ILL = Seen("embedder", "unhealthy", "no answer within 2.0 s")
WELL = Seen("embedder")


async def told(database: Database) -> list[str]:
    entries = await Journal(database, Event.from_json).after(0, limit=100)
    for one in entries:
        check(one.event.type, one.event.data)
    return [f"{e.event.type} {e.event.subject}" for e in entries]


async def looked(
    changes: HealthChanges, clock: ManualClock, seen: Seen, seconds: float
) -> None:
    for _ in range(int(seconds / LOOK) + 1):
        await changes.evaluate([seen])
        clock.advance(LOOK)


def changes_of(database: Database, clock: ManualClock) -> HealthChanges:
    return HealthChanges(HealthStore(database), clock=clock, ids=IDS)


async def test_what_lasts_is_told_once_and_once_when_it_is_over(
    database: Database, clock: ManualClock
) -> None:
    changes = changes_of(database, clock)
    await looked(changes, clock, WELL, 60)
    assert await told(database) == []
    await looked(changes, clock, ILL, UNWELL_SECONDS - LOOK)
    assert await told(database) == []
    await looked(changes, clock, ILL, 120)
    assert await told(database) == ["health.degraded embedder"]
    await looked(changes, clock, WELL, WELL_SECONDS - LOOK)
    assert len(await told(database)) == 1
    await looked(changes, clock, WELL, 120)
    assert (await told(database))[1:] == ["health.recovered embedder"]


async def test_what_flaps_is_told_to_nobody(
    database: Database, clock: ManualClock
) -> None:
    changes = changes_of(database, clock)
    for _ in range(50):
        await looked(changes, clock, ILL, 0)
        await looked(changes, clock, WELL, 0)
    assert await told(database) == []


async def test_a_restart_repeats_nothing_and_forgets_no_recovery(
    database: Database, clock: ManualClock
) -> None:
    await looked(changes_of(database, clock), clock, ILL, 30)
    again = changes_of(database, clock)
    await again.follow()
    await looked(again, clock, ILL, 60)
    assert await told(database) == ["health.degraded embedder"]
    await looked(again, clock, WELL, 60)
    third = changes_of(database, clock)
    await third.follow()
    await looked(third, clock, WELL, 60)
    assert (await told(database))[1:] == ["health.recovered embedder"]


async def test_what_is_no_longer_checked_is_not_unwell_for_ever(
    database: Database, clock: ManualClock
) -> None:
    changes = changes_of(database, clock)
    await looked(changes, clock, Seen("nats", "degraded"), 30)
    await looked(changes, clock, WELL, 60)
    assert await told(database) == ["health.degraded nats", "health.recovered nats"]


class FailingStore(HealthStore):
    """Takes nothing while it is told to fail."""

    failing = True

    async def save(self, events: Sequence[Event]) -> None:
        if self.failing:
            raise Unavailable("the disk is full")
        await super().save(events)


async def test_what_the_file_did_not_take_is_told_later_with_its_time(
    database: Database, clock: ManualClock
) -> None:
    store = FailingStore(database)
    changes = HealthChanges(store, clock=clock, ids=IDS)
    fell = clock.now() + UNWELL_SECONDS
    await looked(changes, clock, ILL, 60)
    await looked(changes, clock, WELL, 60)
    store.failing = False
    await looked(changes, clock, WELL, 0)
    entries = await Journal(database, Event.from_json).after(0, limit=100)
    assert [e.event.type for e in entries] == ["health.degraded", "health.recovered"]
    assert entries[0].event.time == fell


@given(st.lists(st.booleans(), max_size=200))
def test_no_sequence_of_looks_floods(looks: list[bool]) -> None:
    standing, changed = Standing(), 0
    for at, well in enumerate(looks):
        after = step(standing, Seen("c", "ok" if well else "degraded"), at * LOOK)
        changed += after.unwell is not standing.unwell
        standing = after
    assert changed <= 2 * len(looks) * LOOK / (UNWELL_SECONDS + WELL_SECONDS) + 1
    assert changed < UNTOLD_MAX
