"""Loading the default model, and a text that was embedded before."""

import asyncio
import statistics
import subprocess
import sys
import time

from benchmarks.claims import Claim
from benchmarks.memory.world import running
from cortex.usecases.embed import EmbedRequest

LOADS = 7
CALLS = 2_000

LOAD = """
import time
started = time.perf_counter()
from cortex.inference.backends.bundled import open_bundled
open_bundled().embed("The first text.")
print(time.perf_counter() - started)
"""


def claims() -> list[Claim]:
    """Measure both."""
    loads = [
        float(subprocess.check_output([sys.executable, "-c", LOAD]))
        for _ in range(LOADS)
    ]
    return [
        Claim(
            "model_load_seconds",
            statistics.median(loads),
            "s",
            1,
            at_most=True,
            note=f"imports, check of hashes, session and first vector in a fresh "
            f"process; median of {LOADS}, worst {max(loads):.2f}",
        ),
        asyncio.run(_repeated()),
    ]


async def _repeated() -> Claim:
    async with running() as app:
        request = EmbedRequest(("A text that was embedded before.",))
        await app.use_cases.embed(request)
        seconds = []
        for _ in range(CALLS):
            started = time.perf_counter()
            await app.use_cases.embed(request)
            seconds.append(time.perf_counter() - started)
    tail = 1000 * statistics.quantiles(seconds, n=20)[-1]
    return Claim(
        "repeated_text_ms",
        1000 * statistics.median(seconds),
        "ms",
        0.1,
        at_most=True,
        note=f"use case, tokens counted; median of {CALLS}, P95 {tail:.3f} ms",
    )
