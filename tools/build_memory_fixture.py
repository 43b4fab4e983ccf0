"""Write a memory database of this release as SQL text, for tests of migrations.

Usage: python tools/build_memory_fixture.py FOLDER   (writes release.sql, release.json)

``release.sql`` is the whole file in statements; ``release.json`` holds what each query
found in it, with scores. Run it with the code of a release before changing the schema;
the pair that lies in ``tests/data/memory`` is of the release before provenance.
"""

import asyncio
import json
import sqlite3
import sys
import tempfile
from pathlib import Path

from cortex.memory.model import NewMemory, Query
from cortex.memory.recall import Recall
from cortex.memory.shards import Shards
from cortex.memory.terms import TermAnalyser
from cortex.testing.memory import CONTEXT, SPACE, memory_world, prepare, vector_of

ITEMS = (
    NewMemory("Ana prefers green tea in the morning", author="Ana", user_id="ana"),
    NewMemory("The meeting moved to Thursday", author="Ben", tags=("plan",)),
    NewMemory("Thursday the door code changes to blue", session_id="s", kind="fact"),
    NewMemory("Who has the code of the door?", session_id="s"),
    NewMemory("Coffee is fine after lunch", author="Ana", metadata={"cups": 2}),
    NewMemory("Mars has two moons", importance=0.9, occurred_at=1_600_000_000.0),
)
QUERIES = ("green tea", "door code", "what happens on thursday", "moons of mars")


async def build(folder: Path) -> None:
    """Store, change, forget and search; write both files."""
    with tempfile.TemporaryDirectory() as home:
        async with memory_world(Path(home)) as world:
            stored = await world.add(*ITEMS)
            await world.store.add(
                world.namespace,
                [prepare(NewMemory("A gate without a vector"), embed=False)],
                context=CONTEXT,
            )
            await world.store.forget(world.namespace, [stored[1].id], context=CONTEXT)
            analyser = TermAnalyser()
            shards = Shards(world.store, analyser)
            recall = Recall(world.store, shards, analyser, clock=world.clock)
            found = {}
            for text in (*QUERIES, "gate"):
                answer = await recall.search(
                    world.namespace, Query(text), vector_of(text), SPACE
                )
                found[text] = [[hit.memory.id, hit.score] for hit in answer.hits]
        connection = sqlite3.connect(Path(home) / "cortex.db")
        dump = "\n".join(connection.iterdump()) + "\n"
        connection.close()
    (folder / "release.sql").write_text(dump, encoding="utf-8")
    (folder / "release.json").write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    asyncio.run(build(Path(sys.argv[1])))
