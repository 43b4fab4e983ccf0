"""Print what planning and reflection without a model are worth.

Usage: python -m benchmarks.agents [--seconds 20] [--fit]

A real server in its own process with eight clients at once, each with tokens of its
own, because plans are limited for each token. With ``--fit`` the weights of the score
are fitted anew and printed; nothing is changed.
"""

import argparse
import asyncio
import itertools
import json
import os
import secrets
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import httpx
import psutil

from benchmarks.agents import calibration
from benchmarks.claims import Claim, report

CLIENTS = 8
CORES = 2
PLAN_GOAL_MS = 2_000.0
REFLECT_GOAL_MS = 500.0
AUROC_GOAL = 0.85
CALIBRATION_GOAL = 0.1
MEMORIES = 500
TOKENS = 400
"""Each may ask for ten plans a minute: 4 000 requests before one is refused."""

GOALS = (
    "Back up the {thing} database, then migrate it to PostgreSQL 16 without downtime",
    "Collect the logs of {thing}, find the slow queries and add indexes",
    "Design, implement and test an API for {thing}, then document it",
)
THINGS = ("billing", "orders", "invoices", "payroll", "stock", "support", "search")


@dataclass(frozen=True, slots=True)
class Timed:
    """Milliseconds of the answered requests, how many failed, and the server's work.

    Attributes:
        cpu_ms: processor time of the server for each request.
    """

    milliseconds: list[float]
    failed: int
    cpu_ms: float = 0.0

    @property
    def p95(self) -> float:
        return statistics.quantiles(self.milliseconds, n=20)[18]


@asynccontextmanager
async def serving() -> AsyncIterator[tuple[str, list[str], psutil.Process]]:
    """Yield the address of a fresh server, tokens for it, and its process."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    tokens = {f"client{n}": secrets.token_hex(16) for n in range(TOKENS)}
    listed = {name: {"token": t, "scopes": ["*"]} for name, t in tokens.items()}
    kept = {k: v for k, v in os.environ.items() if not k.startswith("CORTEX_")}
    with tempfile.TemporaryDirectory() as home:
        with (Path(home) / "log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "cortex", "serve", "--port", str(port)],
                env={**kept, "CORTEX_HOME": home, "CORTEX_TOKENS": json.dumps(listed)},
                stdout=log,
                stderr=log,
            )
        url = f"http://127.0.0.1:{port}"
        try:
            await _ready(url)
            yield url, list(tokens.values()), psutil.Process(process.pid)
        finally:
            process.terminate()
            await asyncio.to_thread(process.wait, 40)


async def _ready(url: str) -> None:
    async with httpx.AsyncClient(base_url=url) as http:
        for _ in range(600):
            try:
                if (await http.get("/ready")).status_code == httpx.codes.OK:
                    return
            except httpx.TransportError:
                pass
            await asyncio.sleep(0.1)
    sys.exit("the server did not start")


def plans() -> Iterator[dict[str, object]]:
    """Yield bodies of plans, each of another goal."""
    for n in itertools.count():
        goal = GOALS[n % len(GOALS)].format(thing=f"{THINGS[n % 7]} {n}")
        yield {"goal": goal, "strategy": "tot" if n % 2 else "cot"}


def reflections() -> Iterator[dict[str, object]]:
    """Yield bodies of reflections; no text is judged twice."""
    known = calibration.examples()
    for n in itertools.count():
        material = known[n % len(known)].material
        content = f"Draft {n}. {material.output.content}"
        yield {
            "output": {"content": content},
            "goal": material.goal,
            "criteria": list(material.criteria),
            "context": {"page": material.sources[0].text},
        }


async def timed(
    url: str, tokens: Iterator[str], path: str, bodies: Iterator[dict[str, object]],
    seconds: float,
) -> Timed:  # fmt: skip
    """Ask with all clients at once for a while."""
    found: list[float] = []
    failed = 0
    end = time.perf_counter() + seconds

    async def client(http: httpx.AsyncClient) -> None:
        nonlocal failed
        while time.perf_counter() < end:
            head = {"Authorization": f"Bearer {next(tokens)}"}
            began = time.perf_counter()
            answer = await http.post(path, json=next(bodies), headers=head)
            if answer.status_code == httpx.codes.OK:
                found.append(1_000 * (time.perf_counter() - began))
            else:
                failed += 1

    async with httpx.AsyncClient(base_url=url, timeout=60) as http:
        await asyncio.gather(*(client(http) for _ in range(CLIENTS)))
    return Timed(found, failed)


async def fill(url: str, token: str) -> None:
    items = [
        {"content": f"The {THINGS[n % 7]} system {n} runs on server {n % 40}."}
        for n in range(MEMORIES)
    ]
    head = {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(base_url=url, timeout=60, headers=head) as http:
        (await http.post("/memory", json={"items": items})).raise_for_status()


async def measure(seconds: float) -> dict[str, Timed]:
    """Return the times of plans and reflections."""
    async with serving() as (url, tokens, server):
        await fill(url, tokens[0])
        found = {}
        for name, bodies in (("plan", plans()), ("reflect", reflections())):
            turns = itertools.cycle(tokens)
            path = f"/agents/{name}"
            await timed(url, turns, path, bodies, seconds / 10)
            before = server.cpu_times()
            one = await timed(url, turns, path, bodies, seconds)
            after = server.cpu_times()
            worked = after.user + after.system - before.user - before.system
            spent = 1_000 * worked / max(1, len(one.milliseconds))
            found[name] = replace(one, cpu_ms=spent)
        return found


def latency_claims(found: dict[str, Timed]) -> Iterator[Claim]:
    """Yield the claims of time."""
    for name, goal in (("plan", PLAN_GOAL_MS), ("reflect", REFLECT_GOAL_MS)):
        one = found[name]
        total = len(one.milliseconds) + one.failed
        yield Claim(
            name=f"{name}-p95-ms",
            value=one.p95,
            unit="ms",
            goal=goal,
            at_most=True,
            note=f"{CLIENTS} clients at once, no model, {MEMORIES} memories; "
            f"{total - one.failed} of {total} answered, "
            f"p50 {statistics.median(one.milliseconds):.0f} ms, load average "
            f"{os.getloadavg()[0]:.1f} on {os.cpu_count()} cores",
        )
        yield Claim(
            name=f"{name}-cpu-ms",
            value=one.cpu_ms,
            unit="ms",
            goal=goal * CORES / CLIENTS,
            at_most=True,
            note=f"the server's processor time a request; {CLIENTS} at once on "
            f"{CORES} cores of their own need less than {goal:g} ms for it",
        )


def quality_claims(measured: list[calibration.Measured]) -> Iterator[Claim]:
    """Yield the claims of truth, on the held-out half."""
    held = calibration.judged(measured, held_out=True)
    naive = calibration.naive(measured)
    note = f"{held.examples} hand-labelled outputs held out, 9 topics, {{}}"
    baseline = "cosine of the output to goal and source"
    yield Claim(
        "reflect-auroc", held.auroc, "", AUROC_GOAL, baseline=naive.auroc,
        baseline_name=baseline,
        note=note.format(
            f"approved: {held.approved_good:.0%} of the good, "
            f"{held.approved_bad:.0%} of the bad"
        ),
    )  # fmt: skip
    yield Claim(
        "reflect-calibration-error", held.calibration_error, "", CALIBRATION_GOAL,
        at_most=True, baseline=naive.calibration_error, baseline_name=baseline,
        note=note.format("good and bad weighed alike, five bins"),
    )  # fmt: skip


def main() -> int:
    """Measure, print and keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0, help="of each kind")
    parser.add_argument("--fit", action="store_true", help="print fitted weights")
    given = parser.parse_args()
    measured = calibration.measure(calibration.examples())
    if given.fit:
        bias, weights = calibration.fit(measured)
        print(json.dumps({"bias": bias, "weights": weights}, indent=1))
        return 0
    times = asyncio.run(measure(given.seconds))
    claims = [*latency_claims(times), *quality_claims(measured)]
    words = calibration.measure(calibration.examples(), meaning=False)
    detail = {
        "held_out": asdict(calibration.judged(measured, held_out=True)),
        "fitted_on": asdict(calibration.judged(measured, held_out=False)),
        "naive": asdict(calibration.naive(measured)),
        "by_words_alone": asdict(calibration.judged(words, held_out=True)),
        "held_out_scores_by_defect": calibration.missed(measured),
    }
    print(json.dumps(detail, indent=1))
    return 0 if report("agents", claims, detail) else 1


if __name__ == "__main__":
    sys.exit(main())
