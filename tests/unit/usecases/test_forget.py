"""Forgetting as a journey: nothing that quotes the memory outlives it."""

import asyncio

import pytest

from cortex.foundation.ids import Uuid7Source
from cortex.foundation.tenancy import Principal
from cortex.memory.model import Selection
from cortex.security.signing import PackSigner
from cortex.storage.keyvalue import MemoryKeyValue
from cortex.usecases.forget import Forget
from cortex.usecases.shelf import PackShelf
from cortex.usecases.snapshot import Snapshot, SnapshotOptions, SnapshotSources

SECRET = "zanzibarquokka"
READER = Principal("reader", "local", frozenset({"*"}))


async def test_a_pack_asked_for_while_its_source_is_forgotten_is_not_kept(house, call):
    (stored,) = await house.remember(SECRET)
    clock = house.world.clock
    values = MemoryKeyValue(clock=clock, ids=Uuid7Source(clock))

    async def facts(namespace, limit):
        page = await house.world.store.list(
            namespace, Selection(), cursor=None, limit=limit
        )
        return page.memories

    async def nothing(_principal):
        return ()

    snapshot = Snapshot(
        SnapshotSources(facts, nothing, lambda texts, _limit: texts[0], len),
        shelf=PackShelf(values),
        signer=PackSigner(b"a key of at least sixteen bytes"),
        clock=clock,
        options=SnapshotOptions,
    )

    class Busy:
        """A store that is asked for a pack just before it forgets."""

        async def forget(self, *what, **options):
            self.pack = await snapshot(READER)
            return await house.world.store.forget(*what, **options)

    async def shred(*_):
        raise AssertionError

    busy = Busy()
    forget = Forget(busy, snapshot.invalidate, shred)
    await forget(house.namespace, ids=[stored.id], selection=None, context=call)
    assert busy.pack["hot_facts"]
    after = await snapshot(READER, busy.pack["generated_at"])
    assert after["hot_facts"] == []


async def test_packs_go_for_a_caller_that_left_in_the_midst_of_it_too(house, call):
    dropped = []

    async def changed(namespace):
        dropped.append(namespace)

    class Left:
        async def forget(self, *_what, **_options):
            raise asyncio.CancelledError

    async def shred(*_):
        raise AssertionError

    forget = Forget(Left(), changed, shred)
    with pytest.raises(asyncio.CancelledError):
        await forget(house.namespace, ids=["x"], selection=None, context=call)
    assert dropped == [house.namespace] * 2
