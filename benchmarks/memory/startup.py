"""From nothing to the first answer, the cost of an import, and memory at 100 000.

Run: python -m benchmarks.memory.startup
"""

import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.claims import Claim, report
from benchmarks.memory.latency import serving
from benchmarks.memory.writes import CONTEXT, Source, open_store
from cortex.foundation.tenancy import DEFAULT_TENANT, Namespace
from cortex.inference.packaged import bundled_folder, read_manifest

MEMORIES = 100_000
SEARCHES = 50
SETTLE_SECONDS = 20


def first_answer(home: Path) -> float:
    """Return seconds from starting the process to the first search answered."""
    started = time.perf_counter()
    with serving(home) as (_, client):
        answer = client.post("/memory/search", json={"query": "anything yet?"})
        answer.raise_for_status()
        return time.perf_counter() - started


def import_ms(module: str) -> float:
    """Return the median milliseconds an import adds to a bare interpreter."""
    code = (
        "import time; t = time.perf_counter(); "
        f"import {module}; print(1000 * (time.perf_counter() - t))"
    )
    runs = [
        float(subprocess.check_output([sys.executable, "-c", code])) for _ in range(7)
    ]
    return statistics.median(runs)


async def filled(home: Path) -> None:
    """Store 100 000 memories in the model's own space: none is embedded anew."""
    database, store = open_store(home)
    await database.open()
    source = Source(read_manifest(bundled_folder()).info.space)
    where = Namespace(DEFAULT_TENANT, "default")
    for _ in range(0, MEMORIES, 500):
        await store.add(where, source.make(500), context=CONTEXT)
    await database.close()


def resident_mb(home: Path) -> tuple[float, float, float]:
    """Return the resident memory after searches, after a context too, and its peak."""
    with serving(home) as (process, client):
        for number in range(SEARCHES):
            query = {"query": f"word{number} word{number + 1} word{number + 2}"}
            client.post("/memory/search", json=query).raise_for_status()
            if not number:
                time.sleep(SETTLE_SECONDS)  # the index quantises in the background
        searched = _status_mb(process.pid, "VmRSS")
        body = {"query": "word1", "model": "gpt-4o", "max_tokens": 2000}
        client.post("/context", json=body).raise_for_status()
        assert client.get("/memory/stats").json()["total"] == MEMORIES
        packed, peak = (_status_mb(process.pid, n) for n in ("VmRSS", "VmHWM"))
        return searched, packed, peak


def _status_mb(pid: int, name: str) -> float:
    for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines():
        if line.startswith(name):
            return int(line.split()[1]) / 1024
    return 0.0


def main() -> bool:
    """Measure, print and keep."""
    with tempfile.TemporaryDirectory(prefix="cortex-startup-") as folder:
        home = Path(folder)
        first = first_answer(home / "fresh")
        (home / "large").mkdir()
        asyncio.run(filled(home / "large"))
        searched, packed, peak = resident_mb(home / "large")
    claims = [
        Claim("first_start_to_first_answer", first, "s", 5.0, at_most=True),
        Claim(
            "import_cortex",
            import_ms("cortex"),
            "ms",
            150,
            at_most=True,
            baseline=import_ms("numpy"),
            baseline_name="import numpy",
        ),
        Claim(
            "resident_memory_100000",
            searched,
            "MB",
            400,
            at_most=True,
            note=f"after {SEARCHES} searches",
        ),
        Claim(
            "resident_memory_100000_and_vocabulary",
            packed,
            "MB",
            400,
            at_most=True,
            note=f"and a context counted in GPT's tokens (54 MB); peak {peak:.0f} MB",
        ),
    ]
    return report("memory-startup", claims)


if __name__ == "__main__":
    raise SystemExit(0 if main() else 1)
