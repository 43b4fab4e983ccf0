"""A shard that followed every change equals one loaded at the end; tenants stay apart.

The script of each example is run against the store with a searcher that looks after
every step, and the end is compared with a searcher that has seen nothing yet.
"""

import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cortex.foundation.tenancy import Namespace
from cortex.memory.errors import MemoryNotFound
from cortex.memory.model import MemoryPatch, NewMemory, Query, Selection
from cortex.memory.recall import Recall
from cortex.memory.sessions import Sessions
from cortex.memory.shards import Shards
from cortex.memory.terms import TermAnalyser
from cortex.memory.transfer import export_lines
from cortex.testing.memory import (
    CONTEXT,
    SPACE,
    MemoryWorld,
    memory_world,
    prepare,
    vector_of,
)

NAMESPACES = (
    Namespace("ann", "default"),
    Namespace("ben", "default"),
    Namespace("ann", "work"),
)
WORDS = ("tea", "red", "door", "mars", "yes")

texts = st.lists(st.sampled_from(WORDS), min_size=1, max_size=4).map(" ".join)
wheres = st.sampled_from([0, 0, 0, 1, 2])
sessions = st.sampled_from([None, "s", "s", "t"])
steps = st.one_of(
    st.tuples(st.just("add"), wheres, texts, sessions),
    st.tuples(st.just("add"), wheres, texts, sessions),
    st.tuples(st.just("add"), wheres, texts, st.just("s")),
    st.tuples(st.just("pending"), wheres, texts, sessions),
    st.tuples(st.just("edit"), wheres, texts, st.integers(0, 9)),
    st.tuples(st.just("tag"), wheres, texts, st.integers(0, 9)),
    st.tuples(st.just("forget"), wheres, texts, st.integers(0, 9)),
    st.tuples(st.just("search"), wheres, texts, st.none()),
)


class Script:
    def __init__(self, world: MemoryWorld) -> None:
        self.world = world
        self.ids: dict[Namespace, list[str]] = {ns: [] for ns in NAMESPACES}

    async def run(self, step: tuple[str, int, str, object]) -> None:
        what, where, text, more = step
        ns = NAMESPACES[where]
        if what in ("add", "pending"):
            session = more if isinstance(more, str) else None
            item = NewMemory(
                f"{ns.tenant} {text}", author=ns.tenant, session_id=session
            )
            prepared = prepare(item, embed=what == "add")
            (stored,) = await self.world.store.add(ns, [prepared], context=CONTEXT)
            if stored.created:
                self.ids[ns].append(stored.id)
        elif what != "search" and self.ids[ns] and isinstance(more, int):
            memory_id = self.ids[ns][more % len(self.ids[ns])]
            await self.change(what, ns, memory_id, text)

    async def change(self, what: str, ns: Namespace, memory_id: str, text: str) -> None:
        store = self.world.store
        if what == "forget":
            self.ids[ns].remove(memory_id)
            await store.forget(ns, [memory_id], context=CONTEXT)
        elif what == "tag":
            patch = MemoryPatch(tags=(text,), importance=0.9)
            await store.update(ns, memory_id, patch, prepared=None, context=CONTEXT)
        else:
            content = f"{ns.tenant} {text}"
            prepared = prepare(NewMemory(content, author=ns.tenant))
            await store.update(
                ns,
                memory_id,
                MemoryPatch(content=content),
                prepared=prepared,
                context=CONTEXT,
            )


class Searcher:
    def __init__(self, world: MemoryWorld) -> None:
        analyser = TermAnalyser()
        self.shards = Shards(world.store, analyser)
        self.recall = Recall(world.store, self.shards, analyser, clock=world.clock)

    async def conversations(self, ns: Namespace) -> dict[int, tuple[int, int]]:
        """Return the neighbours of each row, all by row number."""
        async with self.shards.opened(ns, SPACE) as opened:
            shard = opened.shard
            table, columns = shard.table, shard.ranking_columns()
            seqs = [*table.seq.view.tolist(), -1]
            return {
                seqs[at]: (seqs[columns.previous[at]], seqs[columns.following[at]])
                for at in range(len(shard))
                if table.alive.view[at]
            }


async def answers(searcher: Searcher, ns: Namespace, text: str) -> dict[str, float]:
    query = Query(text, top_k=100)
    found = await searcher.recall.search(ns, query, vector_of(text), SPACE)
    assert all(hit.memory.namespace == ns for hit in found.hits)
    assert all(hit.memory.content.startswith(ns.tenant) for hit in found.hits)
    return {hit.memory.id: hit.score for hit in found.hits}


async def check_isolation(world: MemoryWorld, script: Script) -> None:
    records = Sessions(world.database, world.store, clock=world.clock, ids=world.ids)
    for ns in NAMESPACES:
        own = set(script.ids[ns])
        page = await world.store.list(ns, Selection(), cursor=None, limit=500)
        assert {memory.id for memory in page.memories} == own
        assert all(memory.namespace == ns for memory in page.memories)
        rows = await world.store.exported(ns, after=0, limit=500)
        assert {row.memory.id for row in rows} == own
        lines = [line async for line in export_lines(world.store, records, ns)]
        assert len(lines) == len(own)
        every_seq = range(1, 60)
        found = await world.store.found(ns, list(every_seq))
        assert {one.memory.id for one in found} == own
        assert (await world.store.stats(ns.tenant, ns)).total == len(own)
        for other in NAMESPACES:
            for memory_id in script.ids[other] if other != ns else ():
                try:
                    await world.store.get(ns, memory_id)
                except MemoryNotFound:
                    continue
                raise AssertionError(memory_id)


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(steps, min_size=10, max_size=40))
async def test_following_equals_loading(
    script_steps: list[tuple[str, int, str, object]],
) -> None:
    with tempfile.TemporaryDirectory() as home:
        async with memory_world(Path(home)) as world:
            script = Script(world)
            follower = Searcher(world)
            for step in script_steps:
                await script.run(step)
                await answers(follower, NAMESPACES[step[1]], step[2])
            fresh = Searcher(world)
            for ns in NAMESPACES:
                known = await follower.conversations(ns)
                assert known == await fresh.conversations(ns)
                for text in (*WORDS, "ann", "ben tea"):
                    followed = await answers(follower, ns, text)
                    loaded = await answers(fresh, ns, text)
                    # Sums of float32 in another order differ in their last digits.
                    assert followed == pytest.approx(loaded, abs=1e-3)
                    assert set(followed) <= set(script.ids[ns])
            await check_isolation(world, script)
