"""Events over a real NATS server: none lost, none twice, and nobody waits for it."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from nats.errors import Error as NatsError

from cortex.bus.errors import TransportUnreachable
from cortex.bus.events import Event
from cortex.bus.nats import NatsLink, NatsPublisher
from cortex.bus.nats_consumer import ConsumerOptions, NatsConsumer
from cortex.foundation.clock import SystemClock
from cortex.foundation.ids import Uuid7Source
from cortex.storage.migrations import load_migrations
from cortex.storage.outbox import append
from cortex.storage.relay import Relay, RelayOptions
from cortex.storage.sqlite import Connection, Database

EVENTS = 400
QUICK = ConsumerOptions(
    retry_seconds=0.01, fetch_seconds=0.2, reconnect_seconds=0.1, acknowledge_seconds=2
)


@pytest.fixture
def make() -> Callable[[], Event]:
    clock = SystemClock()
    ids, numbers = Uuid7Source(clock), itertools.count()

    def event() -> Event:
        return Event(
            id=ids.new(),
            type="state.updated",
            source="/cortex/test",
            time=clock.now(),
            tenant="local",
            correlation_id="c1",
            data={"namespace": "default", "key": str(next(numbers))},
        )

    return event


@pytest.fixture
async def link(nats_server) -> AsyncIterator[NatsLink]:
    made = NatsLink(nats_server.url)
    yield made
    await made.close()


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    migrations = load_migrations("cortex.storage")
    path = tmp_path / "cortex.db"
    opened = Database(path, clock=SystemClock(), migrations=migrations)
    await opened.open()
    yield opened
    await opened.close()


@asynccontextmanager
async def consuming(consumer: NatsConsumer) -> AsyncIterator[None]:
    task = asyncio.create_task(consumer.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def until(true: Callable[[], object], seconds: float = 40) -> None:
    async with asyncio.timeout(seconds):
        while not true():
            await asyncio.sleep(0.02)


def adding(events: list[Event]) -> Callable[[Connection], None]:
    def unit(connection: Connection) -> None:
        for event in events:
            append(connection, event)

    return unit


async def test_a_killed_server_loses_nothing_and_nothing_comes_twice(
    nats_server, link: NatsLink, database: Database, make: Callable[[], Event]
) -> None:
    seen: list[str] = []

    async def take(event: Event) -> None:
        seen.append(event.id)

    reading = NatsLink(nats_server.url)
    consumer = NatsConsumer(reading, "peer", take, clock=SystemClock(), options=QUICK)
    relay = Relay(
        database,
        Event.from_json,
        clock=SystemClock(),
        options=RelayOptions(retry_seconds=0.02),
    )
    relay.subscribe("nats", NatsPublisher(link).publish)
    events = [make() for _ in range(EVENTS)]
    running = asyncio.create_task(relay.run())
    async with consuming(consumer):
        await database.write(adding(events[: EVENTS // 2]))
        await until(lambda: len(seen) > 20)
        nats_server.kill()
        started = time.monotonic()
        await database.write(adding(events[EVENTS // 2 :]))
        assert time.monotonic() - started < 5  # a dead server holds up no write
        await asyncio.sleep(0.3)
        assert (await relay.lag())["nats"] >= EVENTS // 2
        nats_server.start()
        await until(lambda: len(set(seen)) == EVENTS)
    await relay.stop()
    await running
    await reading.close()
    assert seen == [event.id for event in events]
    assert await relay.journal.dead_letters(limit=1) == []
    info = await (await link.stream()).stream_info("CORTEX_EVENTS")
    assert info.state.messages == EVENTS


async def test_an_event_arrives_as_it_was_and_once(
    link: NatsLink, make: Callable[[], Event]
) -> None:
    publisher, event, seen = NatsPublisher(link), make(), []

    async def take(found: Event) -> None:
        seen.append(found)

    await publisher.publish(event)
    await publisher.publish(event)
    stream = await link.stream()
    raw = await stream.get_last_msg("CORTEX_EVENTS", "cortex.events.state.updated")
    assert b'"specversion":"1.0"' in (raw.data or b"")
    await stream.publish("cortex.events.state.updated", b"not an event")
    consumer = NatsConsumer(
        link, "one", take, clock=SystemClock(), types=["state.updated"], options=QUICK
    )
    async with consuming(consumer):
        await until(lambda: consumer.malformed)
    assert [found.id for found in seen] == [event.id]
    assert seen[0].time == pytest.approx(event.time, abs=1e-5)
    assert (seen[0].tenant, seen[0].data) == (event.tenant, event.data)
    assert seen[0].correlation_id == "c1"


async def test_a_handler_that_fails_is_tried_again_then_it_is_a_dead_letter(
    link: NatsLink, make: Callable[[], Event]
) -> None:
    bad, good, calls = make(), make(), []

    async def take(found: Event) -> None:
        calls.append(found.id)
        if found.id == bad.id:
            message = "no"
            raise ValueError(message)

    for event in (bad, good):
        await NatsPublisher(link).publish(event)
    consumer = NatsConsumer(link, "x", take, clock=SystemClock(), options=QUICK)
    async with consuming(consumer):
        await until(consumer.dead_letters)
    [letter] = consumer.dead_letters()
    assert (letter.event.id, letter.reason, letter.tries) == (
        bad.id,
        "ValueError: no",
        5,
    )
    assert calls.count(bad.id) == 5
    assert calls.count(good.id) == 1


async def test_two_names_hear_all_and_one_name_shares(
    nats_server, link: NatsLink, make: Callable[[], Event]
) -> None:
    heard: dict[str, list[str]] = {"a": [], "b1": [], "b2": []}

    def into(key: str) -> NatsConsumer:
        async def take(event: Event) -> None:
            heard[key].append(event.id)

        return NatsConsumer(link, key[0], take, clock=SystemClock(), options=QUICK)

    events = [make() for _ in range(30)]
    async with consuming(into("a")), consuming(into("b1")), consuming(into("b2")):
        for event in events:
            await NatsPublisher(link).publish(event)
        await until(lambda: len(heard["a"]) == 30)
        await until(lambda: len(heard["b1"]) + len(heard["b2"]) == 30)
    assert sorted(heard["b1"] + heard["b2"]) == sorted(event.id for event in events)


async def test_an_absent_server_is_told_quickly_and_without_its_password(
    nats_server, make: Callable[[], Event]
) -> None:
    nats_server.kill()
    link = NatsLink(f"nats://ann:s3cr3t@127.0.0.1:{nats_server.port}")
    started = time.monotonic()
    with pytest.raises(TransportUnreachable) as told:
        await link.ping()
    assert time.monotonic() - started < 3
    assert "s3cr3t" not in f"{told.value!r} {told.value.hint}"
    nats_server.start()
    await link.ping()
    await link.close()


async def test_an_event_that_no_server_takes_is_refused_for_good(
    link: NatsLink, make: Callable[[], Event]
) -> None:
    event = make()
    huge = Event.from_json(event.to_json())
    object.__setattr__(huge, "correlation_id", "x" * 2_000_000)
    with pytest.raises(NatsError):
        await NatsPublisher(link).publish(huge)
