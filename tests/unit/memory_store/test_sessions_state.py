"""Conversations and hot state."""

from pathlib import Path

import pytest

from cortex.foundation.errors import NotFound, PreconditionFailed, ValidationError
from cortex.foundation.tenancy import Namespace
from cortex.memory.errors import SessionExists, SessionNotFound
from cortex.memory.model import NewMemory, Selection
from cortex.memory.sessions import NewSession, Sessions
from cortex.memory.state import HotState
from cortex.storage.keyvalue import ABSENT
from cortex.storage.keyvalue_sqlite import SqliteKeyValue
from cortex.testing.memory import CONTEXT, START, MemoryWorld, memory_world, prepare

OTHER = Namespace("other", "default")


def sessions_of(world: MemoryWorld) -> Sessions:
    return Sessions(world.database, world.store, clock=world.clock, ids=world.ids)


async def test_messages_come_back_in_order(world: MemoryWorld) -> None:
    sessions = sessions_of(world)
    new = NewSession(title="trip", user_id="u", agent_id="a", metadata={"k": 1})
    session = await sessions.create(world.namespace, new)
    assert (session.title, session.user_id, session.agent_id) == ("trip", "u", "a")
    assert (session.metadata, session.message_count) == ({"k": 1}, 0)
    world.clock.advance(7)
    for part in (["one", "two"], ["three"]):
        messages = [prepare(NewMemory(text)) for text in part]
        await sessions.append(world.namespace, session.id, messages, context=CONTEXT)
    page = await sessions.messages(world.namespace, session.id, cursor=None, limit=2)
    rest = await sessions.messages(
        world.namespace, session.id, cursor=page.next_cursor, limit=2
    )
    told = [one.content for one in (*page.memories, *rest.memories)]
    assert told == ["one", "two", "three"]
    session = await sessions.get(world.namespace, session.id)
    assert session.message_count == 3
    assert (session.created_at, session.updated_at) == (START, START + 7)


async def test_sessions_of_others_are_not_there(world: MemoryWorld) -> None:
    sessions = sessions_of(world)
    mine = await sessions.create(world.namespace, NewSession(id="s"))
    with pytest.raises(SessionExists):
        await sessions.create(world.namespace, NewSession(id="s"))
    with pytest.raises(SessionNotFound):
        await sessions.get(OTHER, mine.id)
    with pytest.raises(SessionNotFound):
        await sessions.append(OTHER, "s", [prepare(NewMemory("x"))], context=CONTEXT)
    await sessions.create(OTHER, NewSession(id="s"))
    assert len(await sessions.list(world.namespace, limit=5)) == 1


async def test_a_message_of_another_session_is_refused(world: MemoryWorld) -> None:
    sessions = sessions_of(world)
    await sessions.create(world.namespace, NewSession(id="s"))
    foreign = prepare(NewMemory("x", session_id="else"))
    with pytest.raises(ValidationError):
        await sessions.append(world.namespace, "s", [foreign], context=CONTEXT)


async def test_forgetting_a_session_takes_its_record(world: MemoryWorld) -> None:
    sessions = sessions_of(world)
    for name in ("s", "t"):
        await sessions.create(world.namespace, NewSession(id=name, title="zzquokka"))
    await sessions.append(
        world.namespace, "s", [prepare(NewMemory("x"))], context=CONTEXT
    )
    await world.store.forget(
        world.namespace, Selection(session_id="s", author="nobody"), context=CONTEXT
    )
    assert (await sessions.get(world.namespace, "s")).message_count == 1
    await world.store.forget(
        world.namespace, Selection(session_id="s"), context=CONTEXT
    )
    with pytest.raises(SessionNotFound):
        await sessions.get(world.namespace, "s")
    await sessions.get(world.namespace, "t")
    await world.store.forget(world.namespace, Selection(), context=CONTEXT)
    assert await sessions.list(world.namespace, limit=5) == []
    for path in world.home.rglob("*"):
        assert b"zzquokka" not in path.read_bytes()


async def test_sessions_survive_a_restart(tmp_path: Path) -> None:
    async with memory_world(tmp_path) as first:
        await sessions_of(first).create(first.namespace, NewSession(id="s"))
        clock, ids = first.clock, first.ids
    async with memory_world(tmp_path, clock=clock, ids=ids) as second:
        assert (await sessions_of(second).get(second.namespace, "s")).id == "s"


async def test_state_values_expire_and_compare(world: MemoryWorld) -> None:
    state = HotState(SqliteKeyValue(world.database, clock=world.clock, ids=world.ids))
    ns = world.namespace
    first = await state.put(
        ns, "plan", {"step": 1}, ttl_seconds=10, expected_etag=ABSENT
    )
    assert (await state.get(ns, "plan")).value == {"step": 1}
    second = await state.put(ns, "plan", [2], expected_etag=first.etag)
    with pytest.raises(PreconditionFailed):
        await state.put(ns, "plan", 3, expected_etag=first.etag)
    assert (await state.get(ns, "plan")).etag == second.etag
    with pytest.raises(NotFound):
        await state.get(OTHER, "plan")
    await state.put(ns, "soon", None, ttl_seconds=10)
    assert [one.key for one in await state.scan(ns, limit=9)] == ["plan", "soon"]
    world.clock.advance(11)
    with pytest.raises(NotFound):
        await state.get(ns, "soon")
    await state.delete(ns, "plan", expected_etag=second.etag)
    with pytest.raises(NotFound):
        await state.delete(ns, "plan")
    await state.put(ns, "x", 1)
    assert await state.clear(ns) == 1


async def test_state_must_be_json(world: MemoryWorld) -> None:
    state = HotState(SqliteKeyValue(world.database, clock=world.clock, ids=world.ids))
    with pytest.raises(ValidationError):
        await state.put(world.namespace, "x", {1, 2})  # type: ignore[arg-type]


async def test_a_clock_that_was_set_back_makes_no_session_older(
    world: MemoryWorld,
) -> None:
    sessions = sessions_of(world)
    made = await sessions.create(world.namespace, NewSession())
    world.clock.advance(-3_600)  # wall and elapsed: only the former counts here
    message = prepare(NewMemory("tea"))
    await sessions.append(world.namespace, made.id, [message], context=CONTEXT)
    assert (await sessions.get(world.namespace, made.id)).updated_at == made.updated_at
