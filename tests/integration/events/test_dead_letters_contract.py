"""A dead letter is offered again in the same way, whoever carried its event."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from cortex.bus.events import Event
from cortex.bus.memory import Bus, BusOptions
from cortex.bus.nats import NatsLink, NatsPublisher
from cortex.bus.nats_consumer import ConsumerOptions, NatsConsumer
from cortex.bus.redis_consumer import RedisStreamsConsumer, StreamOptions
from cortex.bus.redis_streams import RedisStreamsLink, RedisStreamsPublisher
from cortex.foundation.clock import SystemClock
from cortex.foundation.errors import NotFound
from cortex.foundation.ids import Uuid7Source
from cortex.storage.migrations import load_migrations
from cortex.storage.outbox import append
from cortex.storage.relay import Relay, RelayOptions
from cortex.storage.sqlite import Database

CLOCK = SystemClock()
IDS = Uuid7Source(CLOCK)
TRIES = 2
SOME = Event(
    id="",
    type="state.updated",
    source="/cortex/test",
    time=CLOCK.now(),
    tenant="local",
    data={"namespace": "default", "key": "k"},
)


class Refused(Exception):
    """What the handler raises."""


@dataclass
class Taker:
    """A handler that refuses until it is told otherwise, and may be held up."""

    refuses: bool = True
    calls: int = 0
    gate: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, _: Event) -> None:
        self.calls += 1
        await self.gate.wait()
        if self.refuses:
            raise Refused


@dataclass
class Carrier:
    taker: Taker
    publish: Callable[[Event], Awaitable[None]]
    retry: Callable[[str], Awaitable[None]]
    dead: Callable[[], Awaitable[list[str]]]

    async def bury(self) -> str:
        """Publish an event that is refused to the end; return its id."""
        event = replace(SOME, id=IDS.new())
        self.taker.gate.set()
        await self.publish(event)
        async with asyncio.timeout(60):
            while event.id not in await self.dead():
                await asyncio.sleep(0.01)
        return event.id


@asynccontextmanager
async def in_memory(taker: Taker, _: pytest.FixtureRequest) -> AsyncIterator[Carrier]:
    options = BusOptions(tries_max=TRIES, retry_seconds=0.01, dead_letters_max=1)
    bus = Bus(clock=CLOCK, options=options)
    bus.subscribe("taker", taker)

    async def publish(event: Event) -> None:
        bus.publish(event)

    async def dead() -> list[str]:
        return [one.event.id for one in bus.dead_letters()]

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(bus.run())
        yield Carrier(taker, publish, lambda one: bus.retry("taker", one), dead)
        await bus.stop()


@asynccontextmanager
async def in_outbox(
    taker: Taker, request: pytest.FixtureRequest
) -> AsyncIterator[Carrier]:
    path: Path = request.getfixturevalue("tmp_path") / "cortex.db"
    steps = load_migrations("cortex.storage")
    database = Database(path, clock=CLOCK, migrations=steps)
    await database.open()
    options = RelayOptions(tries_max=TRIES, retry_seconds=0.01)
    relay = Relay(database, Event.from_json, clock=CLOCK, options=options)
    relay.subscribe("taker", taker)

    async def publish(event: Event) -> None:
        await database.write(lambda connection: append(connection, event))

    async def dead() -> list[str]:
        return [one.event_id for one in await relay.journal.dead_letters(limit=9)]

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(relay.run())
        yield Carrier(taker, publish, lambda one: relay.retry("taker", one), dead)
        await relay.stop()
    await database.close()


@asynccontextmanager
async def consumed(
    taker: Taker,
    publish: Callable[[Event], Awaitable[None]],
    consumer: NatsConsumer | RedisStreamsConsumer,
) -> AsyncIterator[Carrier]:
    async def dead() -> list[str]:
        return [one.event.id for one in consumer.dead_letters()]

    running = asyncio.create_task(consumer.run())
    yield Carrier(taker, publish, consumer.retry, dead)
    running.cancel()
    await asyncio.wait([running])


@asynccontextmanager
async def in_nats(
    taker: Taker, request: pytest.FixtureRequest
) -> AsyncIterator[Carrier]:
    link = NatsLink(request.getfixturevalue("nats_server").url)
    options = ConsumerOptions(tries_max=TRIES, retry_seconds=0.01, fetch_seconds=0.2)
    consumer = NatsConsumer(link, "taker", taker, clock=CLOCK, options=options)
    async with consumed(taker, NatsPublisher(link).publish, consumer) as carrier:
        yield carrier
    await link.close()


@asynccontextmanager
async def in_redis(
    taker: Taker, request: pytest.FixtureRequest
) -> AsyncIterator[Carrier]:
    link = RedisStreamsLink(request.getfixturevalue("valkey_url"))
    await link.client.flushall()
    options = StreamOptions(tries_max=TRIES, retry_seconds=0.01, fetch_seconds=0.1)
    consumer = RedisStreamsConsumer(
        link, "taker", taker, clock=CLOCK, ids=IDS, options=options
    )
    publisher = RedisStreamsPublisher(link)
    async with consumed(taker, publisher.publish, consumer) as carrier:
        yield carrier
    await link.close()


@pytest.fixture(params=[in_memory, in_outbox, in_nats, in_redis])
async def carrier(request: pytest.FixtureRequest) -> AsyncIterator[Carrier]:
    async with AsyncExitStack() as stack:
        yield await stack.enter_async_context(request.param(Taker(), request))


async def test_retrying_what_is_no_dead_letter_finds_nothing(carrier: Carrier) -> None:
    with pytest.raises(NotFound, match="no such dead letter"):
        await carrier.retry("never-published")
    await carrier.bury()
    with pytest.raises(NotFound, match="no such dead letter"):
        await carrier.retry("never-published")


async def test_a_letter_that_is_refused_again_stays_and_one_taken_goes(
    carrier: Carrier,
) -> None:
    event = await carrier.bury()
    with pytest.raises(Refused):
        await carrier.retry(event)
    assert await carrier.dead() == [event]
    carrier.taker.refuses = False
    await carrier.retry(event)
    assert await carrier.dead() == []
    assert carrier.taker.calls == TRIES + 2
    with pytest.raises(NotFound):
        await carrier.retry(event)


async def test_two_who_retry_one_letter_at_once_both_have_it_done(
    carrier: Carrier,
) -> None:
    event = await carrier.bury()
    carrier.taker.refuses = False
    carrier.taker.gate.clear()
    both = [asyncio.create_task(carrier.retry(event)) for _ in range(2)]
    async with asyncio.timeout(60):
        while carrier.taker.calls < TRIES + 2:
            await asyncio.sleep(0.001)
        carrier.taker.gate.set()
        await asyncio.gather(*both)
    assert await carrier.dead() == []
