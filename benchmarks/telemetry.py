"""What telemetry costs: a request with and without it, a scrape, and history.

Run ``python -m benchmarks.telemetry``. Requests are searches over real stores (with
the small stand-in model), sent to one application without a socket; short rounds with
and without metrics, traces and log lines follow each other. Times are CPU time, the
best of all rounds: what other programs take away is not telemetry's. Two sets of rounds
without it, compared in the same way, show what the method itself is unsure of.
"""

# ruff: noqa: SLF001  the parts of one layer are exchanged while it serves

import asyncio
import contextlib
import json
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.claims import Claim, report
from cortex.bootstrap.process import build_edge
from cortex.foundation.clock import SystemClock
from cortex.service.http.middleware.access import Access
from cortex.settings import Settings
from cortex.storage.migrations import load_migrations
from cortex.storage.observations.series import SqliteHistory
from cortex.storage.sqlite import Database, DatabaseOptions
from cortex.telemetry import tracing
from cortex.telemetry.history.model import (
    Comparison,
    Kind,
    Matcher,
    Run,
    Sample,
    Selector,
)
from cortex.telemetry.history.question import Function, Question, ask
from cortex.telemetry.tracing.sampling import Sampling
from cortex.telemetry.tracing.tracer import Tracer

ROUNDS = 150
REQUESTS = 10
SCRAPES = 100
SERIES = 4_000
INSTANTS = 1_000
SPANS = 20_000

_SDK = """
import json, sys, time
def rss():
    return int(open("/proc/self/statm").read().split()[1]) * 4096 / 1e6
before, began = rss(), time.process_time()
from opentelemetry.sdk.trace import TracerProvider
imported, grown = time.process_time() - began, rss() - before
tracer = TracerProvider().get_tracer("bench")
best = 1e9
for _ in range(5):
    began = time.process_time()
    for _ in range(4000):
        with tracer.start_as_current_span("part", attributes={"n": 1}):
            pass
    best = min(best, (time.process_time() - began) / 4000)
print(json.dumps([imported * 1e3, grown, best * 1e6]))
"""


class Silent:
    """Metrics that count nothing, and a log that says nothing."""

    def __getattr__(self, name: str) -> "Silent":
        return self

    def __call__(self, *_: object, **__: object) -> "Silent":
        return self


@dataclass(frozen=True, slots=True)
class Served:
    """An application in this process."""

    app: object

    async def request(self, method: str, path: str, body: bytes = b"") -> int:
        """Send one request and read its answer."""
        sent: list[dict] = []

        asked = False

        async def receive() -> dict:
            nonlocal asked
            if asked:
                await asyncio.Event().wait()  # the client stays
            asked = True
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: dict) -> None:
            sent.append(message)

        headers = [
            (b"host", b"127.0.0.1"),
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
        ]
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "root_path": "",
            "scheme": "http",
            "headers": headers,
            "client": ("127.0.0.1", 5),
            "server": ("127.0.0.1", 4949),
        }
        await self.app(scope, receive, send)
        return sent[0]["status"]


@contextlib.asynccontextmanager
async def served(folder: Path) -> AsyncIterator[Served]:
    """Run an application over a home of its own, with a few memories."""
    settings = Settings(home=folder, fast_test=True, rate_limit_per_minute=1_000_000)
    # Log lines are made and written, and nobody has to read them.
    with contextlib.redirect_stderr(open(os.devnull, "w")):  # noqa: PTH123
        app, config = build_edge(settings)
    async with app.running():
        one = Served(config.app)
        items = [{"content": f"note {n} about tea and rivers"} for n in range(100)]
        stored = await one.request(
            "POST", "/memory", json.dumps({"items": items}).encode()
        )
        assert stored == 200, stored
        yield one


async def block(one: Served) -> float:
    """Return CPU microseconds a request, over one round."""
    bodies = [
        json.dumps({"query": f"rivers {n}", "top_k": 5}).encode()
        for n in range(REQUESTS)
    ]
    began = time.process_time()
    for body in bodies:
        status = await one.request("POST", "/memory/search", body)
        assert status == 200, status
    return (time.process_time() - began) / REQUESTS * 1e6


async def requests_cost(folder: Path) -> tuple[float, float, float, float]:
    """Return the cost of telemetry, of a log line alone, noise, and a request, in us.

    One server, whose layer that observes requests is given silent parts in between.
    """
    async with served(folder) as one:
        await block(one)
        layer = one.app.middleware_stack
        while not isinstance(layer, Access):
            layer = getattr(layer, "_app", None) or layer.app
        real = (layer._log, layer._tracer, layer._metrics)
        off = Tracer(SystemClock(), random.getrandbits, Sampling(enabled=False))
        silent = (Silent(), off, Silent())
        kinds = {
            "on": real,
            "off": silent,
            "log": (real[0], off, Silent()),
            "again": silent,
        }
        taken: dict[str, list[float]] = {kind: [] for kind in kinds}
        for _ in range(ROUNDS):
            for kind, parts in kinds.items():
                layer._log, layer._tracer, layer._metrics = parts
                taken[kind].append(await block(one))
        layer._log, layer._tracer, layer._metrics = real
        await scrapes(one)
        best = {kind: min(times) for kind, times in taken.items()}
        plain = best["off"]
        return (
            best["on"] - plain,
            best["log"] - plain,
            abs(best["again"] - plain),
            plain,
        )


SCRAPED: list[float] = []
SCRAPED_CPU: list[float] = []


async def scrapes(one: Served) -> None:
    """Time scrapes of a server whose every route was called, as a client would."""
    routes = [
        (method, route.path)
        for route in one.app.routes
        for method in getattr(route, "methods", None) or ()
        if "{" not in route.path and "stream" not in route.path
    ]
    for method, path in routes:
        await one.request(method, path, b"{}")
    for _ in range(SCRAPES):
        began, cpu = time.perf_counter(), time.thread_time()
        assert await one.request("GET", "/metrics") == 200
        SCRAPED.append((time.perf_counter() - began) * 1e3)
        SCRAPED_CPU.append((time.thread_time() - cpu) * 1e3)


def span_cost() -> float:
    """Return CPU microseconds of one span in a trace that is dropped."""
    source = random.Random(1)
    tracer = Tracer(SystemClock(), source.getrandbits, Sampling(ratio=0.0001))
    best = 1e9
    for _ in range(5):
        began = time.process_time()
        for _ in range(SPANS // 100):
            with tracer.root("request"):
                for _ in range(20):
                    with tracing.span("part", n=1):
                        pass
        best = min(best, (time.process_time() - began) / (SPANS // 100 * 21))
    return best * 1e6


def sdk_cost() -> tuple[float, float, float]:
    """Return the SDK's import in ms and MB, and CPU microseconds of one span."""
    text = subprocess.run(
        [sys.executable, "-c", _SDK], capture_output=True, text=True, check=True
    ).stdout
    imported, grown, span = json.loads(text)
    return imported, grown, span


async def history_cost(folder: Path) -> tuple[float, float, float, float]:
    """Return ms to append an instant and to answer two questions, and MB on disk."""
    options = DatabaseOptions(synchronous="NORMAL", secure_delete=False)
    steps = load_migrations("cortex.storage.observations")
    path = folder / "telemetry.db"
    clock = SystemClock()
    database = Database(path, clock=clock, options=options, migrations=steps)
    await database.open()
    history = SqliteHistory(database, clock)
    now = clock.now() // 10 * 10
    run = Run("bench", now - 10 * INSTANTS)
    draw = np.random.default_rng(3)
    values = np.zeros(SERIES)
    labels = [(("n", str(n)),) for n in range(SERIES)]
    began = time.process_time()
    for n in range(INSTANTS):
        values[draw.integers(0, SERIES, 300)] += 1
        samples = [
            Sample("m_total", one, Kind.COUNTER, value)
            for one, value in zip(labels, values.tolist(), strict=True)
        ]
        await history.append(now - 10 * (INSTANTS - 1 - n), samples, run)
    append_ms = (time.process_time() - began) / INSTANTS * 1e3
    twelve = (Matcher("n", "12.", Comparison.MATCHES),)
    hour = Question(
        Selector("m_total", twelve), now - 3600, now, 15, Function.RATE, 300, by=()
    )
    instant = Question(
        Selector("m_total", twelve), now, now, 1, Function.INCREASE, 3600, by=()
    )
    taken = []
    for question in (hour, instant):
        best = 1e9
        for _ in range(5):
            began = time.process_time()
            assert await ask(history, question)
            best = min(best, time.process_time() - began)
        taken.append(best * 1e3)
    await database.checkpoint_truncate()
    size = path.stat().st_size / 1e6
    await database.close()
    return append_ms, taken[0], taken[1], size


async def main() -> bool:
    """Measure and tell."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        cost, log, noise, plain = await requests_cost(folder / "home")
        append_ms, hour_ms, instant_ms, size = await history_cost(folder)
    ours = span_cost()
    imported, grown, theirs = sdk_cost()
    p95 = statistics.quantiles(SCRAPED, n=20)[-1]
    method = (
        f"search {plain:.0f} us without; of it a log line {log:.0f} us; "
        f"two without differ by {noise:.1f} us"
    )
    return report(
        "telemetry",
        [
            Claim(
                "telemetry_cpu", cost, "us/request", 80, True, plain,
                "the same request without", method,
            ),
            Claim(
                "span_cpu", ours, "us", 3, True, theirs, "opentelemetry-sdk",
                f"whose import costs {imported:.0f} ms and {grown:.1f} MB",
            ),
            Claim(
                "metrics_p95", p95, "ms", 100, True,
                note=f"{SCRAPES} scrapes, all 200, after every route was called; "
                f"{statistics.median(SCRAPED_CPU):.0f} ms CPU each",
            ),
            Claim(
                "history_append", append_ms, "ms", 20, True,
                note=f"{SERIES} series, every 10 s; {size:.1f} MB for {INSTANTS}",
            ),
            Claim(
                "history_rate_hour", hour_ms, "ms", 100, True,
                note=f"10 of {SERIES} series, 241 instants of an hour",
            ),
            Claim(
                "history_increase", instant_ms, "ms", 30, True,
                note="the increase of an hour, as an objective asks for it",
            ),
        ],
        {"rss_max_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3},
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit(0 if asyncio.run(main()) else 1)
