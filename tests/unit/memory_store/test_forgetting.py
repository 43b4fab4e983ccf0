"""Forgetting: gone from every table and from every file."""

import asyncio
import shutil
from pathlib import Path
from typing import Any

import pytest

from cortex.bus.events import Event
from cortex.foundation.tenancy import Namespace
from cortex.memory import writes
from cortex.memory.errors import InvalidFilter, MemoryNotFound
from cortex.memory.model import Memory, MemoryPatch, NewMemory, Selection
from cortex.memory.upkeep import Upkeep
from cortex.storage import outbox
from cortex.testing.memory import CONTEXT, MemoryWorld, memory_world, prepare

SECRET = "zanzibarquokka"


def files_holding(world: MemoryWorld, text: str) -> list[str]:
    return [
        path.name
        for path in world.home.rglob("*")
        if path.is_file() and text.encode() in path.read_bytes()
    ]


async def contents(world: MemoryWorld, ns: Namespace | None = None) -> set[str]:
    page = await world.store.list(
        ns or world.namespace, Selection(), cursor=None, limit=500
    )
    return {memory.content for memory in page.memories}


async def test_forget_by_id_says_what_went(world: MemoryWorld) -> None:
    keep, drop = await world.say("keep", SECRET)
    before: Memory = await world.store.get(world.namespace, drop)
    forgotten = await world.store.forget(
        world.namespace, [drop, "no-such-id", drop], context=CONTEXT
    )
    assert forgotten.ids == (drop,)
    assert forgotten.content_sha256 == (before.content_sha256,)
    assert forgotten.forgotten_at == world.clock.now()
    assert await contents(world) == {"keep"}
    with pytest.raises(MemoryNotFound):
        await world.store.get(world.namespace, drop)
    rows = await world.database.read(lambda c: outbox.read_after(c, 0, 100))
    event = Event.from_json(rows[-1].body)
    assert event.type == "memory.forgotten"
    assert event.data["ids"] == [drop]
    assert event.data["content_sha256"] == [before.content_sha256]
    assert (await world.store.stats("local")).total == 1
    assert keep in {one.id for one in (await page_of(world))}


async def page_of(world: MemoryWorld) -> tuple[Memory, ...]:
    page = await world.store.list(world.namespace, Selection(), cursor=None, limit=9)
    return page.memories


async def test_no_byte_is_left_in_any_file(world: MemoryWorld) -> None:
    long_text = f"{SECRET} " * 5_000
    await world.say("before", SECRET, long_text)
    (stored,) = await world.add(
        NewMemory(
            "plain",
            metadata={"note": SECRET},
            tags=(SECRET,),
            author=SECRET,
            session_id=SECRET,
        )
    )
    edited = prepare(NewMemory(f"{SECRET} edited"))
    await world.store.update(
        world.namespace,
        stored.id,
        MemoryPatch(content=f"{SECRET} edited"),
        prepared=edited,
        context=CONTEXT,
    )
    assert files_holding(world, SECRET)
    page = await world.store.list(world.namespace, Selection(), cursor=None, limit=9)
    ids = [one.id for one in page.memories if one.content != "before"]
    await world.store.forget(world.namespace, ids, context=CONTEXT)
    assert files_holding(world, SECRET) == []
    assert await contents(world) == {"before"}


async def test_forgetting_twice_and_nothing(world: MemoryWorld) -> None:
    (memory_id,) = await world.say("x")
    for wanted in ((memory_id,), (), ()):
        forgotten = await world.store.forget(
            world.namespace, [memory_id], context=CONTEXT
        )
        assert forgotten.ids == wanted
    nowhere = Namespace("nobody", "nothing")
    assert not (await world.store.forget(nowhere, ["x"], context=CONTEXT)).ids
    assert not (await world.store.forget(nowhere, Selection(), context=CONTEXT)).ids


async def test_ids_of_another_tenant_stay(world: MemoryWorld) -> None:
    other = Namespace("other", "default")
    (theirs,) = await world.say("theirs", ns=other)
    await world.say("mine")
    assert not (
        await world.store.forget(world.namespace, [theirs], context=CONTEXT)
    ).ids
    assert await contents(world, other) == {"theirs"}


@pytest.mark.parametrize(
    ("selection", "left"),
    [
        (Selection(session_id="s"), {"b", "c"}),
        (Selection(user_id="u"), {"c"}),
        (Selection(tag="t"), {"a", "b"}),
        (Selection(where={"n": 1}), {"b", "c"}),
        (Selection(), set()),
    ],
)
async def test_forget_by_selection(
    world: MemoryWorld, selection: Selection, left: set[str]
) -> None:
    other = Namespace("other", "default")
    await world.say("theirs", ns=other)
    await world.add(
        NewMemory("a", session_id="s", user_id="u", metadata={"n": 1}),
        NewMemory("b", user_id="u"),
        NewMemory("c", tags=("t",)),
    )
    await world.store.forget(world.namespace, selection, context=CONTEXT)
    assert await contents(world) == left
    assert await contents(world, other) == {"theirs"}


async def test_a_large_selection_goes_in_batches(world: MemoryWorld) -> None:
    await world.say(*(f"text {n}" for n in range(1_200)))
    forgotten = await world.store.forget(world.namespace, Selection(), context=CONTEXT)
    assert len(forgotten.ids) == 1_200
    rows = await world.database.read(lambda c: outbox.read_after(c, 1, 100))
    events = [Event.from_json(row.body) for row in rows]
    counts = [one.data["count"] for one in events if one.type == "memory.forgotten"]
    assert counts == [500, 500, 200]


async def test_expired_memories_are_forgotten_too(world: MemoryWorld) -> None:
    await world.add(NewMemory(SECRET, ttl_seconds=1))
    world.clock.advance(5)
    forgotten = await world.store.forget(world.namespace, Selection(), context=CONTEXT)
    assert len(forgotten.ids) == 1
    assert files_holding(world, SECRET) == []


async def test_a_malformed_filter_forgets_nothing(world: MemoryWorld) -> None:
    await world.say("a")
    with pytest.raises(InvalidFilter):
        await world.store.forget(
            world.namespace, Selection(where={"n": {"like": 1}}), context=CONTEXT
        )
    assert await contents(world) == {"a"}


async def test_a_row_number_is_never_given_twice(world: MemoryWorld) -> None:
    (last,) = await world.say("a")
    before = await world.store.head(world.namespace)
    await world.store.forget(world.namespace, [last], context=CONTEXT)
    await world.say("b")
    assert (await world.store.head(world.namespace)).seq > before.seq


async def test_repeating_a_forget_that_a_crash_cut_short_clears_the_files(
    tmp_path: Path,
) -> None:
    before, after = tmp_path / "before", tmp_path / "after"
    before.mkdir()
    async with memory_world(before) as world:
        (secret,) = await world.say(SECRET)
        ns_id = await world.database.read(
            lambda c: writes.find_namespace(c, world.namespace)
        )
        await world.database.write(lambda c: writes.delete(c, ns_id, [secret]))
        # The process dies here: what lies on the disk now is what the next one finds.
        shutil.copytree(before, after)
    async with memory_world(after) as world:
        assert files_holding(world, SECRET)
        again = await world.store.forget(world.namespace, [secret], context=CONTEXT)
        assert again.ids == ()
        assert files_holding(world, SECRET) == []


@pytest.mark.parametrize("way", ["again", "upkeep"])
async def test_a_forget_whose_caller_left_is_finished(
    world: MemoryWorld, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    (memory_id,) = await world.say(SECRET)
    await world.store.forget(world.namespace, ["no-such-id"], context=CONTEXT)
    begun = asyncio.Event()
    write = world.database.write

    async def durable_then_silent(unit: Any) -> None:
        await write(unit)
        begun.set()
        await asyncio.Event().wait()

    with monkeypatch.context() as patch:
        patch.setattr(world.database, "write", durable_then_silent)
        forgetting = world.store.forget(world.namespace, [memory_id], context=CONTEXT)
        leaving = asyncio.create_task(forgetting)
        async with asyncio.timeout(60):
            await begun.wait()
        leaving.cancel()
        await asyncio.wait([leaving])
    assert leaving.cancelled()
    assert not await contents(world)
    assert files_holding(world, SECRET)
    if way == "again":
        await world.store.forget(world.namespace, [memory_id], context=CONTEXT)
    else:
        keeper = Upkeep(world.database, world.store, clock=world.clock, ids=world.ids)
        await keeper.round()
    assert not files_holding(world, SECRET)
