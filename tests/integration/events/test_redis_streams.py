"""Events over a real Redis (Valkey): none lost, none twice, also when it dies."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Callable

import pytest

from cortex.bus.errors import TransportUnreachable
from cortex.bus.events import Event
from cortex.bus.redis_consumer import RedisStreamsConsumer, StreamOptions
from cortex.bus.redis_streams import STREAM, RedisStreamsLink, RedisStreamsPublisher
from cortex.foundation.clock import SystemClock
from cortex.foundation.ids import Uuid7Source

CLOCK = SystemClock()
IDS = Uuid7Source(CLOCK)
QUICK = StreamOptions(
    retry_seconds=0.01, fetch_seconds=0.1, reconnect_seconds=0.05, adopt_seconds=0.5
)


@pytest.fixture
def make() -> Callable[[], Event]:
    numbers = itertools.count()

    def event() -> Event:
        return Event(
            id=IDS.new(),
            type="state.updated",
            source="/cortex/test",
            time=CLOCK.now(),
            tenant="local",
            data={"namespace": "default", "key": str(next(numbers))},
        )

    return event


@pytest.fixture
async def link(valkey_url: str) -> AsyncIterator[RedisStreamsLink]:
    made = RedisStreamsLink(valkey_url)
    await made.client.flushall()
    yield made
    await made.close()


def into(
    link: RedisStreamsLink, name: str, seen: list[str], refuse: str = ""
) -> RedisStreamsConsumer:
    async def take(event: Event) -> None:
        seen.append(event.id)
        if event.id == refuse:
            message = "no"
            raise ValueError(message)

    return RedisStreamsConsumer(link, name, take, clock=CLOCK, ids=IDS, options=QUICK)


async def until(
    true: Callable[[], object], *consumers: RedisStreamsConsumer, seconds: float = 30
) -> None:
    tasks = [asyncio.create_task(one.run()) for one in consumers]
    try:
        async with asyncio.timeout(seconds):
            while not true():
                await asyncio.sleep(0.01)
    finally:
        for task in tasks:
            task.cancel()
        _, stuck = await asyncio.wait(tasks, timeout=60)
        assert not stuck, [task.get_stack() for task in stuck]


async def test_an_event_arrives_as_it_was_and_once(link, make) -> None:
    publisher, event, seen = RedisStreamsPublisher(link), make(), []
    await publisher.publish(event)
    await publisher.publish(event)
    assert await link.client.xlen(STREAM) == 1
    await link.client.xadd(STREAM, {"body": b"not an event"})
    await link.client.xadd(STREAM, {"other": b"fields"})
    consumer = into(link, "one", seen)
    await until(lambda: consumer.malformed == 2, consumer)
    assert seen == [event.id]
    [(_, fields), *_] = await link.client.xrange(STREAM)
    assert Event.from_carried(fields[b"body"]).data == event.data
    pending = await link.client.xpending(STREAM, "one")
    assert pending["pending"] == 0


async def test_a_handler_that_fails_is_tried_again_then_it_is_a_dead_letter(
    link, make
) -> None:
    bad, good, seen = make(), make(), []
    for event in (bad, good):
        await RedisStreamsPublisher(link).publish(event)
    consumer = into(link, "x", seen, refuse=bad.id)
    await until(consumer.dead_letters, consumer)
    [letter] = consumer.dead_letters()
    assert (letter.event.id, letter.reason, letter.tries) == (
        bad.id,
        "ValueError: no",
        5,
    )
    assert (seen.count(bad.id), seen.count(good.id)) == (5, 1)


async def test_what_a_process_died_with_another_one_adopts(link, make) -> None:
    event, stuck, seen = make(), asyncio.Event(), []

    async def dies(_: Event) -> None:
        stuck.set()
        await asyncio.Event().wait()

    first = RedisStreamsConsumer(link, "x", dies, clock=CLOCK, ids=IDS, options=QUICK)
    await RedisStreamsPublisher(link).publish(event)
    await until(stuck.is_set, first)
    second = into(link, "x", seen)
    await until(lambda: seen, second)
    assert seen == [event.id]


async def test_two_names_hear_all_and_one_name_shares(link, make) -> None:
    heard: dict[str, list[str]] = {"a": [], "b1": [], "b2": []}
    consumers = [into(link, key[0], seen) for key, seen in heard.items()]
    events = [make() for _ in range(30)]
    for event in events:
        await RedisStreamsPublisher(link).publish(event)
    await until(
        lambda: len(heard["a"]) == len(heard["b1"]) + len(heard["b2"]) == 30,
        *consumers,
    )
    assert sorted(heard["b1"] + heard["b2"]) == sorted(event.id for event in events)


async def test_a_group_that_the_server_forgot_is_made_again(link, make) -> None:
    seen: list[str] = []
    consumer, publisher = into(link, "x", seen), RedisStreamsPublisher(link)
    running = asyncio.create_task(consumer.run())
    first, second = make(), make()
    await publisher.publish(first)
    async with asyncio.timeout(20):
        while not seen:
            await asyncio.sleep(0.01)
        await link.client.flushall()
        await publisher.publish(second)
        while len(seen) < 2:
            await asyncio.sleep(0.01)
    running.cancel()
    await asyncio.wait([running])
    assert seen == [first.id, second.id]


async def test_an_absent_server_is_told_quickly_and_without_its_password(make) -> None:
    link = RedisStreamsLink("redis://ann:s3cr3t@127.0.0.1:1/0")
    started = time.monotonic()
    for asked in (link.ping(), RedisStreamsPublisher(link).publish(make())):
        with pytest.raises(TransportUnreachable) as told:
            await asked
        assert "s3cr3t" not in f"{told.value!r} {told.value.hint}"
    assert time.monotonic() - started < 5
    await link.close()
