"""Events of committed transactions reach subscribers: all, in order, at least once."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from cortex.bus.events import Event
from cortex.foundation.errors import Conflict, NotFound, Unavailable
from cortex.foundation.ids import Uuid7Source
from cortex.storage.outbox import Letters, Sought, append
from cortex.storage.relay import Relay, RelayOptions
from cortex.storage.sqlite import Connection, Database
from cortex.testing.clock import ManualClock

Handler = Callable[[Event], "asyncio.Future[None]"]


@pytest.fixture
def make(clock: ManualClock) -> Callable[[str], Event]:
    ids = Uuid7Source(clock)

    def event(key: str, kind: str = "state.updated") -> Event:
        data = {"namespace": "default", "key": key}
        return Event(
            id=ids.new(),
            type=kind,
            source="/cortex/test",
            time=clock.now(),
            tenant="local",
            data=data,
        )

    return event


def adding(*events: Event) -> Callable[[Connection], None]:
    def unit(connection: Connection) -> None:
        for event in events:
            append(connection, event)

    return unit


class Recorder:
    """Keeps what it is called with; fails for the keys it is told to."""

    def __init__(self, *failing: str) -> None:
        self.keys: list[object] = []
        self.failing = set(failing)

    async def __call__(self, event: Event) -> None:
        self.keys.append(event.data["key"])
        if event.data["key"] in self.failing:
            message = "cannot"
            raise ValueError(message)


def relay_of(database: Database, clock: ManualClock, **options: float) -> Relay[Event]:
    return Relay(
        database,
        Event.from_json,
        clock=clock,
        options=RelayOptions(**options),  # type: ignore[arg-type]
    )


@asynccontextmanager
async def running(relay: Relay[Event]) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as group:
        group.create_task(relay.run())
        await asyncio.sleep(0)
        yield
        await relay.stop()


async def test_committed_events_arrive_in_order(
    database: Database, clock: ManualClock, make: Callable[[str], Event]
) -> None:
    seen = Recorder()
    relay = relay_of(database, clock)
    relay.subscribe("seen", seen)
    await database.write(adding(make("before the start")))
    async with running(relay):
        for number in range(600):
            await database.write(adding(make(f"{number}")))
        await relay.caught_up()
        assert seen.keys == ["before the start", *(f"{n}" for n in range(600))]
        assert await relay.lag() == {"seen": 0}


async def test_a_rolled_back_event_never_existed(
    database: Database, clock: ManualClock, make: Callable[[str], Event]
) -> None:
    seen = Recorder()
    relay = relay_of(database, clock)
    relay.subscribe("seen", seen)

    def undone(connection: Connection) -> None:
        append(connection, make("undone"))
        raise NotFound("as told")

    async with running(relay):
        with pytest.raises(NotFound):
            await database.write(undone)
        await database.write(adding(make("done")))
        await relay.caught_up()
    assert seen.keys == ["done"]


async def test_the_same_event_twice_is_one(
    database: Database, clock: ManualClock, make: Callable[[str], Event]
) -> None:
    event = make("once")
    await database.write(adding(event, event))
    await database.write(adding(event))
    relay = relay_of(database, clock)
    assert [e.event for e in await relay.journal.after(0, limit=10)] == [event]


async def test_a_durable_cursor_survives_a_restart(
    path: Path, clock: ManualClock, database: Database, make: Callable[[str], Event]
) -> None:
    first, second, live = Recorder(), Recorder(), Recorder()
    relay = relay_of(database, clock)
    relay.subscribe("ledger", first)
    async with running(relay):
        await database.write(adding(make("1"), make("2")))
        await relay.caught_up()
    await database.write(adding(make("3")))
    await database.close()
    await database.open()
    relay = relay_of(database, clock)
    relay.subscribe("ledger", second)
    relay.subscribe("stream", live, durable=False)
    async with running(relay):
        await relay.caught_up()
        await database.write(adding(make("4")))
        await relay.caught_up()
    assert first.keys == ["1", "2"]
    assert second.keys == ["3", "4"]
    assert live.keys == ["4"]
    assert path.exists()


async def test_types_are_filtered(
    database: Database, clock: ManualClock, make: Callable[..., Event]
) -> None:
    seen = Recorder()
    relay = relay_of(database, clock)
    relay.subscribe("seen", seen, types=["state.invalidated"])
    async with running(relay):
        await database.write(adding(make("a"), make("b", "state.invalidated")))
        await relay.caught_up()
    assert seen.keys == ["b"]


async def test_a_refused_event_is_retried_then_buried(
    database: Database, clock: ManualClock, make: Callable[[str], Event]
) -> None:
    picky, other = Recorder("bad"), Recorder()
    relay = relay_of(database, clock, tries_max=3, retry_seconds=1.0)
    relay.subscribe("picky", picky)
    relay.subscribe("other", other)
    bad = make("bad")
    async with running(relay):
        await database.write(adding(make("a"), bad, make("b")))
        done = asyncio.gather(relay.caught_up())
        while not done.done():
            clock.advance(0.5)
            await asyncio.sleep(0.001)
        assert picky.keys == ["a", "bad", "bad", "bad", "b"]
        assert other.keys == ["a", "bad", "b"]
        (letter,) = await relay.journal.dead_letters(limit=10)
        assert (letter.subscriber, letter.event, letter.tries) == ("picky", bad, 3)
        assert letter.error == "ValueError: cannot"
        with pytest.raises(ValueError, match="cannot"):
            await relay.retry("picky", bad.id)
        picky.failing.clear()
        await relay.retry("picky", bad.id)
        assert await relay.journal.dead_letters(limit=10) == []
        with pytest.raises(NotFound):
            await relay.retry("picky", bad.id)


async def test_commits_of_another_process_are_polled(
    database: Database, path: Path, clock: ManualClock, make: Callable[[str], Event]
) -> None:
    seen = Recorder()
    relay = relay_of(database, clock, poll_seconds=1.0)
    relay.subscribe("seen", seen)
    other = Database(path, clock=clock)
    await other.open()
    async with running(relay):
        await relay.caught_up()
        await other.write(adding(make("from elsewhere")))
        while not seen.keys:
            clock.advance(1.0)
            await asyncio.sleep(0.001)
    await other.close()
    assert seen.keys == ["from elsewhere"]


async def test_pruning_keeps_what_streams_resume_from(
    database: Database, clock: ManualClock, make: Callable[[str], Event]
) -> None:
    seen = Recorder()
    relay = relay_of(
        database, clock, kept_seconds=100.0, kept_events_max=5, prune_seconds=1e9
    )
    relay.subscribe("seen", seen)
    events = [make(f"{n}") for n in range(10)]
    async with running(relay):
        await database.write(adding(*events))
        await relay.caught_up()
        assert await relay.prune() == 5
        assert await relay.journal.position_of(events[4].id) is None
        resumed = await relay.journal.position_of(events[6].id)
        assert resumed is not None
        after = await relay.journal.after(resumed, limit=10)
        assert [entry.event for entry in after] == events[7:]
        clock.advance(200)
        await database.write(adding(late := make("late")))
        await relay.caught_up()
        assert await relay.prune() == 5
        kept = await relay.journal.after(0, limit=10)
        assert [entry.event for entry in kept] == [late]


async def test_pruning_never_takes_what_is_undelivered(
    database: Database, clock: ManualClock, make: Callable[[str], Event]
) -> None:
    slow = asyncio.Event()

    async def wait(_: Event) -> None:
        await slow.wait()

    relay = relay_of(
        database, clock, kept_seconds=1.0, kept_events_max=1, prune_seconds=1e9
    )
    relay.subscribe("slow", wait)
    async with running(relay):
        await database.write(adding(*(make(f"{n}") for n in range(5))))
        await asyncio.sleep(0.01)
        clock.advance(50)
        assert await relay.prune() == 0
        slow.set()
        await relay.caught_up()
        assert await relay.prune() == 5


async def test_subscribing_while_running_and_leaving(
    database: Database, clock: ManualClock, make: Callable[[str], Event]
) -> None:
    seen = Recorder()
    relay = relay_of(database, clock)
    async with running(relay):
        relay.subscribe("late", seen)
        with pytest.raises(Conflict):
            relay.subscribe("late", seen)
        await database.write(adding(make("a")))
        await relay.caught_up()
        relay.unsubscribe("late")
        await database.write(adding(make("b")))
        await relay.caught_up()
    assert seen.keys == ["a"]


async def test_an_unreadable_event_is_buried_not_fatal(
    database: Database, clock: ManualClock, make: Callable[[str], Event]
) -> None:
    seen = Recorder()
    relay = relay_of(database, clock, tries_max=1)
    relay.subscribe("seen", seen)
    await database.write(
        lambda c: c.execute(
            "INSERT INTO outbox_events (id, type, tenant, time, body)"
            " VALUES ('x', 'from.the.future', 'local', 0, '{}')"
        )
    )
    await database.write(adding(make("a")))
    async with running(relay):
        await relay.caught_up()
    assert seen.keys == ["a"]


async def test_what_this_release_cannot_read_hides_nothing_else(
    database: Database, clock: ManualClock, make: Callable[[str], Event]
) -> None:
    relay = relay_of(database, clock, tries_max=1)
    relay.subscribe("one", Recorder("a"))

    def unreadable(connection: Connection) -> None:
        for number in range(3):
            connection.execute(
                "INSERT INTO outbox_events (id, type, tenant, time, body)"
                " VALUES (?, 'from.the.future', 'local', 0, ?)",
                (f"{make('x').id}-{number}", b'{"tenant": "local"}'),
            )

    known = make("a")
    await database.write(unreadable)
    await database.write(adding(known))
    await database.write(unreadable)
    (found,) = await relay.journal.after(0, limit=2)
    assert found.event.id == known.id
    assert await relay.journal.after(found.position, limit=2) == []
    async with running(relay):
        await relay.caught_up()
    letters = await relay.journal.dead_letters(Letters("local"), limit=10)
    assert [letter.event_id for letter in letters] == [known.id]


async def test_a_relay_outlives_an_outage_of_its_database(
    path: Path, clock: ManualClock, database: Database, make: Callable[[str], Event]
) -> None:
    seen = Recorder()
    relay = relay_of(database, clock, poll_seconds=1.0, prune_seconds=1.0)
    relay.subscribe("seen", seen)
    async with running(relay):
        await database.write(adding(make("a")))
        await relay.caught_up()
        await database.close()
        for _ in range(5):
            clock.advance(2.0)
            await asyncio.sleep(0.002)
        await database.open()
        await database.write(adding(make("b")))
        while seen.keys != ["a", "b"]:
            clock.advance(2.0)
            await asyncio.sleep(0.002)
    assert path.exists()


async def test_an_unavailable_subscriber_is_waited_for_and_loses_nothing(
    database: Database, clock: ManualClock, make: Callable[[str], Event]
) -> None:
    taken: list[object] = []
    down, asked = True, 0

    async def handler(event: Event) -> None:
        nonlocal asked
        asked += 1
        if down:
            message = "the ledger takes no entries"
            raise Unavailable(message)
        taken.append(event.data["key"])

    relay = relay_of(database, clock, tries_max=2)
    relay.subscribe("ledger", handler)
    await database.write(adding(make("a"), make("b")))
    async with running(relay):
        while asked < 10:
            clock.advance(40.0)
            await asyncio.sleep(0)
        assert taken == []
        assert await relay.journal.dead_letters(limit=10) == []
        down = False
        while len(taken) < 2:
            clock.advance(40.0)
            await asyncio.sleep(0)
        await relay.caught_up()
        assert taken == ["a", "b"]


@pytest.mark.parametrize("error", [Unavailable, ValueError])
@pytest.mark.parametrize("way", ["stop", "unsubscribe"])
async def test_who_stops_does_not_wait_for_the_next_try(
    database: Database,
    clock: ManualClock,
    make: Callable[[str], Event],
    error: type[Exception],
    way: str,
) -> None:
    asked: list[object] = []
    down = True

    async def handler(event: Event) -> None:
        asked.append(event.data["key"])
        if down:
            message = "not now"
            raise error(message)

    relay = relay_of(database, clock, retry_seconds=10_000.0)
    relay.subscribe("carrier", handler)
    await database.write(adding(make("a"), make("b")))
    async with asyncio.timeout(60):
        async with asyncio.TaskGroup() as group:
            group.create_task(relay.run())
            while not asked:
                await asyncio.sleep(0.001)
            if way == "unsubscribe":
                relay.unsubscribe("carrier")
            await relay.stop()
        assert asked == ["a"]
        assert await relay.journal.dead_letters(limit=10) == []
        down = False
        if way == "unsubscribe":
            relay.subscribe("carrier", handler)
        async with running(relay):
            await relay.caught_up()
    assert asked == ["a", "a", "b"]


async def test_events_offered_together_begin_in_order(
    database: Database, clock: ManualClock, make: Callable[[str], Event]
) -> None:
    begun: list[object] = []
    under_way = most = 0

    async def handler(event: Event) -> None:
        nonlocal under_way, most
        begun.append(event.data["key"])
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0)
        under_way -= 1

    relay = relay_of(database, clock)
    relay.subscribe("ledger", handler, together=8)
    await database.write(adding(*(make(f"{n}") for n in range(100))))
    async with running(relay):
        await relay.caught_up()
    assert begun == [f"{n}" for n in range(100)]
    assert most == 8


async def test_redelivery_counts_tries_and_letters_are_chosen_by_tenant(
    database: Database, clock: ManualClock, make: Callable[[str], Event]
) -> None:
    relay, seen = relay_of(database, clock, tries_max=1), Recorder("bad")
    relay.subscribe("one", seen)
    async with running(relay):
        await database.write(adding(make("bad"), make("good")))
        await relay.caught_up()
    assert await relay.journal.dead_letters(Letters("acme"), limit=9) == []
    [letter] = await relay.journal.dead_letters(Letters("local", "one"), limit=9)
    assert await relay.redeliver(letter) == "ValueError: cannot"
    [again] = await relay.journal.dead_letters(
        Letters(event_id=letter.event_id), limit=9
    )
    assert (again.tries, again.error) == (2, "ValueError: cannot")
    seen.failing.clear()
    assert await relay.redeliver(letter) == ""
    assert await relay.redeliver(letter) == ""
    assert await relay.journal.dead_letters(limit=9) == []
    relay.unsubscribe("one")
    assert await relay.redeliver(letter) == "its subscriber is not running"


async def test_past_events_are_sought_by_tenant_type_subject_time_and_place(
    database: Database, clock: ManualClock, make: Callable[[str], Event]
) -> None:
    journal = relay_of(database, clock).journal
    made = [
        replace(make(f"{n}"), subject=f"s{n % 2}", time=100.0 + n, tenant=tenant)
        for n, tenant in enumerate(["local", "local", "acme", "local"])
    ]
    await database.write(adding(*made))

    async def found(**asked: object) -> list[str]:
        entries = await journal.before(Sought("local", **asked), limit=9)
        return [entry.event.id for entry in entries]

    newest_first = [made[3].id, made[1].id, made[0].id]
    assert await found() == newest_first
    assert await found(types=(made[0].type, "memory.stored")) == newest_first
    assert await found(types=("memory.stored",)) == []
    assert await found(subject="s1") == [made[3].id, made[1].id]
    assert await found(since=101.0, until=102.0) == [made[1].id]
    place = await journal.position_of(made[3].id)
    assert await found(before=place) == newest_first[1:]
