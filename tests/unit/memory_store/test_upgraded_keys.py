"""A database of a release before recognises what it holds when that is sent again.

The files are dumps of stores that released code filled with ``HELD``; keys of theirs
told neither users and agents apart nor, in the older one, kinds of source.
"""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from cortex.memory.model import MemoryPatch, NewMemory, Selection
from cortex.memory.ports import Restored
from cortex.memory.trust import SourceKind
from cortex.testing.memory import (
    CONTEXT,
    START,
    CountedIds,
    MemoryWorld,
    memory_world,
    prepare,
)

DATA = Path(__file__).parents[2] / "data" / "memory"
HELD = (
    NewMemory("Ana drinks green tea.", author="Ana", user_id="ana"),
    NewMemory("The train leaves at nine.", agent_id="planner", occurred_at=START - 60),
    NewMemory("The key is under the mat.", author="Ben"),
    NewMemory("Ben keeps bees.", user_id="ben", idempotency_key="bees"),
)
OTHERS = (
    replace(HELD[0], user_id="eve"),
    replace(HELD[0], user_id=None),
    replace(HELD[0], agent_id="planner"),
    replace(HELD[1], occurred_at=START - 61),
    replace(HELD[2], user_id="ana"),
    replace(HELD[2], source_kind=SourceKind.WEB),
    replace(HELD[3], idempotency_key="more-bees"),
)


@asynccontextmanager
async def upgraded(home: Path, name: str) -> AsyncIterator[MemoryWorld]:
    connection = sqlite3.connect(home / "cortex.db")
    connection.executescript((DATA / f"{name}.sql").read_text(encoding="utf-8"))
    connection.close()
    ids = CountedIds()
    for _ in HELD:
        ids.new()
    async with memory_world(home, ids=ids) as world:
        yield world


async def count(world: MemoryWorld) -> int:
    page = await world.store.list(world.namespace, Selection(), cursor=None, limit=100)
    return len(page.memories)


NAMES = pytest.mark.parametrize("name", ["keys_without_owners", "keys_without_kinds"])


@NAMES
async def test_what_is_held_is_recognised_and_nothing_else(
    tmp_path: Path, name: str
) -> None:
    async with upgraded(tmp_path, name) as world:
        for number, item in enumerate(HELD, start=1):
            (again,) = await world.add(item)
            assert (again.created, again.id) == (False, f"id-{number:06}"), item
        assert await count(world) == len(HELD)
        for item in OTHERS:
            (new,) = await world.add(item)
            assert new.created, item
            (known,) = await world.add(item)
            assert (known.created, known.id) == (False, new.id), item
        for number, item in enumerate(HELD, start=1):
            (again,) = await world.add(item)
            assert (again.created, again.id) == (False, f"id-{number:06}"), item
        assert await count(world) == len(HELD) + len(OTHERS)


@NAMES
async def test_what_was_rewritten_after_the_upgrade_is_stored_when_it_is_said_again(
    tmp_path: Path, name: str
) -> None:
    async with upgraded(tmp_path, name) as world:
        patch = MemoryPatch(content="Ana drinks coffee.")
        prepared = prepare(NewMemory("Ana drinks coffee.", author="Ana"))
        await world.store.update(
            world.namespace, "id-000001", patch, prepared=prepared, context=CONTEXT
        )
        (again,) = await world.add(HELD[0])
        assert again.created
        (known,) = await world.add(replace(HELD[0], content="Ana drinks coffee."))
        assert (known.created, known.id) == (False, "id-000001")


@NAMES
async def test_what_ran_out_is_stored_anew(tmp_path: Path, name: str) -> None:
    async with upgraded(tmp_path, name) as world:
        patch = MemoryPatch(ttl_seconds=5)
        await world.store.update(
            world.namespace, "id-000001", patch, prepared=None, context=CONTEXT
        )
        world.clock.advance(6)
        (again,) = await world.add(HELD[0])
        assert again.created
        assert again.id != "id-000001"


async def test_an_export_of_a_release_before_says_the_same(
    tmp_path: Path, world: MemoryWorld
) -> None:
    (held,) = await world.add(HELD[0])
    old = tmp_path / "old"
    old.mkdir()
    async with upgraded(old, "keys_without_owners") as before:
        (one,) = await before.store.exported(before.namespace, after=0, limit=1)
    restored = replace(
        prepare(HELD[0]), restored=Restored(id="id-elsewhere", dedupe=one.dedupe)
    )
    (known,) = await world.store.add(world.namespace, [restored], context=CONTEXT)
    assert (known.created, known.id) == (False, held.id)
