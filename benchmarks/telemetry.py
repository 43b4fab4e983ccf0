"""What telemetry costs: a request with and without it, a scrape, and history.

Run ``python -m benchmarks.telemetry``. Requests are searches over real stores (with
the small stand-in model) and a page that takes no work, sent to one application without
a socket. Short blocks of requests with and without metrics, traces and log lines, in
random order, make pairs; told is the median of the pairs' differences in CPU time, of
all threads, with its 95 % interval. Log lines are made and written within their block.
Writing the traces that were kept comes on top.
"""

# ruff: noqa: SLF001  the parts of one layer are exchanged while it serves

import asyncio
import contextlib
import json
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np

from benchmarks.claims import Claim, report
from cortex.bootstrap.observing import LOG_SECONDS, OPTIONS
from cortex.bootstrap.process import build_edge
from cortex.foundation.clock import SystemClock
from cortex.foundation.garbage import settle_collector
from cortex.service.http.middleware.access import Access
from cortex.settings import Settings
from cortex.storage.migrations import load_migrations
from cortex.storage.observations.series import SqliteHistory
from cortex.storage.observations.traces import SqliteTraces
from cortex.storage.sqlite import Database
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

PAIRS = 400
BLOCK = 20
"""Requests: short, as what else runs on the machine changes within milliseconds."""

PAIRS_PER_FLUSH = 10
"""As many requests as come in between two flushes of ordinary traces at 20 a second."""

PLAIN_PATH = "/docs"
SCRAPES = 100
SERIES = 4_000
INSTANTS = 1_000
SPANS = 20_000

Request: TypeAlias = tuple[str, str, bytes]
"""Method, path and body."""

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
    """Metrics that count nothing, and a log that says nothing, as cheap as can be."""

    def __init__(self) -> None:
        """Answer the calls of every request at once; the rest is seldom asked for."""
        self.inc = self.dec = self.debug = self.info = self

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
    folder.mkdir()
    with (
        (folder / "log.jsonl").open("w", buffering=1) as log,
        contextlib.redirect_stderr(log),
    ):
        app, config = build_edge(settings)
        async with app.running():
            settle_collector()  # as a server does when all its parts are there
            yield await filled(Served(config.app))


async def filled(one: Served) -> Served:
    """Return the application with something to find."""
    items = [{"content": f"note {n} about tea and rivers"} for n in range(100)]
    body = json.dumps({"items": items}).encode()
    stored = await one.request("POST", "/memory", body)
    assert stored == 200, stored
    return one


@contextlib.asynccontextmanager
async def opened(path: Path) -> AsyncIterator[Database]:
    """Open a file for observations as a server does."""
    steps = load_migrations("cortex.storage.observations")
    database = Database(path, clock=SystemClock(), options=OPTIONS, migrations=steps)
    await database.open()
    try:
        yield database
    finally:
        await database.close()


@dataclass(frozen=True, slots=True)
class Switch:
    """Turns telemetry of a served application off and on again, between requests.

    On is what a server does: every metric (those of use cases too), traces at the
    default ratio, JSON lines to a file, and writing the kept traces.
    """

    layer: Access
    log: object
    tracer: Tracer
    counted: dict[str, object]
    traces: SqliteTraces

    @classmethod
    def of(cls, one: Served, traces: SqliteTraces) -> "Switch":
        """Find the parts in the application."""
        layer = one.app.middleware_stack
        while not isinstance(layer, Access):
            layer = getattr(layer, "_app", None) or layer.app
        counted = dict(vars(layer._metrics))
        return cls(layer, layer._log, layer._tracer, counted, traces)

    def turn(self, *, on: bool) -> None:
        """Put the real parts in, or silent ones."""
        layer, silent = self.layer, Silent()
        never = Tracer(SystemClock(), random.getrandbits, Sampling(enabled=False))
        layer._log = self.log if on else silent
        layer._tracer = self.tracer if on else never
        counted = self.counted if on else dict.fromkeys(self.counted, silent)
        vars(layer._metrics).clear()
        vars(layer._metrics).update(counted)
        if not on:
            layer._metrics.request = layer._metrics.searched = silent

    def write(self) -> None:
        """Make and write the lines that wait for company, in the block they are of."""
        self.log.gather(LOG_SECONDS)

    async def flush(self) -> float:
        """Write the traces kept since the last call; return its CPU microseconds."""
        began = time.process_time()
        if kept := self.tracer.take():
            await self.traces.keep(kept)
        return (time.process_time() - began) * 1e6


@dataclass(frozen=True, slots=True)
class Cost:
    """CPU microseconds a request: of telemetry with its 95 % interval, and without."""

    added: float
    low: float
    high: float
    plain: float

    def told(self, name: str) -> str:
        """Return it for a note."""
        return (
            f"{name} {self.added:.0f} ({self.low:.0f} to {self.high:.0f}) "
            f"beside {self.plain:.0f} us"
        )


async def block(
    one: Served, requests: Sequence[Request], switch: Switch | None = None
) -> float:
    """Return CPU microseconds a request, over one block with the lines it logged."""
    began = time.process_time()
    for method, path, body in requests:
        status = await one.request(method, path, body)
        assert status == 200, status
    if switch is not None:
        switch.write()
    return (time.process_time() - began) / len(requests) * 1e6


async def cost(one: Served, requests: Sequence[Request], switch: Switch) -> Cost:
    """Compare neighbouring blocks with and without, in an order drawn for each pair.

    What else runs on the machine slows both of a pair alike; the median of their
    differences keeps out what hits only one. Its interval is that of order statistics.
    """
    draw = random.Random(7)
    added, plain, written = [], [], []
    for pair in range(PAIRS):
        taken = {}
        for on in draw.sample((True, False), 2):
            switch.turn(on=on)
            taken[on] = await block(one, requests, switch)
        added.append(taken[True] - taken[False])
        plain.append(taken[False])
        if pair % PAIRS_PER_FLUSH == 0:
            written.append(await switch.flush())
    switch.turn(on=True)
    added.sort()
    writing = statistics.median(written) / (len(requests) * PAIRS_PER_FLUSH)
    middle, reach = PAIRS // 2, round(0.98 * PAIRS**0.5)
    bounds = (statistics.median(added), added[middle - reach], added[middle + reach])
    return Cost(*(bound + writing for bound in bounds), statistics.median(plain))


async def requests_cost(folder: Path) -> tuple[Cost, Cost]:
    """Return what telemetry costs a search, and a request that does nothing."""
    searches = [
        ("POST", "/memory/search", json.dumps({"query": f"rivers {n}"}).encode())
        for n in range(BLOCK)
    ]
    plain = [("GET", PLAIN_PATH, b"")] * BLOCK
    async with served(folder) as one, opened(folder / "traces.db") as database:
        switch = Switch.of(one, SqliteTraces(database, SystemClock()))
        await block(one, searches)
        found = await cost(one, searches, switch), await cost(one, plain, switch)
        await scrapes(one)
    return found


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
    path = folder / "telemetry.db"
    async with opened(path) as database:
        times = await history_times(database)
        await database.checkpoint_truncate()
        return *times, path.stat().st_size / 1e6


async def history_times(database: Database) -> tuple[float, float, float]:
    """Return ms to append an instant, and to answer two questions."""
    clock = SystemClock()
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
    return append_ms, taken[0], taken[1]


async def main() -> bool:
    """Measure and tell."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        search, page = await requests_cost(folder / "home")
        append_ms, hour_ms, instant_ms, size = await history_cost(folder)
    ours = span_cost()
    imported, grown, theirs = sdk_cost()
    p95 = statistics.quantiles(SCRAPED, n=20)[-1]
    method = f"{search.told('search')}; {page.told('plain page')}; {PAIRS} pairs"
    return report(
        "telemetry",
        [
            Claim(
                "telemetry_cpu", search.added, "us/request", 80, True, search.plain,
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
