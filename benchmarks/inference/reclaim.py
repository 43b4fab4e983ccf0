"""What keeping freed memory for the next run saves, and what stays resident for it.

The same searches in three processes that take turns: one with the pools that servers
have, one that gives freed memory back as servers did before, and one that leaves the C
library alone, which then learns to keep by itself, without a bound. CPU time and page
faults, so that a busy machine does not decide.

Usage: python -m benchmarks.inference --only reclaim
"""

import asyncio
import json
import os
import random
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path

from benchmarks.claims import Claim
from benchmarks.memory.world import CALL, PRINCIPAL, running
from benchmarks.memory.writes import WORDS
from cortex.foundation.reclaim import bound_pools
from cortex.memory.model import NewMemory, Query

KEPT, GIVEN_BACK, ALONE = "kept", "given back", "left alone"
SETTINGS: dict[str, Callable[[], bool]] = {
    KEPT: bound_pools,
    # One megabyte and glibc's own: what servers asked for before they had pools.
    GIVEN_BACK: lambda: bound_pools(1 << 20, 128 << 10),
    ALONE: lambda: True,
}
LENGTHS = {256: 75, 80: 20}
"""Tokens of a text (the model reads 256 at most) to the words that make them."""

ROUNDS = 8
SEARCHES = 10
MEMORIES = 200
SAVED_PERCENT_MIN = 15.0
RESIDENT_MB_MAX = 32.0

Asked = dict[str, float]


def claims() -> list[Claim]:
    """Measure all three in turns."""
    with ExitStack() as stack:
        processes = {
            name: stack.enter_context(closing(_One(name))) for name in SETTINGS
        }
        told: dict[tuple[str, int], list[Asked]] = {}
        for turn in range(ROUNDS + 1):
            for tokens in LENGTHS:
                for name, process in processes.items():
                    found = process.ask(tokens)
                    if turn:  # the first is to warm up
                        told.setdefault((name, tokens), []).append(found)

    def median(name: str, tokens: int, what: str) -> float:
        return statistics.median(one[what] for one in told[name, tokens])

    def note(tokens: int) -> str:
        return "; ".join(
            f"{name}: {median(name, tokens, 'cpu_ms'):.1f} ms of CPU, "
            f"{median(name, tokens, 'faults'):.0f} page faults a search"
            for name in SETTINGS
        )

    held = {name: median(name, 256, "resident_mb") for name in SETTINGS}
    return [
        *(
            Claim(
                f"reclaim_search_{tokens}_tokens_cpu_ms",
                median(KEPT, tokens, "cpu_ms"),
                "ms",
                goal * median(GIVEN_BACK, tokens, "cpu_ms"),
                at_most=True,
                baseline=median(GIVEN_BACK, tokens, "cpu_ms"),
                baseline_name="pool off: freed memory is given back",
                note=f"{note(tokens)}; median of {ROUNDS} turns of {SEARCHES} searches",
            )
            for tokens, goal in ((256, 1 - SAVED_PERCENT_MIN / 100), (80, 1.15))
        ),
        Claim(
            "reclaim_resident_mb_more",
            held[KEPT] - held[GIVEN_BACK],
            "MB",
            RESIDENT_MB_MAX,
            at_most=True,
            baseline=held[ALONE] - held[GIVEN_BACK],
            baseline_name="left alone",
            note=f"resident; {held[GIVEN_BACK]:.0f} MB with the pool off",
        ),
    ]


class _One:
    """A process with one of the settings."""

    def __init__(self, name: str) -> None:
        # As in the server's processes: no threads of numpy's that wait by spinning.
        environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.inference.reclaim", name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )

    def ask(self, tokens: int) -> Asked:
        """Search for texts of that length; return what one search cost."""
        process = self._process
        if process.stdin is None or process.stdout is None:
            message = "the process has no pipes"
            raise RuntimeError(message)
        print(LENGTHS[tokens], file=process.stdin, flush=True)
        found: Asked = json.loads(process.stdout.readline())
        return found

    def close(self) -> None:
        """End the process."""
        self._process.communicate()


async def _serve() -> None:
    """Search as often as is asked, and tell what it cost."""
    words = random.Random(5)
    space = PRINCIPAL.namespace("reclaim")
    async with running() as app:
        items = [
            NewMemory(" ".join(words.choices(WORDS, k=20))) for _ in range(MEMORIES)
        ]
        await app.use_cases.remember(PRINCIPAL, space, items, CALL)
        while line := await asyncio.to_thread(sys.stdin.readline):
            texts = [
                " ".join(words.choices(WORDS, k=int(line))) for _ in range(SEARCHES)
            ]
            before, faults = time.process_time(), _faults()
            for text in texts:
                await app.use_cases.search(space, Query(text, 10), CALL)
            spent, faulted = time.process_time() - before, _faults() - faults
            told = {
                "cpu_ms": 1000 * spent / SEARCHES,
                "faults": faulted / SEARCHES,
                "resident_mb": _resident_mb(),
            }
            print(json.dumps(told), flush=True)


def _faults() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt


def _resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize() / 2**20


if __name__ == "__main__":
    SETTINGS[sys.argv[1]]()
    asyncio.run(_serve())
