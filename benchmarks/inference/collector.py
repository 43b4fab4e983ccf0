"""Settings of the garbage collector: time and pauses of the same searches.

Each setting runs in a process of its own, over the same memories and queries, in turns.
"""

import json
import statistics
import subprocess
import sys

from benchmarks.claims import Claim

ROUNDS = 3
SETTINGS = {
    "python's own": "",
    "frozen": "gc.collect(); gc.freeze()",
    "frozen, 5 000": "gc.collect(); gc.freeze(); gc.set_threshold(5000, 20, 50)",
    "settled": "settle_collector()",
    "frozen, 50 000": "gc.collect(); gc.freeze(); gc.set_threshold(50000, 20, 100)",
}

CODE = """
import asyncio, gc, json, sys, time
from benchmarks.memory.world import running, PRINCIPAL, CALL
from cortex.foundation.garbage import settle_collector
from cortex.memory.model import NewMemory, Query, SearchMode
from cortex.bootstrap.housekeeping import resident_bytes

pauses, began = [], [0.0]
def watch(phase, _info):
    now = time.perf_counter()
    if phase == "start":
        began[0] = now
    else:
        pauses.append(now - began[0])

async def main():
    async with running() as app:
        where = PRINCIPAL.namespace("bench")
        items = [NewMemory(f"Person {n} likes thing {n % 97}.") for n in range(300)]
        await app.use_cases.remember(PRINCIPAL, where, items, CALL)
        exec(sys.argv[1])
        gc.callbacks.append(watch)
        started = time.process_time()
        for n in range(1500):
            query = Query(f"Who likes thing {n % 97}?", 10, SearchMode.KEYWORD)
            await app.use_cases.search(where, query, CALL)
        seconds = time.process_time() - started
        print(json.dumps([seconds / 1500, sum(pauses), max(pauses, default=0),
                          len(pauses), resident_bytes()]))

asyncio.run(main())
"""


def claims() -> list[Claim]:
    """Measure all; claim for the settings that the server takes."""
    found: dict[str, list[list[float]]] = {name: [] for name in SETTINGS}
    for _ in range(ROUNDS):
        for name, code in SETTINGS.items():
            out = subprocess.check_output([sys.executable, "-c", CODE, code])
            found[name].append(json.loads(out))
    medians = {
        name: [statistics.median(column) for column in zip(*rows, strict=True)]
        for name, rows in found.items()
    }
    told = "; ".join(
        f"{name}: {1000 * row[0]:.3f} ms a search, {1000 * row[1]:.1f} ms in "
        f"{row[3]:.0f} pauses, longest {1000 * row[2]:.1f} ms, {row[4] / 2**20:.0f} MB"
        for name, row in medians.items()
    )
    own, settled = medians["python's own"], medians["settled"]
    return [
        Claim(
            "collector_longest_pause_ms",
            1000 * settled[2],
            "ms",
            max(1.0, 500 * own[2]),
            at_most=True,
            baseline=1000 * own[2],
            baseline_name="Python's own settings",
            note=told,
        ),
        Claim(
            "collector_time_ms",
            1000 * settled[1],
            "ms",
            500 * own[1],
            at_most=True,
            baseline=1000 * own[1],
            baseline_name="Python's own settings",
            note="all pauses over 1 500 searches",
        ),
    ]
