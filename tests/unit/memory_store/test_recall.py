"""Recall through shards: what is found, filtered, degraded and kept up to date."""

import asyncio
import threading
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cortex.foundation.canonical import JsonValue
from cortex.foundation.errors import ValidationError
from cortex.foundation.tenancy import Namespace
from cortex.memory.errors import InvalidFilter
from cortex.memory.model import (
    MemoryPatch,
    NewMemory,
    Query,
    Recalled,
    SearchMode,
    Selection,
    Tier,
    TimeRange,
)
from cortex.memory.ports import ChunkVector, Embedded
from cortex.memory.recall import Recall
from cortex.memory.shards import INLINE_ROWS_MAX, ShardOptions, Shards
from cortex.memory.terms import TermAnalyser
from cortex.memory.upkeep import Upkeep, UpkeepOptions
from cortex.memory.vectors import Floats, PlainVectors
from cortex.testing.memory import (
    CONTEXT,
    SPACE,
    START,
    MemoryWorld,
    memory_world,
    prepare,
    vector_of,
)

OTHER = Namespace("other", "default")
DAY = 86_400.0


class Searcher:
    def __init__(self, world: MemoryWorld, options: ShardOptions | None = None) -> None:
        self.world = world
        analyser = TermAnalyser()
        self.shards = Shards(world.store, analyser, options or ShardOptions())
        self.recall = Recall(world.store, self.shards, analyser, clock=world.clock)

    async def __call__(
        self,
        text: str,
        *,
        ns: Namespace | None = None,
        embed: bool = True,
        **query: object,
    ) -> Recalled:
        wanted = replace(Query(text), **query)  # type: ignore[arg-type]
        vector = vector_of(text) if embed else None
        return await self.recall.search(
            ns or self.world.namespace, wanted, vector, SPACE
        )

    async def texts(self, text: str, **more: object) -> list[str]:
        found = await self(text, **more)  # type: ignore[arg-type]
        return [hit.memory.content for hit in found.hits]


@pytest.fixture
def search(world: MemoryWorld) -> Searcher:
    return Searcher(world)


async def test_an_empty_namespace_finds_nothing(search: Searcher) -> None:
    found = await search("anything")
    assert found.hits == ()
    assert found.low_confidence


async def test_the_best_comes_first(world: MemoryWorld, search: Searcher) -> None:
    await world.say("the cat sleeps", "rockets fly to mars", "bread needs yeast")
    assert (await search.texts("mars rockets"))[0] == "rockets fly to mars"
    found = await search("mars rockets", explain=True, top_k=1)
    (hit,) = found.hits
    assert sum(hit.signals.values()) == pytest.approx(hit.score)
    assert {"lexical", "dense", "recency"} <= set(hit.signals)
    assert hit.excerpts == ((0, len(hit.memory.content)),)
    assert 0 <= hit.confidence <= 1
    assert found.degraded == ()


async def test_what_was_written_is_found_at_once(
    world: MemoryWorld, search: Searcher
) -> None:
    await world.say("old news about ships")
    assert len(await search.texts("ships")) == 1
    await world.say("fresh news about ships")
    assert set(await search.texts("ships")) == {
        "old news about ships",
        "fresh news about ships",
    }


async def test_another_process_sees_writes_and_forgets(
    world: MemoryWorld, search: Searcher, tmp_path: Path
) -> None:
    (first,) = await world.say("parrots talk")
    await search("parrots")
    async with memory_world(tmp_path, clock=world.clock, ids=world.ids) as other:
        await other.store.forget(other.namespace, [first], context=CONTEXT)
        await other.say("parrots eat nuts")
    assert await search.texts("parrots") == ["parrots eat nuts"]


async def test_modes_and_missing_vectors(world: MemoryWorld, search: Searcher) -> None:
    await world.say("green tea", "black coffee")
    for mode in SearchMode:
        found = await search("green tea", mode=mode)
        assert found.hits[0].memory.content == "green tea"
        assert found.degraded == ()
    found = await search("green tea", embed=False)
    assert found.hits[0].memory.content == "green tea"
    assert found.degraded == ("dense",)
    found = await search("green tea", embed=False, mode=SearchMode.KEYWORD)
    assert found.degraded == ()
    found = await search("green tea", embed=False, mode=SearchMode.SEMANTIC)
    assert found.degraded == ("dense",)


async def test_a_vector_borrowed_from_the_best_by_words(
    world: MemoryWorld, search: Searcher
) -> None:
    await world.say("harbour rope", "rope tar", "tea biscuit")
    by_words = await search("harbour", embed=False)
    assert [hit.memory.content for hit in by_words.hits] == ["harbour rope"]
    found = await search("harbour", embed=False, feedback=True)
    assert [hit.memory.content for hit in found.hits[:2]] == [
        "harbour rope",
        "rope tar",
    ]
    assert found.degraded == ("dense",)
    # A vector made of the hits themselves says nothing of how sure they are.
    assert found.confidence == pytest.approx(by_words.confidence)
    unknown = await search("unheard", embed=False, feedback=True)
    assert unknown.hits == ()


async def test_pending_memories_are_found_by_word_and_catch_up(
    world: MemoryWorld, search: Searcher
) -> None:
    await world.say("apples are red")
    item = prepare(NewMemory("pears are green"), embed=False)
    await world.store.add(world.namespace, [item], context=CONTEXT)
    found = await search("green pears")
    assert found.hits[0].memory.content == "pears are green"
    assert found.degraded == ("pending",)
    (one,) = await world.store.pending(SPACE)
    chunk = ChunkVector(0, 15, vector_of("pears are green"))
    embedded = Embedded(one.seq, one.memory.content_sha256, (chunk,))
    await world.store.set_vectors(world.namespace, SPACE, [embedded])
    found = await search("green pears", mode=SearchMode.SEMANTIC)
    assert found.hits[0].memory.content == "pears are green"
    assert found.degraded == ()


async def test_vectors_of_another_space_count_as_missing(
    world: MemoryWorld, search: Searcher
) -> None:
    foreign = prepare(NewMemory("pears are green"), space="old-model")
    await world.store.add(world.namespace, [foreign], context=CONTEXT)
    found = await search("green pears")
    assert found.hits[0].memory.content == "pears are green"
    assert found.degraded == ("pending",)


async def test_a_vector_of_the_wrong_length(
    world: MemoryWorld, search: Searcher
) -> None:
    await world.say("x")
    with pytest.raises(ValidationError, match="numbers"):
        await search.recall.search(
            world.namespace, Query("x"), np.ones(3, np.float32), SPACE
        )


async def test_updates_move_the_memory(world: MemoryWorld, search: Searcher) -> None:
    (memory_id,) = await world.say("the door is red")
    await world.say("the wall is white")
    await search("door")
    content = "the window is blue"
    await world.store.update(
        world.namespace,
        memory_id,
        MemoryPatch(content=content, kind="fact"),
        prepared=prepare(NewMemory(content)),
        context=CONTEXT,
    )
    assert (await search.texts("blue window"))[0] == content
    fact = Selection(kind="fact")
    assert await search.texts("door", selection=fact) == [content]
    await world.store.update(
        world.namespace,
        memory_id,
        MemoryPatch(tags=("t",), metadata={"n": 1}),
        prepared=None,
        context=CONTEXT,
    )
    for selection in (Selection(tag="t"), Selection(where={"n": 1})):
        assert await search.texts("window", selection=selection) == [content]


FILTERS: list[tuple[Selection, set[str]]] = [
    (Selection(session_id="s"), {"tea one", "tea two"}),
    (Selection(user_id="u"), {"tea one"}),
    (Selection(agent_id="g"), {"tea two"}),
    (Selection(author="Ann"), {"tea one", "tea three"}),
    (Selection(author=""), {"tea four"}),
    (Selection(kind="fact"), {"tea three"}),
    (Selection(kind="unheard"), set()),
    (Selection(tag="red"), {"tea one", "tea three"}),
    (Selection(time_range=TimeRange(START + 1, START + 2)), {"tea two"}),
    (Selection(tiers=frozenset({Tier.COLD})), set()),
    (Selection(where={"n": {"gte": 2}}), {"tea two", "tea three"}),
    (Selection(where={"not": {"n": {"in": [1, 2]}}}), {"tea three", "tea four"}),
]


@pytest.mark.parametrize(("selection", "wanted"), FILTERS)
@pytest.mark.parametrize("mode", list(SearchMode))
async def test_filters_hold_before_ranking(
    world: MemoryWorld, selection: Selection, wanted: set[str], mode: SearchMode
) -> None:
    search = Searcher(world)
    await world.add(
        NewMemory(
            "tea one",
            author="Ann",
            session_id="s",
            user_id="u",
            tags=("red", "blue"),
            metadata={"n": 1},
            occurred_at=START,
        ),
        NewMemory(
            "tea two",
            author="Ben",
            session_id="s",
            agent_id="g",
            metadata={"n": 2},
            occurred_at=START + 1,
        ),
        NewMemory(
            "tea three",
            author="Ann",
            kind="fact",
            tags=("red",),
            metadata={"n": 3},
            occurred_at=START + 2,
        ),
        NewMemory("tea four", occurred_at=START + 9),
    )
    found = await search.texts("tea", selection=selection, mode=mode)
    assert set(found) == wanted
    assert set(await search.texts("tea", selection=selection)) == wanted


async def test_a_malformed_filter(world: MemoryWorld, search: Searcher) -> None:
    await world.say("x")
    where: Mapping[str, JsonValue] = {"n": {"like": "x"}}
    with pytest.raises(InvalidFilter):
        await search("x", selection=Selection(where=where))


async def test_expired_memories_are_never_found(
    world: MemoryWorld, search: Searcher
) -> None:
    await world.add(NewMemory("tea short", ttl_seconds=5), NewMemory("tea long"))
    assert len(await search.texts("tea")) == 2
    world.clock.advance(5)
    assert await search.texts("tea") == ["tea long"]


async def test_time_words_bring_candidates(
    world: MemoryWorld, search: Searcher
) -> None:
    await world.add(
        NewMemory("we planted tulips", occurred_at=START - 7 * DAY),
        *(
            NewMemory(f"lunch was soup {n}", occurred_at=START - 60 * DAY)
            for n in range(5)
        ),
    )
    found = await search.texts("what happened last week", embed=False)
    assert found[0] == "we planted tulips"


async def test_forgetting_in_a_session_joins_the_neighbours(
    world: MemoryWorld, search: Searcher
) -> None:
    stored = await world.add(
        *(NewMemory(f"turn {n}", session_id="s") for n in range(4))
    )
    await search("turn")
    await world.store.forget(world.namespace, [stored[1].id], context=CONTEXT)
    async with search.shards.opened(world.namespace, SPACE) as opened:
        columns = opened.shard.ranking_columns()
        assert columns.previous.tolist() == [-1, -1, 0, 2]
        assert columns.following.tolist() == [2, -1, 3, -1]


async def test_cold_memories_are_searchable(
    world: MemoryWorld, search: Searcher
) -> None:
    await world.say("a long forgotten lighthouse " * 9)
    await search("lighthouse")
    world.clock.advance(300 * DAY)
    keeper = Upkeep(world.database, world.store, clock=world.clock, ids=world.ids)
    await keeper.round()
    cold = Selection(tiers=frozenset({Tier.COLD}))
    found = await search("lighthouse", selection=cold)
    assert found.hits[0].memory.tier is Tier.COLD
    assert found.hits[0].memory.content.startswith("a long forgotten lighthouse")


async def test_found_memories_count_as_used(
    world: MemoryWorld, search: Searcher
) -> None:
    (memory_id,) = await world.say("tea")
    world.clock.advance(60)
    await search("tea")
    await Upkeep(world.database, world.store, clock=world.clock, ids=world.ids).flush()
    memory = await world.store.get(world.namespace, memory_id)
    assert (memory.access_count, memory.accessed_at) == (1, world.clock.now())


async def test_the_best_chunk_is_the_first_excerpt(
    world: MemoryWorld, search: Searcher
) -> None:
    text = "cats purr softly. rockets reach mars. bread needs yeast."
    parts = [(0, 17), (18, 37), (38, 56)]
    item = prepare(NewMemory(text), embed=False)
    chunks = tuple(ChunkVector(a, b, vector_of(text[a:b])) for a, b in parts)
    await world.store.add(
        world.namespace,
        [replace(item, vectors=chunks, space=SPACE)],
        context=CONTEXT,
    )
    found = await search("rockets reach mars.")
    assert found.hits[0].excerpts[0] == (18, 37)


async def test_shards_are_bounded_and_loaded_again(world: MemoryWorld) -> None:
    search = Searcher(world, ShardOptions(bytes_max=1))
    names = [Namespace("local", f"n{n}") for n in range(4)]
    for ns in names:
        await world.say(f"tea of {ns.name}", ns=ns)
    for _ in range(2):
        for ns in names:
            assert await search.texts("tea", ns=ns) == [f"tea of {ns.name}"]
            assert search.shards.status().shards == 1


async def test_many_changes_load_in_batches_and_compact(world: MemoryWorld) -> None:
    search = Searcher(world, ShardOptions(vectors=PlainVectors))
    ids: list[str] = []
    for start in range(0, 4_500, 450):
        ids += await world.say(*(f"note {n} tea" for n in range(start, start + 450)))
    assert len((await search("tea", top_k=100)).hits) == 100
    await world.store.forget(world.namespace, ids[:4_400], context=CONTEXT)
    assert (await search.texts("note 4450"))[0] == "note 4450 tea"
    await search.shards.improve()
    async with search.shards.opened(world.namespace, SPACE) as opened:
        assert len(opened.shard) == opened.shard.live == 100
    assert (await search.texts("note 4450"))[0] == "note 4450 tea"


async def test_a_pruned_change_log_means_loading_afresh(
    world: MemoryWorld, search: Searcher
) -> None:
    first, _ = await world.say("tea one", "tea two")
    assert len(await search.texts("tea")) == 2
    await world.store.forget(world.namespace, [first], context=CONTEXT)
    elsewhere = await world.say(*(f"x {n}" for n in range(5)), ns=OTHER)
    await world.store.forget(OTHER, elsewhere, context=CONTEXT)
    keeper = Upkeep(
        world.database,
        world.store,
        clock=world.clock,
        ids=world.ids,
        options=UpkeepOptions(changes_kept=1),
    )
    await keeper.round()
    assert await search.texts("tea") == ["tea two"]


async def test_a_filter_over_many_metadata(world: MemoryWorld) -> None:
    search = Searcher(world)
    for start in range(0, 3_000, 500):
        await world.add(
            *(
                NewMemory(f"note {n}", metadata={"n": n})
                for n in range(start, start + 500)
            )
        )
    selection = Selection(where={"n": {"gte": 2_990}})
    for _ in range(2):
        found = await search("note", selection=selection, top_k=50)
        assert {hit.memory.metadata["n"] for hit in found.hits} == set(
            range(2_990, 3_000)
        )


@pytest.mark.parametrize(
    ("where", "found"),
    [
        ({"n": {"lt": 2**70}}, 1),
        ({"n": {"gt": -(2**70)}}, 1),
        ({"n": 10**30}, 0),
        ({"n": {"in": [2**64, 1]}}, 1),
        ({"n": {"ne": "\ud800"}}, 1),
        ({"\udfff": "x"}, 0),
    ],
)
async def test_filters_may_name_what_no_memory_can_hold(
    search: Searcher, where: Mapping[str, JsonValue], found: int
) -> None:
    await search.world.add(NewMemory("tea", metadata={"n": 1}))
    selection = Selection(where=where)
    assert len((await search("tea", selection=selection)).hits) == found


async def test_loops_run_until_cancelled(world: MemoryWorld) -> None:
    search = Searcher(world)
    await world.say("tea")
    keeper = Upkeep(world.database, world.store, clock=world.clock, ids=world.ids)
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(keeper.run()),
            group.create_task(search.shards.run()),
        ]
        await search("tea")
        before = world.clock.now()
        while world.clock.now() < before + 20:
            await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
    memories = await world.store.list(
        world.namespace, Selection(), cursor=None, limit=5
    )
    assert memories.memories[0].access_count == 1


class Gated(PlainVectors):
    """Vectors of which one ``add`` waits, or fails, where a test says so."""

    __slots__ = ()
    fails = False
    waits = False
    entered = threading.Event()
    gate = threading.Event()
    left = threading.Event()

    def add(self, vectors: Floats) -> None:
        if Gated.fails:
            Gated.fails = False
            message = "the index is sick"
            raise RuntimeError(message)
        if not Gated.waits:
            super().add(vectors)
            return
        Gated.waits = False
        Gated.entered.set()
        Gated.gate.wait(60)
        super().add(vectors)
        Gated.left.set()


async def test_a_search_given_up_half_way_leaves_no_memory_twice(
    world: MemoryWorld,
) -> None:
    search = Searcher(world, ShardOptions(vectors=Gated))
    await world.say("tea is green")
    await search("tea")
    await world.say(*(f"tea number {n}" for n in range(INLINE_ROWS_MAX + 1)))
    Gated.entered.clear()
    Gated.gate.clear()
    Gated.left.clear()
    Gated.waits = True
    impatient = asyncio.create_task(search("tea"))
    await asyncio.to_thread(Gated.entered.wait, 60)
    impatient.cancel()
    await asyncio.wait([impatient])
    await search("tea")
    Gated.gate.set()
    await asyncio.to_thread(Gated.left.wait, 60)
    found = await search("tea", top_k=100)
    ids = [hit.memory.id for hit in found.hits]
    assert len(ids) == len(set(ids)) == INLINE_ROWS_MAX + 2
    assert search.shards.status().memories == INLINE_ROWS_MAX + 2


async def test_a_change_that_fails_half_way_is_not_taken_over_twice(
    world: MemoryWorld,
) -> None:
    search = Searcher(world, ShardOptions(vectors=Gated))
    await world.say("tea is green")
    await search("tea")
    await world.say("tea is black")
    Gated.fails = True
    with pytest.raises(RuntimeError):
        await search("tea")
    assert len(await search.texts("tea")) == 2
    assert search.shards.status().memories == 2
