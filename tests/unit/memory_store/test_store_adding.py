"""Adding: what comes back, what is the same memory, what the outbox says."""

from dataclasses import replace

import numpy as np
import pytest

from cortex.bus.events import Event
from cortex.foundation.tenancy import Namespace
from cortex.memory.errors import MemoryNotFound
from cortex.memory.model import MemoryPatch, Modality, NewMemory, Selection, Tier
from cortex.memory.ports import ChunkVector, Embedded, Prepared, Restored
from cortex.storage import outbox
from cortex.testing.memory import (
    CONTEXT,
    SPACE,
    START,
    MemoryWorld,
    prepare,
    vector_of,
)

OTHER = Namespace("other-tenant", "default")


async def events(world: MemoryWorld) -> list[Event]:
    rows = await world.database.read(lambda c: outbox.read_after(c, 0, 1_000))
    return [Event.from_json(row.body) for row in rows]


async def test_every_field_comes_back(world: MemoryWorld) -> None:
    item = NewMemory(
        "Ann moved to Oslo",
        author="Ann",
        kind="fact",
        session_id="s-1",
        agent_id="a-1",
        user_id="u-1",
        importance=0.9,
        tags=("home", "city"),
        metadata={"source": {"page": 3}, "ok": True},
        occurred_at=START - 50,
        valid_from=START - 60,
        valid_to=START + 1e6,
        ttl_seconds=500,
        modality=Modality.AUDIO,
    )
    (stored,) = await world.add(item)
    assert stored.created
    assert stored.embedding == "ready"
    memory = await world.store.get(world.namespace, stored.id)
    assert (memory.content, memory.author, memory.kind) == (
        "Ann moved to Oslo",
        "Ann",
        "fact",
    )
    assert (memory.session_id, memory.agent_id, memory.user_id) == ("s-1", "a-1", "u-1")
    assert memory.tags == ("home", "city")
    assert memory.metadata == {"source": {"page": 3}, "ok": True}
    assert (memory.valid_from, memory.valid_to) == (START - 60, START + 1e6)
    assert memory.occurred_at == START - 50
    assert memory.expires_at == START + 500
    assert memory.created_at == memory.updated_at == memory.accessed_at == START
    assert (memory.tier, memory.modality) == (Tier.WARM, Modality.AUDIO)
    assert (memory.space, memory.importance) == (SPACE, 0.9)


async def test_what_is_said_twice_in_a_conversation_was_said_twice(
    world: MemoryWorld,
) -> None:
    message = NewMemory("ok", author="Ann", session_id="talk")
    first, second = await world.add(message, message)
    (third,) = await world.add(message)
    assert len({first.id, second.id, third.id}) == 3


@pytest.mark.parametrize(
    "item",
    [
        NewMemory("ok"),
        NewMemory("ok", occurred_at=START),
        NewMemory("ok", user_id="ann", agent_id="a"),
        NewMemory("ok", idempotency_key="k"),
    ],
)
async def test_the_same_item_is_one_memory(world: MemoryWorld, item: NewMemory) -> None:
    first, again = await world.add(item, item)
    (later,) = await world.add(item)
    assert first.created
    assert (again.id, later.id) == (first.id, first.id)
    assert not again.created
    assert not later.created
    stats = await world.store.stats("local")
    assert stats.total == 1
    names = [event.type for event in await events(world)]
    assert names == ["memory.stored"]


async def test_another_author_user_or_time_is_another_memory(
    world: MemoryWorld,
) -> None:
    stored = await world.add(
        NewMemory("ok", author="Ann", occurred_at=1.0),
        NewMemory("ok", author="Ben", occurred_at=1.0),
        NewMemory("ok", author="Ann", occurred_at=2.0),
        NewMemory("ok", author="Ann", occurred_at=1.0, session_id="s"),
        NewMemory("ok"),
        NewMemory("ok", user_id="ann"),
        NewMemory("ok", user_id="ben"),
        NewMemory("ok", agent_id="ann"),
    )
    assert all(one.created for one in stored)


async def test_the_same_key_in_another_namespace_is_another_memory(
    world: MemoryWorld,
) -> None:
    item = NewMemory("ok", idempotency_key="k")
    (here,) = await world.add(item)
    (there,) = await world.add(item, ns=OTHER)
    assert here.id != there.id
    assert there.created


async def test_an_expired_memory_does_not_stand_in_the_way(world: MemoryWorld) -> None:
    item = NewMemory("ok", idempotency_key="k", ttl_seconds=10)
    (first,) = await world.add(item)
    world.clock.advance(11)
    with pytest.raises(MemoryNotFound):
        await world.store.get(world.namespace, first.id)
    (second,) = await world.add(item)
    assert second.created
    assert (await world.store.stats("local")).total == 1


async def test_a_batch_is_all_or_nothing(world: MemoryWorld) -> None:
    good = prepare(NewMemory("good"))
    broken = Prepared(NewMemory("bad", kind=None), b"")  # type: ignore[arg-type]
    with pytest.raises(Exception, match="NOT NULL"):
        await world.store.add(world.namespace, [good, broken], context=CONTEXT)
    assert (await world.store.stats("local")).total == 0
    assert await events(world) == []
    await world.say("still works")


async def test_a_failed_first_add_leaves_no_wrong_number(world: MemoryWorld) -> None:
    broken = Prepared(NewMemory("bad", kind=None), b"")  # type: ignore[arg-type]
    with pytest.raises(Exception, match="NOT NULL"):
        await world.store.add(OTHER, [broken], context=CONTEXT)
    await world.say("mine")
    assert (await world.store.list(OTHER, Selection(), cursor=None, limit=5)) == (
        await world.store.list(OTHER, Selection(), cursor=None, limit=5)
    )
    assert not (await world.store.stats("other-tenant")).total


async def test_stored_event_holds_ids_and_no_content(world: MemoryWorld) -> None:
    ids = await world.say("a very secret sentence", "another")
    (event,) = await events(world)
    assert event.type == "memory.stored"
    assert event.data["ids"] == ids
    assert event.data["namespace"] == "default"
    assert (event.tenant, event.correlation_id) == ("local", "test")
    assert b"secret" not in event.to_json()


async def test_get_is_bound_to_its_namespace(world: MemoryWorld) -> None:
    (memory_id,) = await world.say("mine")
    await world.say("theirs", ns=OTHER)
    for ns in (OTHER, Namespace("local", "else"), Namespace("nobody", "default")):
        with pytest.raises(MemoryNotFound):
            await world.store.get(ns, memory_id)


async def test_a_restored_memory_keeps_its_past(world: MemoryWorld) -> None:
    past = Restored(
        id="0190",
        tier=Tier.COLD,
        created_at=START - 900,
        updated_at=START - 800,
        accessed_at=START - 700,
        access_count=4,
        expires_at=START + 5,
    )
    prepared = prepare(NewMemory("from afar", occurred_at=1.0), restored=past)
    (stored,) = await world.store.add(world.namespace, [prepared], context=CONTEXT)
    memory = await world.store.get(world.namespace, "0190")
    assert stored.id == "0190"
    assert memory.content == "from afar"
    assert memory.tier is Tier.COLD
    assert (memory.created_at, memory.updated_at) == (START - 900, START - 800)
    assert (memory.accessed_at, memory.access_count) == (START - 700, 4)
    assert memory.expires_at == START + 5
    (again,) = await world.store.add(world.namespace, [prepared], context=CONTEXT)
    assert (again.id, again.created) == ("0190", False)
    (elsewhere,) = await world.store.add(OTHER, [prepared], context=CONTEXT)
    assert elsewhere.created
    assert elsewhere.id != "0190"


async def test_update_changes_what_is_named(world: MemoryWorld) -> None:
    (stored,) = await world.add(NewMemory("tea", kind="note", tags=("x",)))
    world.clock.advance(5)
    patch = MemoryPatch(kind="fact", tags=(), metadata={"a": 1}, ttl_seconds=100)
    memory = await world.store.update(
        world.namespace, stored.id, patch, prepared=None, context=CONTEXT
    )
    assert (memory.content, memory.kind, memory.tags) == ("tea", "fact", ())
    assert memory.metadata == {"a": 1}
    assert memory.expires_at == world.clock.now() + 100
    assert memory.updated_at == world.clock.now()
    assert (await world.store.stats("local")).by_kind == {"fact": 1}
    event = (await events(world))[-1]
    assert event.type == "memory.updated"
    assert event.data["fields"] == ["kind", "tags", "metadata", "ttl_seconds"]


async def test_update_of_the_content_takes_new_vectors(world: MemoryWorld) -> None:
    (stored,) = await world.add(NewMemory("tea"))
    patch = MemoryPatch(content="coffee now")
    with pytest.raises(ValueError, match="terms and vectors"):
        await world.store.update(
            world.namespace, stored.id, patch, prepared=None, context=CONTEXT
        )
    prepared = prepare(NewMemory("coffee now"), embed=False)
    memory = await world.store.update(
        world.namespace, stored.id, patch, prepared=prepared, context=CONTEXT
    )
    assert memory.content == "coffee now"
    assert (memory.embedding, memory.space) == ("pending", None)
    stats = await world.store.stats("local")
    assert (stats.bytes_total, stats.pending_embeddings) == (10, 1)


async def test_update_of_what_is_not_here(world: MemoryWorld) -> None:
    (memory_id,) = await world.say("mine")
    with pytest.raises(MemoryNotFound):
        await world.store.update(
            OTHER, memory_id, MemoryPatch(kind="x"), prepared=None, context=CONTEXT
        )


async def test_pending_items_catch_up(world: MemoryWorld) -> None:
    items = [prepare(NewMemory(f"item {n}"), embed=False) for n in range(5)]
    await world.store.add(world.namespace, items, context=CONTEXT)
    await world.store.add(OTHER, items[:1], context=CONTEXT)
    assert (await world.store.stats("local")).pending_embeddings == 5
    waiting = await world.store.pending(SPACE, limit=4)
    rest = await world.store.pending(SPACE, after=waiting[-1].seq)
    assert [one.memory.content for one in waiting] == [f"item {n}" for n in range(4)]
    assert [one.namespace for one in rest] == [world.namespace, OTHER]
    for one in (*waiting, *rest):
        vector = vector_of(one.memory.content)
        chunk = ChunkVector(0, len(one.memory.content), vector)
        embedded = Embedded(one.seq, one.memory.content_sha256, (chunk,))
        taken = await world.store.set_vectors(one.namespace, SPACE, [embedded])
        assert taken == 1
    assert await world.store.pending(SPACE) == ()
    stats = await world.store.stats("local")
    assert (stats.total, stats.pending_embeddings) == (5, 0)


async def test_a_new_model_makes_all_pending_again(world: MemoryWorld) -> None:
    await world.say("one", "two")
    assert await world.store.pending(SPACE) == ()
    waiting = await world.store.pending("new-space")
    assert [one.memory.content for one in waiting] == ["one", "two"]


async def test_vectors_of_a_changed_content_or_namespace_are_refused(
    world: MemoryWorld,
) -> None:
    item = prepare(NewMemory("item"), embed=False)
    await world.store.add(world.namespace, [item], context=CONTEXT)
    await world.store.add(OTHER, [item], context=CONTEXT)
    (one, _) = await world.store.pending(SPACE)
    chunk = ChunkVector(0, 4, np.ones(4, np.float32))
    stale = Embedded(one.seq, "00" * 32, (chunk,))
    foreign = Embedded(one.seq, one.memory.content_sha256, (chunk,))
    assert await world.store.set_vectors(world.namespace, SPACE, [stale]) == 0
    assert await world.store.set_vectors(OTHER, SPACE, [foreign]) == 0


async def rewrite(world: MemoryWorld, memory_id: str, patch: MemoryPatch) -> None:
    now = await world.store.get(world.namespace, memory_id)
    said = NewMemory(patch.content or now.content, author=patch.author or now.author)
    await world.store.update(
        world.namespace, memory_id, patch, prepared=prepare(said), context=CONTEXT
    )


@pytest.mark.parametrize("occurred_at", [None, 1_700_000_000.5])
async def test_what_was_rewritten_does_not_stand_for_what_it_said(
    world: MemoryWorld, occurred_at: float | None
) -> None:
    friday = NewMemory("On Friday.", author="Ann", occurred_at=occurred_at)
    (first,) = await world.add(friday)
    await rewrite(world, first.id, MemoryPatch(content="On Monday."))
    (again,) = await world.add(friday)
    assert again.created
    (same,) = await world.add(replace(friday, content="On Monday."))
    assert (same.created, same.id) == (False, first.id)
    await rewrite(world, first.id, MemoryPatch(author="Bob"))
    (anns,) = await world.add(replace(friday, content="On Monday."))
    assert anns.created


async def test_two_memories_may_come_to_say_the_same(world: MemoryWorld) -> None:
    first, second = await world.add(NewMemory("On Friday."), NewMemory("On Monday."))
    await rewrite(world, first.id, MemoryPatch(content="On Monday."))
    (known,) = await world.add(NewMemory("On Monday."))
    assert (known.created, known.id) == (False, second.id)
    assert (await world.store.stats("local")).total == 2


async def test_a_callers_key_stays_with_what_was_rewritten(world: MemoryWorld) -> None:
    (first,) = await world.add(NewMemory("On Friday.", idempotency_key="launch"))
    await rewrite(world, first.id, MemoryPatch(content="On Monday."))
    (known,) = await world.add(NewMemory("On Friday.", idempotency_key="launch"))
    assert (known.created, known.id) == (False, first.id)
