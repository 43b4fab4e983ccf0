"""Eight clients at once, and worker processes killed while they ask.

A wall time tells of the machine's other work, too. Beside it stands what tells less of
it: the CPU time that the server spends on a search, asked by one client and by eight,
and P95 by the time that eight searches take one after the other in the same run.
"""

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
WARM_UP = 20
ALONE = 100
WORKERS = 2
KILLS = 3
LOAD_SECONDS = 12.0


def claims() -> list[Claim]:
    """Measure both against one real server."""
    with (
        tempfile.TemporaryDirectory(prefix="cortex-serving-") as home,
        serving(Path(home)) as (server, client),
    ):
        return asyncio.run(_measure(str(client.base_url), server.pid))


async def _measure(url: str, pid: int) -> list[Claim]:
    limits = httpx.Limits(max_connections=2 * CLIENTS)
    async with httpx.AsyncClient(base_url=url, timeout=60, limits=limits) as http:
        words = random.Random(3)
        await _calls(http, words, [], WARM_UP)
        started = _cpu_seconds(pid)
        in_turn: list[tuple[bool, float]] = []
        await _calls(http, words, in_turn, ALONE)
        alone = 1000 * (_cpu_seconds(pid) - started) / ALONE
        done: list[tuple[bool, float]] = []
        started = _cpu_seconds(pid)
        await asyncio.gather(
            *(_calls(http, words, done, CALLS_EACH) for _ in range(CLIENTS))
        )
        together = 1000 * (_cpu_seconds(pid) - started) / len(done)
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
        each = Claim(
            "search_cpu_ms_8_clients",
            together,
            "ms",
            1.2 * alone,
            at_most=True,
            baseline=alone,
            baseline_name="CPU time of the server a search, one client",
            note="queries of 80 tokens; more than with one client is contention",
        )
        row = 1000 * CLIENTS * statistics.mean(seconds for _, seconds in in_turn)
        queued = Claim(
            "search_p95_8_clients_by_8_in_turn",
            tail / row,
            "ratio",
            1.0,
            at_most=True,
            baseline=1.0,
            baseline_name=f"{CLIENTS} searches of one client in turn, {row:.0f} ms",
            note="below 1 where both cores are used and nobody waits without need",
        )
        return [concurrent, each, queued, *await _killed(http, words)]


def _cpu_seconds(pid: int) -> float:
    """Return what all threads of a process used."""
    stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    user, system = stat.rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


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
