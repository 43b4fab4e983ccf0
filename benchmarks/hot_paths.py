"""Are the paths that every request takes as cheap as they were?

Run ``python -m benchmarks.hot_paths``. Each is measured in CPU time beside plain work
of the same kind, in turns, and the best turn of each counts: their ratio carries over
to other machines and to busy ones. ``hot_paths.toml`` holds what the ratios may be,
with room for both. A ratio over its bound is measured anew a few times, so that only
what is slower each time is told.
"""

import argparse
import asyncio
import hashlib
import hmac
import json
import os
import sys
import tempfile
import time
import tomllib
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.claims import Claim, report, show
from benchmarks.ledger import CALL, open_ledger
from benchmarks.memory.writes import CONTEXT, SPACE, WORDS, Source, open_store
from cortex.foundation.bucket import Buckets, Rate
from cortex.foundation.canonical import canonical_json
from cortex.foundation.clock import SystemClock
from cortex.foundation.tenancy import Namespace
from cortex.memory.model import Query
from cortex.memory.packing import PackItem, pack
from cortex.memory.recall import Recall
from cortex.memory.shards import Shards
from cortex.memory.terms import TermAnalyser
from cortex.security.doors import Credentials, Doors
from cortex.security.intrusion import Watch
from cortex.security.tokens import Tokens, parse_tokens

BOUNDS = Path(__file__).with_suffix(".toml")
ONE_THREAD = "OPENBLAS_NUM_THREADS"
MEMORIES = 1_500
TURNS_MIN = 4
TURNS_MAX = 24
TEXT = " ".join(WORDS[:200])
BODY = {"run": "r", "texts": [TEXT, TEXT], "usage": {"in": 512, "out": 128.5}}
TOKEN = "static-token-of-the-benchmark"

Work = Callable[[], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class HotPath:
    """A path and the plain work beside it, each with the calls of one turn."""

    name: str
    work: Work
    calls: int
    plain: Work
    plain_calls: int
    plain_name: str


def each(call: Callable[[], object]) -> Work:
    """Return a plain function as one that is awaited, as the paths are."""

    async def work() -> object:
        return call()

    return work


async def cpu_us(work: Work, calls: int) -> float:
    """Return microseconds of CPU time a call, of all threads."""
    begun = time.process_time()
    for _ in range(calls):
        await work()
    return (time.process_time() - begun) / calls * 1e6


async def measured(path: HotPath, bound: float) -> tuple[float, float]:
    """Return microseconds of a path and of the plain work: the best turns."""
    best = plain = float("inf")
    for turn in range(1, TURNS_MAX + 1):
        best = min(best, await cpu_us(path.work, path.calls))
        plain = min(plain, await cpu_us(path.plain, path.plain_calls))
        if turn >= TURNS_MIN and best / plain <= bound:
            break
    return best, plain


@asynccontextmanager
async def search(home: Path) -> AsyncIterator[HotPath]:
    """Search without embedding: words, vectors, ranking, the loading of ten rows."""
    database, store = open_store(home)
    await database.open()
    analyser = TermAnalyser()
    shards = Shards(store, analyser)
    recall = Recall(store, shards, analyser, clock=SystemClock())
    where = Namespace("bench", "hot")
    source = Source()
    for _ in range(0, MEMORIES, 500):
        await store.add(where, source.make(500), context=CONTEXT)
    rng = np.random.default_rng(9)
    matrix = rng.standard_normal((MEMORIES, 384)).astype(np.float32)
    vector = matrix[7] / np.linalg.norm(matrix[7])
    query = Query(" ".join(WORDS[40:48]), 10)

    def product() -> object:
        return np.argpartition(-(matrix @ vector), 10)[:10]

    async def find() -> object:
        return await recall.search(where, query, vector, SPACE)

    await find()
    await shards.improve()
    name = "product of as many vectors and its ten best"
    yield HotPath("search", find, 40, each(product), 40, name)
    await database.close()


@asynccontextmanager
async def ledger(home: Path) -> AsyncIterator[HotPath]:
    """Append 32 entries from as many writers: chained, sealed, signed and durable."""
    log = await open_ledger(home)

    async def append() -> None:
        await asyncio.gather(*(log.record(CALL) for _ in range(32)))

    told = [CALL.prompt, CALL.raw_output, CALL.run_id, CALL.correlation_id]

    def plain() -> None:
        for _ in range(32):
            hashlib.sha256(json.dumps(told).encode()).digest()

    async with asyncio.TaskGroup() as group:
        task = group.create_task(log.run())
        yield HotPath("ledger", append, 3, each(plain), 20, "JSON and SHA-256 of them")
        task.cancel()
    await log.close()


@asynccontextmanager
async def doors(_: Path) -> AsyncIterator[HotPath]:
    """Check a token, as each request does."""
    clock = SystemClock()
    known = Tokens(parse_tokens(f"ci:{TOKEN}:memory"), clock)
    gate = Doors(known, Watch(clock))
    credentials = Credentials(TOKEN, "10.0.0.1")

    async def check() -> object:
        return await gate.authenticate(credentials)

    def plain() -> object:
        return hmac.new(b"key", TOKEN.encode(), hashlib.sha256).digest()

    yield HotPath("token", check, 1_000, each(plain), 1_000, "HMAC-SHA-256 of it")


@asynccontextmanager
async def rate_limit(_: Path) -> AsyncIterator[HotPath]:
    """Charge a client of many for a request."""
    buckets, rate = Buckets(), Rate(1_000_000)
    counts: OrderedDict[tuple[str, str], float] = OrderedDict()
    clients = [f"10.0.{n >> 8}.{n & 255}" for n in range(1_000)]

    def charge() -> None:
        for client in clients:
            buckets.take(client, "all", rate, 5.0)

    def plain() -> None:
        for client in clients:
            key = (client, "all")
            counts[key] = counts.get(key, 0.0) + 1
            counts.move_to_end(key)

    yield HotPath("rate_limit", each(charge), 3, each(plain), 3, "counting in a table")


@asynccontextmanager
async def canonical(_: Path) -> AsyncIterator[HotPath]:
    """Write the canonical JSON that is hashed and signed."""

    def plain() -> object:
        return json.dumps(BODY, sort_keys=True).encode()

    form = each(lambda: canonical_json(BODY))
    yield HotPath("canonical_json", form, 200, each(plain), 500, "json.dumps, sorted")


@asynccontextmanager
async def terms(_: Path) -> AsyncIterator[HotPath]:
    """Make the terms of a text that is stored."""
    analyser = TermAnalyser()
    count = each(lambda: analyser.counts(TEXT))
    split = each(lambda: TEXT.lower().split())
    yield HotPath("terms", count, 100, split, 500, "splitting at spaces")


@asynccontextmanager
async def packing(_: Path) -> AsyncIterator[HotPath]:
    """Pack the better half of 50 memories."""
    items = [
        PackItem(str(n), " ".join(WORDS[n : n + 30]), worth=n % 7, label="Ann: ")
        for n in range(50)
    ]

    def count(text: str) -> int:
        return len(text.split())

    budget = sum(count(item.text) for item in items) // 2
    text = pack(items, budget, count).text
    fill = each(lambda: pack(items, budget, count))
    yield HotPath(
        "packing", fill, 3, each(lambda: count(text)), 300, "counting its words"
    )


PATHS = (search, ledger, doors, rate_limit, canonical, terms, packing)


async def claims() -> list[Claim]:
    """Measure all paths against their bounds."""
    bounds = tomllib.loads(BOUNDS.read_text("utf-8"))
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for number, prepare in enumerate(PATHS):
            async with AsyncExitStack() as stack:
                home = Path(folder) / str(number)
                home.mkdir()
                path = await stack.enter_async_context(prepare(home))
                bound = bounds[path.name]
                best, plain = await measured(path, bound)
            note = (
                f"{best:.1f} us of CPU time against {plain:.1f} us: {path.plain_name}"
            )
            tag = f"hot_{path.name}"
            found.append(Claim(tag, best / plain, "ratio", bound, True, 1.0, note=note))
    return found


def main() -> bool:
    """Print the ratios; keep them unless they are only checked."""
    if ONE_THREAD not in os.environ:
        # Its threads wait for work by spinning, and that is CPU time, too. It reads
        # the variable when it is loaded.
        again = [sys.executable, "-m", "benchmarks.hot_paths", *sys.argv[1:]]
        os.execve(sys.executable, again, {**os.environ, ONE_THREAD: "1"})
    parser = argparse.ArgumentParser(prog="python -m benchmarks.hot_paths")
    parser.add_argument("--check", action="store_true", help="keep no results")
    found = asyncio.run(claims())
    if parser.parse_args().check:
        return show(found)
    return report("hot-paths", found)


if __name__ == "__main__":
    sys.exit(not main())
