"""Load by k6 against a server of its own: ``python -m benchmarks.load --profile full``.

Success rates stand beside latencies, and a run with failures is failed whatever its
latency. ``full`` loads with script after script. ``stress`` doubles the rate of all of
them mixed until answers are late or missing, goes beyond that, and measures how long
the server takes to keep its goals again. ``soak`` is half the usual rate for long, and
says whether memory and latency stay flat.
"""

import argparse
import contextlib
import json
import os
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import httpx
import psutil

from benchmarks.claims import Claim, report

SCRIPTS = Path(__file__).parents[1] / "tests" / "performance"
EVERYTHING = "everything"
PROFILES = {"full": 40, "stress": 15, "soak": 600}
"""Seconds at one rate, where none are told."""

RATE = 20
"""Requests a second that goals hold for."""

RATE_MAX = 20_000
START_SECONDS_MAX = 60.0
SAMPLES = 120
P99_GOAL = 1_000.0
SUCCESS_MIN = 0.995
IN_TIME_MIN = 0.95
BEYOND = 4
"""How many times the rate that broke it the server is then sent."""

RECOVERY_SECONDS = 30.0
WINDOW_SECONDS = 5
WARMING = 5
"""One in so many samples of a soak is from its beginning, and is left out."""

MEMORY_GROWTH_MAX = 10.0
LATENCY_GROWTH_MAX = 25.0
"""Percent that a soak's fitted line may rise over its length: what is stored takes
memory, and a shared machine is not always as fast."""


def names() -> list[str]:
    """Return what can be loaded, by the names of the scripts."""
    found = sorted(SCRIPTS.glob("load-*.test.js"))
    return [path.name.removeprefix("load-").removesuffix(".test.js") for path in found]


@dataclass(frozen=True, slots=True)
class Load:
    """A server under load, and where results are put meanwhile."""

    url: str
    process: psutil.Process
    folder: Path
    slack: float

    def run(self, name: str, profile: str, rate: int, seconds: float) -> dict[str, Any]:
        """Run one script; return its result, whose verdict says whether all held."""
        told = {"PROFILE": profile, "RATE": rate, "HOLD": seconds, "SLACK": self.slack}
        return run_k6(name, self.url, self.folder, **told)


def k6() -> str:
    """Return the k6 of this virtual environment."""
    return str(Path(sys.executable).with_name("k6"))


def run_k6(name: str, url: str, folder: Path, **variables: object) -> dict[str, Any]:
    """Run one script; return its result, whose verdict says whether all held."""
    result = folder / f"{name}.json"
    told = {key: str(value) for key, value in variables.items()}
    environment = {
        **os.environ,
        "K6_NO_USAGE_REPORT": "true",
        "BASE_URL": url,
        "RESULT": str(result),
        **told,
    }
    script = SCRIPTS / f"load-{name}.test.js"
    done = subprocess.run(
        [k6(), "run", "--quiet", "--address", "", str(script)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if not result.exists():
        raise RuntimeError(done.stderr[-2_000:])
    found: dict[str, Any] = json.loads(result.read_text("utf-8"))
    found["status"] = done.returncode
    found["log"] = done.stderr[-20_000:]
    return found


def surroundings(folder: Path) -> dict[str, str]:
    """Make what the scripts ask a server for; return the settings that name it."""
    shown = folder / "shown"
    shown.mkdir(parents=True)
    (shown / "note.txt").write_text("a note", encoding="utf-8")
    with contextlib.closing(sqlite3.connect(shown / "load.db")) as database:
        database.execute("CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT)")
        database.executemany("INSERT INTO notes (text) VALUES (?)", [("a",), ("b",)])
        database.commit()
    return {
        "CORTEX_TRUSTED_PROXIES": "127.0.0.1",
        "CORTEX_FS_ROOTS": json.dumps({"load": str(shown)}),
        "CORTEX_DATABASES": json.dumps({"load": str(shown / "load.db")}),
    }


@contextlib.contextmanager
def serving(*flags: str) -> Iterator[tuple[str, psutil.Process]]:
    """Run a server that believes k6 about its clients' addresses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as home:
        kept = {k: v for k, v in os.environ.items() if not k.startswith("CORTEX_")}
        own = {"CORTEX_HOME": home, **surroundings(Path(home))}
        command = [sys.executable, "-m", "cortex", "serve", "--port", str(port), *flags]
        log = subprocess.DEVNULL
        process = subprocess.Popen(command, env=kept | own, stdout=log, stderr=log)
        try:
            url = f"http://127.0.0.1:{port}"
            _await_ready(url)
            yield url, psutil.Process(process.pid)
        finally:
            process.terminate()
            process.wait(60)


def _await_ready(url: str) -> None:
    deadline = time.monotonic() + START_SECONDS_MAX
    while time.monotonic() < deadline:
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(f"{url}/ready").status_code == 200:
                return
        time.sleep(0.1)
    raise RuntimeError("the server did not start")


@contextlib.contextmanager
def memory_of(process: psutil.Process, seconds: float) -> Iterator[list[int]]:
    """Sample the resident bytes of a server and its children."""
    samples: list[int] = []
    ended = threading.Event()

    def look() -> None:
        while not ended.wait(seconds / SAMPLES):
            with contextlib.suppress(psutil.NoSuchProcess):
                everyone = [process, *process.children(recursive=True)]
                samples.append(sum(one.memory_info().rss for one in everyone))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield samples
    finally:
        ended.set()
        thread.join()


def growth(values: Sequence[float]) -> float:
    """Return by how many percent the fitted line of values rises from end to end.

    The slope is the median of the slopes between all pairs (Theil and Sen): a few
    moments in which the machine did something else do not tilt it.
    """
    pairs = combinations(enumerate(values), 2)
    slope = statistics.median((b - a) / (j - i) for (i, a), (j, b) in pairs)
    return 100 * slope * (len(values) - 1) / statistics.median(values)


def whole_run(name: str, found: dict[str, Any]) -> list[Claim]:
    """Return whether a run holds."""
    told = "; ".join(found["broken"])
    rate = 100 * (found["all"]["success_rate"] or 0.0)
    note = f"{found['all']['requests']} requests, {found['profile']}"
    worst = max((one["p99_ms"] for one in asked_for(found).values()), default=0.0)
    kept = len(found["broken"])
    return [
        Claim(f"{name}_success", rate, "%", 100 * SUCCESS_MIN, note=note),
        Claim(f"{name}_broken_thresholds", kept, "thresholds", 0, True, note=told),
        Claim(f"{name}_p99_worst", worst, "ms", P99_GOAL, at_most=True),
    ]


def asked_for(found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return what was measured of each route that was asked."""
    return {route: one for route, one in found["routes"].items() if one["requests"]}


def each_route(name: str, found: dict[str, Any]) -> list[Claim]:
    """Return each route's P95 against its goal, beside its success rate."""
    claims = []
    for route, one in asked_for(found).items():
        tag = f"{name}:{route}_p95".replace(" ", "_")
        note = (
            f"success {100 * one['success_rate']:.2f} % of {one['requests']}, "
            f"P99 {one['p99_ms']:.0f} ms"
        )
        goal = found["goals"][route]
        claims.append(Claim(tag, one["p95_ms"], "ms", goal, at_most=True, note=note))
    return claims


def full(load: Load, names: Sequence[str], rate: int, seconds: float) -> list[Claim]:
    """Load with script after script."""
    claims = []
    for name in names:
        print(f"{name} ...", file=sys.stderr, flush=True)
        found = load.run(name, "full", rate, seconds)
        claims += whole_run(name, found) + each_route(name, found)
    return claims


def holds(found: dict[str, Any]) -> bool:
    """Return whether a few seconds were as they should be."""
    success = found["all"]["success_rate"] or 0.0
    in_time = found["in_time"] >= IN_TIME_MIN
    return success >= SUCCESS_MIN and in_time and not found["dropped"]


def told(rate: int, found: dict[str, Any]) -> str:
    """Return one line of what a rate was answered."""
    counts = [f"{count} {kind}" for kind, count in found["answers"].items() if count]
    return (
        f"{rate}/s: {', '.join(counts) or 'no answer'}; "
        f"{100 * found['in_time']:.1f} % in time, P95 {found['all']['p95_ms']:.0f} ms, "
        f"{found['dropped']} not sent in time"
    )


def stress(load: Load, names: Sequence[str], rate: int, seconds: float) -> list[Claim]:
    """Double the rate until goals are missed, then see how soon they are kept."""
    name, step, steps = names[0], rate, []
    while True:
        found = load.run(name, "steady", step, seconds)
        steps.append((step, found))
        print(told(step, found), flush=True)
        if not holds(found) or step >= RATE_MAX:
            break
        step *= 2
    steps.append((BEYOND * step, load.run(name, "steady", BEYOND * step, seconds)))
    print(told(*steps[-1]), flush=True)
    ended = time.monotonic()
    while True:
        found = load.run(name, "steady", rate, WINDOW_SECONDS)
        recovered = time.monotonic() - ended
        print(f"after {recovered:.0f} s, {told(rate, found)}", flush=True)
        if holds(found) or recovered > RECOVERY_SECONDS:
            break
    kept = [at for at, found in steps if holds(found)]
    note = told(*steps[-2])
    claims = [
        Claim("stress_rate_kept", max(kept, default=0), "requests/s", rate),
        Claim("stress_rate_broke", step, "requests/s", rate, note=note),
        Claim("stress_recovery", recovered, "s", RECOVERY_SECONDS, at_most=True),
    ]
    for kind, why in (
        ("fault", "5xx that is no refusal"),
        ("bare", "429 or 503 without Retry-After"),
        ("wrong", "any other answer that is not right"),
        ("broken", "connections that broke"),
    ):
        count = sum(found["answers"][kind] for _, found in steps)
        claims.append(Claim(f"stress_{kind}", count, "answers", 0, True, note=why))
    return claims


def soak(load: Load, names: Sequence[str], rate: int, seconds: float) -> list[Claim]:
    """Load for long at half the rate."""
    with memory_of(load.process, seconds) as samples:
        found = load.run(names[0], "soak", rate // 2, seconds)
    steady = samples[len(samples) // WARMING :]
    mebibytes = f"{steady[0] / 2**20:.0f} to {steady[-1] / 2**20:.0f} MiB"
    claims = whole_run("soak", found)
    claims.append(
        Claim(
            "soak_memory_growth", growth(steady), "%", MEMORY_GROWTH_MAX, True,
            note=f"{mebibytes} in {seconds:g} s",
        )
    )  # fmt: skip
    for name in ("median_ms", "p95_ms"):
        values = [one[name] for one in found["slices"]]
        note = " ".join(f"{value:.1f}" for value in values)
        tag = f"soak_{name.removesuffix('_ms')}_growth"
        claims.append(
            Claim(tag, growth(values), "%", LATENCY_GROWTH_MAX, True, note=note)
        )
    return claims


def main() -> bool:
    """Load one server in the way that was asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load")
    parser.add_argument("--profile", choices=PROFILES, default="full")
    parser.add_argument("--only", choices=names(), action="append")
    parser.add_argument("--rate", type=int, default=RATE, help="requests a second")
    parser.add_argument("--seconds", type=float, help="at one rate; whole, of a soak")
    parser.add_argument("--slack", type=float, default=1.0, help="factor on goals")
    asked = parser.parse_args()
    each = [name for name in names() if name != EVERYTHING]
    chosen = asked.only or (each if asked.profile == "full" else [EVERYTHING])
    how = {"full": full, "stress": stress, "soak": soak}[asked.profile]
    seconds = asked.seconds or PROFILES[asked.profile]
    with serving() as (url, process), tempfile.TemporaryDirectory() as folder:
        load = Load(url, process, Path(folder), asked.slack)
        claims = how(load, chosen, asked.rate, seconds)
    return report(f"load-{asked.profile}", claims)


if __name__ == "__main__":
    sys.exit(not main())
