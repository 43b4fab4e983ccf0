"""What encryption at rest costs: the same work on a plain and on an encrypted store.

CPU time of the whole process, as the writer has a thread of its own; in pairs, in one
run, so that only the ratio matters.
"""

import statistics
import tempfile
import time
from pathlib import Path

from benchmarks.claims import Claim
from cortex.memory.model import NewMemory
from cortex.memory.ports import Head
from cortex.security.envelope import MasterKey
from cortex.testing.memory import CONTEXT, memory_world, prepare

ROUNDS = 5
ITEMS = 1_000
BATCH = 10
TEXT = "Ana told the planner that the beagle sleeps on the blue sofa at noon, item {}."
MASTER = MasterKey(b"b" * 32)


async def once(master: MasterKey | None) -> dict[str, float]:
    """Return microseconds of CPU time an item: stored, read by id, loaded."""
    prepared = [
        prepare(NewMemory(TEXT.format(n), author="Ana", metadata={"n": n}))
        for n in range(ITEMS)
    ]
    found: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        async with memory_world(Path(folder), master=master) as world:
            start = time.process_time()
            ids: list[str] = []
            for at in range(0, ITEMS, BATCH):
                stored = await world.store.add(
                    world.namespace, prepared[at : at + BATCH], context=CONTEXT
                )
                ids += [one.id for one in stored]
            found["store"] = (time.process_time() - start) / ITEMS * 1e6
            start = time.process_time()
            for memory_id in ids:
                await world.store.get(world.namespace, memory_id)
            found["read"] = (time.process_time() - start) / ITEMS * 1e6
            start = time.process_time()
            await world.store.changes(world.namespace, Head(), limit=ITEMS)
            found["load"] = (time.process_time() - start) / ITEMS * 1e6
    return found


async def claims() -> list[Claim]:
    """Return what is added to each item, and the ratio to a plain store's."""
    rounds: dict[str, list[dict[str, float]]] = {"plain": [], "sealed": []}
    for _ in range(ROUNDS):
        rounds["plain"].append(await once(None))
        rounds["sealed"].append(await once(MASTER))
    told = []
    for step, goal in (("store", 300.0), ("read", 200.0), ("load", 100.0)):
        plain, sealed = (
            statistics.median(one[step] for one in rounds[kind])
            for kind in ("plain", "sealed")
        )
        told.append(
            Claim(
                f"encrypted_{step}_us",
                sealed,
                "us",
                goal,
                at_most=True,
                baseline=plain,
                baseline_name="the same without encryption",
                note=f"CPU time an item, {sealed / plain:.2f} times the plain store's",
            )
        )
    return told
