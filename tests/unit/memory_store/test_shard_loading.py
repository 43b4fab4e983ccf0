"""A shard is loaded once, whoever asked for it and whoever is still there."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest

from cortex.foundation.tenancy import Namespace
from cortex.memory.ports import Changes, Head
from cortex.memory.shards import ShardOptions, Shards
from cortex.memory.terms import TermAnalyser
from cortex.storage.errors import StorageError
from cortex.testing.memory import SPACE, MemoryWorld

PLACE = Namespace("local", "default")


class SlowStore:
    """Reads changes only when a test lets it, and fails where it says so."""

    def __init__(self, world: MemoryWorld) -> None:
        self._store = world.store
        self.loads = 0
        self.entered = asyncio.Event()
        self.gate = asyncio.Event()
        self.fails = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def changes(self, ns: Namespace, since: Head, *, limit: int) -> Changes:
        self.loads += not since.seq
        self.entered.set()
        await self.gate.wait()
        if self.fails:
            message = "the disk is away"
            raise StorageError(message)
        return await self._store.changes(ns, since, limit=limit)


@dataclass
class Loading:
    store: SlowStore
    shards: Shards

    async def count(self, place: Namespace = PLACE) -> int:
        async with asyncio.timeout(60), self.shards.opened(place, SPACE) as opened:
            return opened.shard.live

    async def ask_and_leave(self) -> None:
        asking = asyncio.create_task(self.count())
        await self.store.entered.wait()
        for _ in range(20):  # let it come as far as it can
            await asyncio.sleep(0)
        asking.cancel()
        await asyncio.wait([asking])


@pytest.fixture
async def loading(world: MemoryWorld) -> Loading:
    await world.say("tea is green")
    store = SlowStore(world)
    return Loading(store, Shards(store, TermAnalyser()))


@pytest.fixture
async def running(loading: Loading) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(loading.shards.run())
    await asyncio.sleep(0)
    yield task
    task.cancel()
    await asyncio.wait([task])
    assert not [one for one in asyncio.all_tasks() if one.get_name() == "shard-load"]


@pytest.mark.usefixtures("running")
async def test_it_goes_on_when_who_asked_for_it_left(loading: Loading) -> None:
    for _ in range(3):
        await loading.ask_and_leave()
    loading.store.gate.set()
    assert await loading.count() == 1
    assert loading.store.loads == 1


@pytest.mark.usefixtures("running")
async def test_what_is_loaded_for_nobody_is_there_for_the_next(
    loading: Loading, world: MemoryWorld
) -> None:
    await loading.ask_and_leave()
    loading.store.gate.set()
    async with asyncio.timeout(60):
        while not loading.shards.status().shards:
            await asyncio.sleep(0)
    await world.say("tea is black")
    assert await loading.count() == 2
    assert loading.store.loads == 1


@pytest.mark.usefixtures("running")
async def test_all_who_wait_get_its_error_and_the_next_tries_again(
    loading: Loading,
) -> None:
    waiting = [asyncio.create_task(loading.count()) for _ in range(5)]
    await loading.store.entered.wait()
    loading.store.fails = True
    loading.store.gate.set()
    await asyncio.wait(waiting)
    assert {type(one.exception()) for one in waiting} == {StorageError}
    assert loading.store.loads == 1
    loading.store.fails = False
    assert await loading.count() == 1


async def test_it_ends_with_its_loop_and_who_still_waits_loads_without(
    loading: Loading, running: asyncio.Task[None]
) -> None:
    waiting = asyncio.create_task(loading.count())
    await loading.store.entered.wait()
    running.cancel()
    await asyncio.wait([running])
    loading.store.gate.set()
    assert await waiting == 1
    assert loading.store.loads == 2


async def test_names_that_callers_make_up_push_nothing_out(world: MemoryWorld) -> None:
    shards = Shards(world.store, TermAnalyser(), ShardOptions(bytes_max=100_000))
    await world.say("tea is green")
    for name in ("default", *(f"nowhere-{number}" for number in range(20))):
        async with shards.opened(Namespace("local", name), SPACE) as opened:
            assert opened.shard.live == (name == "default")
    status = shards.status()
    assert (status.shards, status.memories) == (1, 1)
