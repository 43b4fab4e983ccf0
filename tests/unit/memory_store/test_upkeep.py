"""Upkeep: tiers move on use and by decay, cold content packs, the expired go."""

from cortex.bus.events import Event
from cortex.memory.model import NewMemory, Selection, Tier
from cortex.memory.upkeep import Upkeep, UpkeepOptions
from cortex.storage import outbox
from cortex.testing.memory import CONTEXT, MemoryWorld

DAY = 86_400.0


def upkeep(world: MemoryWorld, **options: int) -> Upkeep:
    return Upkeep(
        world.database,
        world.store,
        clock=world.clock,
        ids=world.ids,
        options=UpkeepOptions(**options),
    )


async def event_names(world: MemoryWorld) -> list[str]:
    rows = await world.database.read(lambda c: outbox.read_after(c, 0, 1_000))
    return [Event.from_json(row.body).type for row in rows]


async def test_use_promotes_and_silence_demotes(world: MemoryWorld) -> None:
    keeper = upkeep(world)
    (memory_id,) = await world.say("often asked for " * 30)
    for _ in range(5):
        await world.store.get(world.namespace, memory_id)
    await keeper.round()
    memory = await world.store.get(world.namespace, memory_id)
    assert memory.tier is Tier.HOT
    assert memory.access_count == 5
    assert memory.accessed_at == world.clock.now()
    world.clock.advance(14 * DAY)
    await keeper.round()
    world.clock.advance(90 * DAY)
    done = await keeper.round()
    assert done.demoted == 1
    stats = await world.store.stats("local")
    assert stats.by_tier == {"cold": 1}
    assert 0 < stats.bytes_total < 480
    names = await event_names(world)
    assert names == [
        "memory.stored",
        "memory.promoted",
        "memory.demoted",
        "memory.demoted",
    ]


async def test_cold_content_is_read_and_listed_as_before(world: MemoryWorld) -> None:
    keeper = upkeep(world)
    text = "the lighthouse keeper wrote letters " * 20
    (memory_id,) = await world.say(text)
    world.clock.advance(200 * DAY)
    await keeper.round()
    page = await world.store.list(
        world.namespace,
        Selection(tiers=frozenset({Tier.COLD})),
        cursor=None,
        limit=5,
    )
    assert [one.content for one in page.memories] == [text]
    memory = await world.store.get(world.namespace, memory_id)
    assert (memory.content, memory.tier) == (text, Tier.COLD)
    await keeper.round()
    memory = await world.store.get(world.namespace, memory_id)
    assert (memory.content, memory.tier) == (text, Tier.WARM)
    assert (await world.store.stats("local")).bytes_total == len(text)


async def test_forgotten_cold_text_is_in_no_file(world: MemoryWorld) -> None:
    keeper = upkeep(world)
    (memory_id,) = await world.say("zanzibarquokka " * 50)
    world.clock.advance(200 * DAY)
    await keeper.round()
    await world.store.forget(world.namespace, [memory_id], context=CONTEXT)
    for path in world.home.rglob("*"):
        assert b"zanzibarquokka" not in path.read_bytes()


async def test_a_hot_memory_changed_elsewhere_is_read_anew(world: MemoryWorld) -> None:
    keeper = upkeep(world)
    ids = await world.say("first", "second")
    for _ in range(5):
        for memory_id in ids:
            await world.store.get(world.namespace, memory_id)
    await keeper.round()
    for memory_id in ids:
        await world.store.get(world.namespace, memory_id)
    await world.store.forget(world.namespace, ids[:1], context=CONTEXT)
    page = await world.store.list(world.namespace, Selection(), cursor=None, limit=9)
    assert [one.content for one in page.memories] == ["second"]
    head = await world.store.head(world.namespace)
    found = await world.store.found(world.namespace, [head.seq - 1, head.seq])
    assert [one.memory.content for one in found] == ["second"]


async def test_expired_memories_are_forgotten(world: MemoryWorld) -> None:
    keeper = upkeep(world)
    await world.add(NewMemory("short", ttl_seconds=10), NewMemory("long"))
    world.clock.advance(11)
    done = await keeper.round()
    assert done.expired == 1
    assert (await world.store.stats("local")).total == 1
    assert "memory.forgotten" in await event_names(world)


async def test_rows_are_judged_in_turn(world: MemoryWorld) -> None:
    keeper = upkeep(world, rows_per_round=2)
    await world.say("a", "b", "c", "d", "e")
    world.clock.advance(200 * DAY)
    counts = [(await keeper.round()).demoted for _ in range(4)]
    assert counts == [2, 2, 1, 0]


async def test_the_change_log_is_pruned(world: MemoryWorld) -> None:
    keeper = upkeep(world, changes_kept=2)
    await world.say("keep")
    before = await world.store.head(world.namespace)
    for number in range(5):
        ids = await world.say(f"gone {number}")
        await world.store.forget(world.namespace, ids, context=CONTEXT)
    await keeper.round()
    head = await world.store.head(world.namespace)
    assert head.floor == head.version - 2
    assert head.is_ahead_of(before)
    assert (await world.store.changes(world.namespace, before, limit=9)).stale
