"""Load by k6 against a server of its own: ``python -m benchmarks.load --profile full``.

Success rates stand beside latencies, and a run with failures is failed whatever its
latency. ``soak`` also says whether memory and latency stayed flat.
"""

import argparse
import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import psutil

from benchmarks.claims import Claim, report

SCRIPTS = Path(__file__).parents[1] / "tests" / "performance"
PROFILES = ("short", "full", "stress", "soak")
START_SECONDS_MAX = 60.0
SAMPLE_SECONDS = 5.0
P99_GOAL = 1_000.0
FLAT = 1.2
"""Most that memory and P95 of the second half of a soak may be of the first's."""


def names() -> list[str]:
    """Return what can be loaded, by the names of the scripts."""
    found = sorted(SCRIPTS.glob("load-*.test.js"))
    return [path.name.removeprefix("load-").removesuffix(".test.js") for path in found]


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
    found["log"] = done.stderr[-2_000:]
    return found


@contextlib.contextmanager
def serving() -> Iterator[tuple[str, psutil.Process]]:
    """Run a server that believes k6 about its clients' addresses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as home:
        kept = {k: v for k, v in os.environ.items() if not k.startswith("CORTEX_")}
        own = {"CORTEX_HOME": home, "CORTEX_TRUSTED_PROXIES": "127.0.0.1"}
        command = [sys.executable, "-m", "cortex", "serve", "--port", str(port)]
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
def memory_of(process: psutil.Process) -> Iterator[list[int]]:
    """Sample the resident bytes of a server and its children."""
    samples: list[int] = []
    ended = threading.Event()

    def look() -> None:
        while not ended.wait(SAMPLE_SECONDS):
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


def claims_of(name: str, found: dict[str, Any]) -> list[Claim]:
    """Return whether the run holds, and its worst route against its budget."""
    rate = found["all"]["success_rate"] or 0.0
    note = f"{found['all']['requests']} requests, {found['profile']}"
    claims = [
        Claim(f"{name}_success", 100 * rate, "%", 99.5, note=note),
        Claim(
            f"{name}_broken_thresholds",
            len(found["broken"]),
            "thresholds",
            0,
            at_most=True,
            note="; ".join(found["broken"]),
        ),
    ]
    p99 = [line["p99_ms"] for line in found["routes"].values() if line["p99_ms"]]
    if p99:
        worst = Claim(f"{name}_p99_worst", max(p99), "ms", P99_GOAL, at_most=True)
        claims.append(worst)
    for route, line in found["routes"].items():
        if line["p95_ms"] is not None:
            told = f"success {100 * (line['success_rate'] or 0.0):.2f} %"
            tag = f"{name}:{route}_p95".replace(" ", "_")
            goal = found["budgets"][route]
            claims.append(
                Claim(tag, line["p95_ms"], "ms", goal, at_most=True, note=told)
            )
    return claims


def flatness(name: str, found: dict[str, Any], samples: Sequence[int]) -> list[Claim]:
    """Compare the halves of a soak; the first tenth is warming up."""
    half = len(samples) // 2
    early, late = samples[len(samples) // 10 : half], samples[half:]
    grown = (sum(late) / len(late)) / (sum(early) / len(early))
    slower = found["late_p95_ms"] / found["early_p95_ms"]
    return [
        Claim(f"{name}_memory_late_to_early", grown, "ratio", FLAT, at_most=True),
        Claim(f"{name}_p95_late_to_early", slower, "ratio", FLAT, at_most=True),
    ]


def main() -> bool:
    """Load one server with script after script."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load")
    parser.add_argument("--profile", choices=PROFILES, default="full")
    parser.add_argument("--only", choices=names(), action="append")
    parser.add_argument("--rate", type=int, default=20, help="requests a second")
    parser.add_argument("--hold", type=int, default=40, help="seconds of full load")
    parser.add_argument("--slack", type=float, default=1.0, help="factor on budgets")
    asked = parser.parse_args()
    soaked = ["memory"] if asked.profile in {"soak", "stress"} else names()
    claims: list[Claim] = []
    detail: dict[str, object] = {}
    with serving() as (url, process), tempfile.TemporaryDirectory() as folder:
        for name in asked.only or soaked:
            with memory_of(process) as samples:
                found = run_k6(
                    name,
                    url,
                    Path(folder),
                    PROFILE=asked.profile,
                    RATE=asked.rate,
                    HOLD=asked.hold,
                    SLACK=asked.slack,
                )
            detail[name] = {**found, "resident_bytes": samples[-1:]}
            claims += claims_of(name, found)
            if asked.profile == "soak":
                claims += flatness(name, found, samples)
    return report(f"load-{asked.profile}", claims, detail)


if __name__ == "__main__":
    sys.exit(not main())
