"""Memory of a server that embeds and searches without end (``--seconds``, 600)."""

import argparse
import random
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.claims import Claim
from benchmarks.memory.latency import WORDS, serving

SECONDS = 600.0
WARM_SHARE = 0.4
"""Share of the time in which caches fill; what grows after that is a leak."""

GROWTH_MB_MAX = 24.0
RESIDENT_MB_MAX = 3 * 1024.0


def claims() -> list[Claim]:
    """Run the load; compare the middle with the end."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--seconds", type=float, default=SECONDS)
    seconds = parser.parse_known_args()[0].seconds
    sizes: list[tuple[float, float]] = []
    calls = 0
    words = random.Random(7)
    with (
        tempfile.TemporaryDirectory(prefix="cortex-soak-") as home,
        serving(Path(home)) as (_, client),
    ):
        started = time.monotonic()
        while (passed := time.monotonic() - started) < seconds:
            text = " ".join(words.choices(WORDS, k=20))
            client.post("/vector/search", json={"query": text[1:]}).raise_for_status()
            client.post("/memory/search", json={"query": text}).raise_for_status()
            calls += 2
            if calls % 50 == 0:
                told = client.get("/inference").json()["process"]
                sizes.append((passed, told["resident_bytes"] / 2**20))
    late = [(at, size) for at, size in sizes if at > WARM_SHARE * seconds]
    slope = np.polyfit(*zip(*late, strict=True), 1)[0] if len(late) > 1 else 0.0
    growth = slope * seconds * (1 - WARM_SHARE)
    return [
        Claim(
            "resident_growth_mb",
            float(growth),
            "MB",
            GROWTH_MB_MAX,
            at_most=True,
            note=f"line through the last {100 * (1 - WARM_SHARE):.0f} % of "
            f"{seconds:.0f} s and {calls} requests",
        ),
        Claim(
            "resident_mb_max",
            max(size for _, size in sizes),
            "MB",
            RESIDENT_MB_MAX,
            at_most=True,
            note="highest seen",
        ),
    ]
