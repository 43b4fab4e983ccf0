"""Eight clients at once, and worker processes killed while they ask."""

import asyncio
import os
import random
import signal
import statistics
import tempfile
import time
from pathlib import Path

import httpx

from benchmarks.claims import Claim
from benchmarks.memory.latency import WORDS, serving

CLIENTS = 8
CALLS_EACH = 60
WORKERS = 2
KILLS = 3
LOAD_SECONDS = 12.0


def claims() -> list[Claim]:
    """Measure both against one real server."""
    with (
        tempfile.TemporaryDirectory(prefix="cortex-serving-") as home,
        serving(Path(home)) as (_, client),
    ):
        return asyncio.run(_measure(str(client.base_url)))


async def _measure(url: str) -> list[Claim]:
    limits = httpx.Limits(max_connections=2 * CLIENTS)
    async with httpx.AsyncClient(base_url=url, timeout=60, limits=limits) as http:
        words = random.Random(3)
        done: list[tuple[bool, float]] = []
        await asyncio.gather(
            *(_calls(http, words, done, CALLS_EACH) for _ in range(CLIENTS))
        )
        tail = 1000 * statistics.quantiles([s for _, s in done], n=20)[-1]
        fine = sum(ok for ok, _ in done)
        concurrent = Claim(
            "search_ms_p95_8_clients",
            tail,
            "ms",
            250,
            at_most=True,
            note=f"every query is new (/embed has a limit a client); {fine} of "
            f"{len(done)} answered; the clients share the machine",
        )
        return [concurrent, *await _killed(http, words)]


async def _killed(http: httpx.AsyncClient, words: random.Random) -> list[Claim]:
    body = {"replicas": WORKERS, "reason": "benchmark"}
    (await http.put("/inference/workers", json=body)).raise_for_status()
    done: list[tuple[bool, float]] = []
    gone: list[float] = []
    until = time.monotonic() + LOAD_SECONDS
    async with asyncio.TaskGroup() as group:
        for _ in range(CLIENTS):
            group.create_task(_calls(http, words, done, None, until))
        for number in range(KILLS):
            await asyncio.sleep(1.0)
            fault = signal.SIGSTOP if number % 2 else signal.SIGKILL
            gone.append(await _replaced(http, fault))
    failed = sum(not ok for ok, _ in done)
    status = (await http.get("/inference")).json()["pool"]
    return [
        Claim(
            "failed_requests_while_workers_are_killed",
            failed,
            "requests",
            0,
            at_most=True,
            note=f"of {len(done)} with {CLIENTS} clients; {KILLS} of the {WORKERS} "
            f"processes killed or frozen, {status['retries']} texts tried again",
        ),
        Claim(
            "worker_replaced_seconds",
            max(gone),
            "s",
            2,
            at_most=True,
            note=f"worst of {KILLS}, killed and frozen in turn, under full load; "
            f"all: {', '.join(f'{s:.2f}' for s in gone)}",
        ),
    ]


async def _replaced(http: httpx.AsyncClient, fault: signal.Signals) -> float:
    """Break one process; return the seconds until as many work again without it."""
    workers = (await http.get("/inference")).json()["pool"]["workers"]
    victim = workers[0]["pid"]
    started = time.monotonic()
    os.kill(victim, fault)
    while time.monotonic() - started < LOAD_SECONDS:
        await asyncio.sleep(0.05)
        workers = (await http.get("/inference")).json()["pool"]["workers"]
        ready = [w["pid"] for w in workers if w["state"] == "ready"]
        if len(ready) == WORKERS and victim not in ready:
            break
    return time.monotonic() - started


async def _calls(
    http: httpx.AsyncClient,
    words: random.Random,
    done: list[tuple[bool, float]],
    number: int | None,
    until: float = 0.0,
) -> None:
    """Ask ``number`` times, or until a moment."""
    made = 0
    while made < number if number is not None else time.monotonic() < until:
        made += 1
        text = " ".join(words.choices(WORDS, k=20)) + f" {words.random()}"
        started = time.perf_counter()
        try:
            ok = (await http.post("/memory/search", json={"query": text})).is_success
        except httpx.HTTPError:
            ok = False
        done.append((ok, time.perf_counter() - started))
