"""How long does a search take, without embedding and over HTTP?

In process: words, vectors, ranking and the loading of ten rows, at 6 000 and 100 000
memories in one namespace and in a namespace of 1 % of 100 000. Beside it: an FTS5 table
with the tenant as an indexed token, and a brute-force matrix product. Over HTTP: one
client in turn, then 100 at once, with the real model.

Run: python -m benchmarks.memory.latency
"""

import asyncio
import random
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np

from benchmarks.claims import Claim, report
from benchmarks.memory.writes import CONTEXT, SPACE, WORDS, Source, open_store
from cortex.foundation.clock import SystemClock
from cortex.foundation.tenancy import Namespace
from cortex.memory.model import Query
from cortex.memory.recall import Recall
from cortex.memory.shards import Shards
from cortex.memory.store import SqliteMemoryStore
from cortex.memory.terms import TermAnalyser

QUERIES = 200
SIZES = (6_000, 100_000)
SMALL_NAMESPACE = 1_000
HTTP_MEMORIES = 1_000
HTTP_CLIENTS = 100
HTTP_SEARCHES_EACH = 5
SERVER = [sys.executable, "-m", "cortex", "serve", "--log-level", "error"]


@dataclass(frozen=True, slots=True)
class Bench:
    """An open store with its recall."""

    store: SqliteMemoryStore
    shards: Shards
    recall: Recall


async def fill(bench: Bench, where: Namespace, source: Source, rows: int) -> None:
    for _ in range(0, rows, 500):
        await bench.store.add(where, source.make(min(500, rows)), context=CONTEXT)


async def timed(
    bench: Bench, where: Namespace, rng: np.random.Generator
) -> tuple[float, float]:
    """Return the median and the P99 milliseconds of a search, warm."""
    words = random.Random(3)
    seconds = []
    for number in range(QUERIES + 10):
        text = " ".join(words.choices(WORDS, k=8))
        vector = rng.standard_normal(384).astype(np.float32)
        vector /= np.linalg.norm(vector)
        started = time.perf_counter()
        found = await bench.recall.search(where, Query(text, 10), vector, SPACE)
        if number >= 10:
            seconds.append(time.perf_counter() - started)
        assert found.hits
    p99 = statistics.quantiles(seconds, n=100)[-1]
    return 1000 * statistics.median(seconds), 1000 * p99


def fts5(home: Path, rows: int) -> float:
    """Return the median milliseconds of FTS5 with the tenant as a token."""
    table = sqlite3.connect(home / f"fts-{rows}.db")
    table.execute("CREATE VIRTUAL TABLE t USING fts5(ns, x, tokenize='porter')")
    words = random.Random(5)
    table.executemany(
        "INSERT INTO t(ns, x) VALUES ('tenant1', ?)",
        ((" ".join(words.choices(WORDS, k=20)),) for _ in range(rows)),
    )
    table.commit()
    seconds = []
    for _ in range(QUERIES):
        asked = " OR ".join(words.choices(WORDS, k=8))
        sql = "SELECT rowid FROM t WHERE t MATCH ? ORDER BY bm25(t) LIMIT 10"
        started = time.perf_counter()
        table.execute(sql, (f"ns:tenant1 AND x:({asked})",)).fetchall()
        seconds.append(time.perf_counter() - started)
    table.close()
    return 1000 * statistics.median(seconds)


def brute(rows: int) -> float:
    """Return the median milliseconds of a float32 matrix product and a top ten."""
    rng = np.random.default_rng(5)
    matrix = rng.standard_normal((rows, 384)).astype(np.float32)
    seconds = []
    for _ in range(30):
        query = rng.standard_normal(384).astype(np.float32)
        started = time.perf_counter()
        scores = matrix @ query
        np.argpartition(-scores, 10)[:10]
        seconds.append(time.perf_counter() - started)
    return 1000 * statistics.median(seconds)


async def vector_recall(bench: Bench, where: Namespace) -> float:
    """Return the share of the exact 100 nearest that the vector stage returns."""
    rng = np.random.default_rng(11)
    shares = []
    async with bench.shards.opened(where, SPACE) as opened:
        index = opened.shard.vectors
        assert index is not None
        rows = np.arange(len(index))
        for _ in range(50):
            query = rng.standard_normal(384).astype(np.float32)
            query /= np.linalg.norm(query)
            asked = index.ask(query)
            exact = np.argsort(-asked.cosines(rows))[:10]
            found, _ = asked.nearest(100)
            shares.append(len(np.intersect1d(exact, found)) / len(exact))
    return statistics.mean(shares)


async def in_process(home: Path) -> list[Claim]:
    """Time searches at each size."""
    claims = []
    database, store = open_store(home)
    await database.open()
    analyser = TermAnalyser()
    shards = Shards(store, analyser)
    clock = SystemClock()
    bench = Bench(store, shards, Recall(store, shards, analyser, clock=clock))
    rng = np.random.default_rng(9)
    try:
        for size, goal in zip(SIZES, (1.5, 3.0), strict=True):
            where = Namespace("bench", f"n{size}")
            await fill(bench, where, Source(), size)
            await bench.recall.search(where, Query("word1"), _unit(rng), SPACE)
            await shards.improve()
            median, p99 = await timed(bench, where, rng)
            claims.append(
                Claim(
                    f"search_ms_median_{size}",
                    median,
                    "ms",
                    goal,
                    at_most=True,
                    baseline=fts5(home, size) + brute(size),
                    baseline_name="FTS5 and a brute-force product",
                    note=f"no embedding; 100 % answered; P99 {p99:.1f} ms",
                )
            )
        claims.append(
            Claim(
                f"search_ms_p99_{SIZES[-1]}",
                p99,
                "ms",
                200,
                at_most=True,
                note=f"{QUERIES} searches, all answered",
            )
        )
        claims.append(
            Claim(
                "vector_stage_recall",
                await vector_recall(bench, Namespace("bench", f"n{SIZES[-1]}")),
                "share",
                0.999,
                baseline=1.0,
                baseline_name="exact scan",
                note="exact ten nearest among the 100 candidates, 100 000 rows",
            )
        )
        small = Namespace("bench", "one-percent")
        await fill(bench, small, Source(), SMALL_NAMESPACE)
        median, _ = await timed(bench, small, rng)
        claims.append(
            Claim(
                "search_ms_median_1_percent_namespace",
                median,
                "ms",
                1.0,
                at_most=True,
                baseline=brute(SIZES[-1]),
                baseline_name="a product over all tenants, filtered after",
            )
        )
    finally:
        await database.close()
    return claims


def _unit(rng: np.random.Generator) -> np.ndarray:
    vector = rng.standard_normal(384).astype(np.float32)
    return vector / np.linalg.norm(vector)


@contextmanager
def serving(home: Path) -> Iterator[tuple[subprocess.Popen, httpx.Client]]:
    """Run a real server over a home folder, and a client for it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {
        "PATH": "/usr/bin:/bin",
        "CORTEX_HOME": str(home),
        "CORTEX_RATE_LIMIT_PER_MINUTE": "1000000",
    }
    process = subprocess.Popen([*SERVER, "--port", str(port)], env=environment)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            _wait(client)
            yield process, client
    finally:
        process.terminate()
        process.wait()


def over_http(home: Path) -> list[Claim]:
    """Time searches against a server process, one client and a hundred."""
    with serving(home / "http") as (_, client):
        words = random.Random(13)
        texts = [" ".join(words.choices(WORDS, k=12)) for _ in range(HTTP_MEMORIES)]
        for at in range(0, HTTP_MEMORIES, 250):
            items = [{"content": text} for text in texts[at : at + 250]]
            client.post("/memory", json={"items": items}).raise_for_status()
        alone = [_search(client, words) for _ in range(QUERIES)]
        crowd = asyncio.run(_crowd(str(client.base_url)))
    failed = sum(1 for ok, _ in (*alone, *crowd) if not ok)
    total = len(alone) + len(crowd)
    one = 1000 * statistics.quantiles([s for _, s in alone], n=20)[-1]
    many = 1000 * statistics.quantiles([s for _, s in crowd], n=20)[-1]
    rate = f"{100 * (total - failed) / total:.2f} % of {total} answered"
    return [
        Claim("http_search_ms_p95_1_client", one, "ms", 25, at_most=True, note=rate),
        Claim(
            f"http_search_errors_{HTTP_CLIENTS}_clients",
            failed,
            "errors",
            0,
            at_most=True,
            note=f"{rate}; P95 {many:.0f} ms with {HTTP_CLIENTS} at once",
        ),
    ]


def _wait(client: httpx.Client) -> None:
    for _ in range(300):
        try:
            if client.get("/ready").status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.05)
    raise SystemExit("the server did not start")


def _search(client: httpx.Client, words: random.Random) -> tuple[bool, float]:
    body = {"query": " ".join(words.choices(WORDS, k=8))}
    started = time.perf_counter()
    answer = client.post("/memory/search", json=body)
    return answer.status_code == 200, time.perf_counter() - started


async def _crowd(url: str) -> list[tuple[bool, float]]:
    limits = httpx.Limits(max_connections=HTTP_CLIENTS)
    words = random.Random(17)
    done: list[tuple[bool, float]] = []

    async with httpx.AsyncClient(base_url=url, timeout=60, limits=limits) as client:

        async def one() -> None:
            for _ in range(HTTP_SEARCHES_EACH):
                body = {"query": " ".join(words.choices(WORDS, k=8))}
                started = time.perf_counter()
                try:
                    answer = await client.post("/memory/search", json=body)
                    ok = answer.status_code == 200
                except httpx.HTTPError:
                    ok = False
                done.append((ok, time.perf_counter() - started))

        await asyncio.gather(*(one() for _ in range(HTTP_CLIENTS)))
    return done


def main() -> bool:
    """Measure, print and keep."""
    with tempfile.TemporaryDirectory(prefix="cortex-latency-") as folder:
        claims = asyncio.run(in_process(Path(folder)))
        claims += over_http(Path(folder))
    return report("memory-latency", claims)


if __name__ == "__main__":
    raise SystemExit(0 if main() else 1)
