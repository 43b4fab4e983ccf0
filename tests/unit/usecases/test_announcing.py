import asyncio
import threading

import pytest

from cortex.bus.events import Event
from cortex.foundation.errors import Overloaded
from cortex.storage import outbox
from cortex.storage.sqlite import DatabaseOptions
from cortex.testing.clock import ManualClock
from cortex.testing.memory import memory_world
from cortex.usecases.announcing import ANNOUNCEMENTS_MAX, BATCH_MAX, Announcer


def announcer(house) -> Announcer:
    return Announcer(house.world.database, clock=ManualClock(), ids=house.world.ids)


def packed(number: int) -> dict:
    return {
        "model": "gpt-4o",
        "max_tokens": 100,
        "total_tokens": number,
        "items_included": 0,
        "items_dropped": 0,
        "ids": [],
    }


async def kept(house) -> list[dict]:
    rows = await house.world.database.read(lambda c: outbox.read_after(c, 0, 10_000))
    return [Event.from_json(row.body).data for row in rows]


async def test_what_waits_is_flushed_in_order(house, call):
    announce = announcer(house)
    for n in range(BATCH_MAX * 2 + 1):
        announce("context.packed", house.namespace, packed(n), call)
    assert await kept(house) == []
    await announce.flush()
    found = await kept(house)
    assert [data["total_tokens"] for data in found] == list(range(BATCH_MAX * 2 + 1))
    assert {data["namespace"] for data in found} == {house.namespace.name}
    await announce.flush()
    assert len(await kept(house)) == len(found)


async def test_a_full_queue_drops_and_counts_and_never_waits(house, call):
    announce = announcer(house)
    for n in range(ANNOUNCEMENTS_MAX + 7):
        announce("context.packed", house.namespace, packed(n), call)
    assert announce.dropped == 7
    await announce.flush()
    assert len(await kept(house)) == ANNOUNCEMENTS_MAX
    announce("context.packed", house.namespace, packed(1), call)
    assert announce.dropped == 7


async def test_the_loop_writes_without_being_asked(house, call):
    announce = announcer(house)
    running = asyncio.create_task(announce.run())
    announce("context.packed", house.namespace, packed(1), call)
    async with asyncio.timeout(10):
        while not await kept(house):
            await asyncio.sleep(0)
    running.cancel()
    await asyncio.wait([running])
    assert running.cancelled()


async def test_what_was_taken_up_when_the_loop_is_stopped_is_flushed(house, call):
    announce = announcer(house)
    gate = threading.Event()
    database = house.world.database
    busy = asyncio.create_task(database.write(lambda _: gate.wait(60)))
    running = asyncio.create_task(announce.run())
    announce("context.packed", house.namespace, packed(1), call)
    async with asyncio.timeout(60):
        while database.status().queued_units != 1:
            await asyncio.sleep(0)
    running.cancel()
    await asyncio.wait([running])
    gate.set()
    await busy
    await announce.flush()
    assert [data["total_tokens"] for data in await kept(house)] == [1]


async def test_what_could_not_be_written_is_written_by_the_next_run(tmp_path, call):
    options = DatabaseOptions(write_queue_units_max=1)
    async with memory_world(tmp_path, options=options) as world:
        announce = Announcer(world.database, clock=ManualClock(), ids=world.ids)
        gate, begun = threading.Event(), threading.Event()

        def unit(_connection: object) -> None:
            begun.set()
            gate.wait(60)

        first = asyncio.create_task(world.database.write(unit))
        await asyncio.to_thread(begun.wait, 60)
        second = asyncio.create_task(world.database.write(lambda _: None))
        await asyncio.sleep(0)
        announce("context.packed", world.namespace, packed(1), call)
        with pytest.raises(Overloaded):
            await announce.run()
        gate.set()
        await asyncio.gather(first, second)
        await announce.flush()
        rows = await world.database.read(lambda c: outbox.read_after(c, 0, 10))
        assert [row.type for row in rows] == ["context.packed"]
