"""When pages come, what watching costs, and whether energy sums up.

Run ``python -m benchmarks.slo``. Page times and healthy days are replays: counts as
they would be, looked at every ten seconds, without a server. Costs are CPU time of one
thread. Energy is that of a real server with the stated power model, so joules follow
CPU seconds; only their sum and their ratio are claims, not their size.
"""

import asyncio
import json
import os
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

import httpx

from benchmarks.claims import Claim, report
from cortex.foundation.metering import CpuMeter, Metered
from cortex.operations.alerts.model import AlertState, Change, Severity, step
from cortex.operations.slo.burn import BURN_RULES
from cortex.operations.slo.controller import SloController
from cortex.operations.slo.defaults import default_objectives
from cortex.operations.slo.model import Counts, Kind, Objective
from cortex.operations.slo.tally import Tally

PROMISE = Objective("api:availability", "api", Kind.AVAILABILITY, ("*",), 0.999)
TICK, HOUR, DAY = 10.0, 3_600.0, 86_400.0
PAGES = {r.name for r in BURN_RULES if r.severity is Severity.CRITICAL}
RECALLS = 400
ROUNDS = 3


def replay(
    ratio: Callable[[float], float], until: float, per_second: float, phase: float
) -> list[float]:
    """Return when pages came; the incident begins at zero."""
    counts = Counts()
    controller = SloController([PROMISE], lambda: {PROMISE.name: counts})
    states: dict[str, AlertState] = {}
    found, now = [], phase - 7 * HOUR
    controller.begin(now)
    while now < until:
        begun, now = now, now + TICK
        bad = ratio(now) * (now - max(begun, 0.0) if begun < 0 < now else TICK)
        counts = counts + Counts(per_second * TICK, bad * per_second)
        for one in controller.look(now):
            before = states.get(one.rule.name, AlertState())
            states[one.rule.name], change = step(before, one, now)
            name = one.rule.name.rpartition(":")[2]
            if change is Change.FIRED and name in PAGES:
                found.append(now)
    return found


def page_claims() -> list[Claim]:
    """Replay outages that begin anywhere between two looks; tell the latest page."""
    claims = []
    for percent, goal in ((100, 60.0), (10, 540.0), (2, 2_580.0)):
        latest = max(
            replay(lambda at, p=percent: p / 100 if at > 0 else 0.0, goal + 60, 10, f)[
                0
            ]
            for f in (0.0, 0.1, 2.5, 5.0, 7.5, 9.9)
        )
        claims.append(
            Claim(
                f"page_after_{percent}_percent_fail",
                latest,
                "s",
                goal,
                at_most=True,
                note="replay; promise of 99.9 %, 10 requests/s, latest of six phases",
            )
        )
    days, pages = 0, 0
    for seed in range(4):
        for per_second in (0.02, 0.5, 20.0):
            chance = random.Random(seed)
            mean = PROMISE.budget / 2 * per_second * TICK

            def healthy(_at: float, r=chance, m=mean, n=per_second) -> float:
                return _poisson(r, m) / (n * TICK)

            pages += len(replay(healthy, DAY, per_second, 0.0))
            days += 1
    claims.append(
        Claim(
            "pages_in_healthy_days",
            pages,
            "pages",
            0,
            at_most=True,
            note=f"replay of {days} days; failures by chance, half of what is allowed",
        )
    )
    return claims


def _poisson(chance: random.Random, mean: float) -> int:
    count, product = 0, chance.random()
    while product > 2.718281828459045**-mean:
        count += 1
        product *= chance.random()
    return count


def cost_claims() -> list[Claim]:
    """Measure a look over four weeks of points, and what a request pays."""
    objectives = default_objectives()
    tally = Tally(objectives)
    controller = SloController(objectives, tally.counts)
    controller.begin(0.0)
    now = 0.0
    for _ in range(int(28 * DAY / HOUR)):
        now += HOUR
        tally.observe("/memory/search", 200, 0.01)
        controller.look(now)
    for _ in range(2_500):
        now += TICK
        controller.look(now)
    ticks = []
    for _ in range(50):
        now += TICK
        start = time.thread_time()
        controller.look(now)
        controller.standing(now)
        ticks.append(time.thread_time() - start)
    start = time.thread_time()
    for _ in range(20_000):
        tally.observe("/memory/search", 200, 0.01)
    observing = (time.thread_time() - start) / 20_000
    tick_ms = statistics.median(ticks) * 1e3
    return [
        Claim(
            "slo_tick_cpu",
            tick_ms,
            "ms",
            20.0,
            at_most=True,
            note=f"{len(objectives)} objectives, {len(BURN_RULES)} rules each, 28 days",
        ),
        Claim("slo_request_cpu", observing * 1e6, "us", 10.0, at_most=True),
        Claim(
            "metering_request_cpu",
            asyncio.run(metering_us()),
            "us",
            15.0,
            at_most=True,
            note="a request of five steps, with and without its CPU meter",
        ),
    ]


async def metering_us() -> float:
    async def request() -> None:
        for _ in range(5):
            await asyncio.sleep(0)

    async def timed(*, metered: bool) -> float:
        start = time.thread_time()
        for _ in range(2_000):
            await (Metered(request(), CpuMeter()) if metered else request())
        return (time.thread_time() - start) / 2_000

    pairs = [await timed(metered=True) - await timed(metered=False) for _ in range(5)]
    return statistics.median(pairs) * 1e6


def energy_claims(detail: dict[str, object]) -> list[Claim]:
    """Load a real server in normal and in low power, turn about."""
    with tempfile.TemporaryDirectory() as home, socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        server = subprocess.Popen(
            [sys.executable, "-m", "cortex", "serve", "--port", str(port)],
            env={
                **os.environ,
                "CORTEX_HOME": home,
                "CORTEX_ENERGY__SOURCE": "model",
                "CORTEX_RATE_LIMIT_PER_MINUTE": "1000000",
            },
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            with httpx.Client(
                base_url=f"http://127.0.0.1:{port}", timeout=60
            ) as client:
                return _loaded(client, detail)
        finally:
            server.terminate()
            server.wait()


def _loaded(client: httpx.Client, detail: dict[str, object]) -> list[Claim]:
    for _ in range(200):
        try:
            if client.get("/ready").status_code == 200:
                break
        except httpx.TransportError:
            time.sleep(0.2)
    texts = [
        f"note {n} on tea, rain, harbours and the price of rope" for n in range(500)
    ]
    body = {"items": [{"content": text} for text in texts]}
    client.post("/memory", json=body).raise_for_status()
    used: dict[str, list[tuple[float, float]]] = {"normal": [], "low": []}
    number = 0
    for _ in range(ROUNDS):
        for mode, spent in used.items():
            client.put("/inference/power", json={"mode": mode}).raise_for_status()
            before = _settled(client)
            for _ in range(RECALLS):
                number += 1
                asked = {
                    "query": f"what did {number} ropes cost in the harbour of {number}"
                }
                client.post("/memory/search", json=asked).raise_for_status()
            after = _settled(client)
            spent.append((after[0] - before[0], after[1] - before[1]))
    told = client.get("/metrics/energy").json()
    parts = sum(r["joules"] for r in told["routes"]) + told["background_joules"]
    metered = sum(r["cpu_seconds"] for r in told["routes"])
    detail["energy"] = {
        "rounds": used,
        "metered_share_of_cpu": metered / told["cpu_seconds"],
        "source": told["source"],
        "measured": told["measured"],
    }
    normal, low = (
        [statistics.median(column) for column in zip(*used[m], strict=True)]
        for m in used
    )
    note = f"{RECALLS} recalls a round, {ROUNDS} rounds each, success 100 %"
    return [
        Claim(
            "energy_sum_error",
            abs(parts - told["joules"]) / told["joules"] * 100,
            "%",
            1.0,
            at_most=True,
            note="routes and background against the whole",
        ),
        Claim(
            "low_power_recall_cpu_ratio",
            low[0] / normal[0],
            "ratio",
            0.7,
            at_most=True,
            baseline=1.0,
            baseline_name=f"normal, {normal[0] / RECALLS * 1e3:.2f} ms CPU a recall",
            note=note,
        ),
        Claim(
            "low_power_recall_joules_ratio",
            low[1] / normal[1],
            "ratio",
            0.7,
            at_most=True,
            baseline=1.0,
            baseline_name=f"normal power, {normal[1] / RECALLS:.4f} J a recall (model)",
            note=f"{note}; joules by the stated model, not measured",
        ),
    ]


def _settled(client: httpx.Client) -> tuple[float, float]:
    """Return CPU seconds and joules of recalls, once a look has counted them all."""
    seen = client.get("/metrics/energy").json()["seconds"]
    while True:
        told = client.get("/metrics/energy").json()
        if told["seconds"] > seen:
            break
        time.sleep(0.5)
    found = [r for r in told["routes"] if r["route"] == "/memory/search"]
    return (found[0]["cpu_seconds"], found[0]["joules"]) if found else (0.0, 0.0)


def main() -> bool:
    detail: dict[str, object] = {}
    claims = [*page_claims(), *cost_claims(), *energy_claims(detail)]
    print(json.dumps(detail, indent=1))
    return report("slo", claims, detail)


if __name__ == "__main__":
    sys.exit(not main())
