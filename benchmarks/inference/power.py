"""What saving power costs and saves: CPU time of a search, and recall at ten."""

import asyncio
import time
from collections.abc import Sequence

from benchmarks.claims import Claim
from benchmarks.memory.datasets import Conversation
from benchmarks.memory.measures import mean
from benchmarks.memory.options import data_folder, load_or_explain
from benchmarks.memory.quality import asked, found_by, recall_at
from benchmarks.memory.world import PRINCIPAL, Remembered, remember, running
from cortex.app import App
from cortex.inference.backends.early import LAYER
from cortex.inference.power import PowerMode
from cortex.memory.model import SearchMode
from cortex.usecases.model import CallContext

K = 10
CALL = CallContext("benchmark", "benchmark")
BLOCK = 25


def claims() -> list[Claim]:
    """Measure normal and low power over the same questions, in turns."""
    found = load_or_explain(data_folder())
    return asyncio.run(_measure([c for c in found if c.source == "locomo"]))


async def _measure(conversations: Sequence[Conversation]) -> list[Claim]:
    if not conversations:
        return []
    async with running() as app:
        memories = [await remember(app, c) for c in conversations]
        quick = f"{(await app.use_cases.models())[0].info.name}-early{LAYER}"
        loading = await app.use_cases.inference.warm(quick)
        # Each mode sees every question once: blocks of questions take turns.
        cpu = dict.fromkeys((PowerMode.NORMAL, PowerMode.LOW), 0.0)
        recalls: dict[PowerMode, list[float]] = {mode: [] for mode in cpu}
        jobs = [(known, q) for known in memories for q in asked(known.conversation)]
        for place in range(0, len(jobs), BLOCK):
            # Low first: the other way round its queries would be in the cache.
            for mode in (PowerMode.LOW, PowerMode.NORMAL):
                await app.use_cases.inference.switch_power(PRINCIPAL, mode, "", CALL)
                started = time.process_time()
                recalls[mode] += await _block(app, jobs[place : place + BLOCK])
                cpu[mode] += time.process_time() - started
    low, normal = cpu[PowerMode.LOW], cpu[PowerMode.NORMAL]
    lost = 100 * (mean(recalls[PowerMode.NORMAL]) - mean(recalls[PowerMode.LOW]))
    each = 1000 / len(jobs)
    return [
        Claim(
            "low_power_cpu_saved_percent",
            100 * (1 - low / normal),
            "%",
            30,
            note=f"CPU time of the whole process a search: {low * each:.2f} ms beside "
            f"{normal * each:.2f} ms, {len(jobs)} questions of LoCoMo; the quicker "
            f"model was loaded before, in {loading:.2f} s",
        ),
        Claim(
            "low_power_recall_at_10_lost",
            lost,
            "points",
            5,
            at_most=True,
            baseline=100 * mean(recalls[PowerMode.NORMAL]),
            baseline_name="recall at ten with the whole model",
            note="LoCoMo, hybrid search; stored vectors are the whole model's",
        ),
    ]


async def _block(app: App, jobs: Sequence[tuple[Remembered, object]]) -> list[float]:
    found = []
    for known, question in jobs:
        hits, _ = await found_by(app, known, question, SearchMode.HYBRID)
        found.append(recall_at(hits, question.evidence, K))
    return found
