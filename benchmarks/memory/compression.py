"""What does each compression strategy save, and what evidence does it keep?

Builds contexts of 2 048 tokens for questions of each conversation with every strategy
that needs no model, and of half that to see if more budget ever loses evidence.
Tokens saved are those of the memories that are in, before and after; ``structure`` is
also measured on JSON, a log and code of the project itself, since people do not talk in
them.

Run: python -m benchmarks.memory.compression --data FOLDER
"""

import asyncio
import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from benchmarks.claims import Claim, report
from benchmarks.memory.datasets import Conversation
from benchmarks.memory.measures import mean
from benchmarks.memory.options import data_folder, load_or_explain
from benchmarks.memory.quality import asked
from benchmarks.memory.world import CALL, remember, running
from cortex.foundation.clock import SystemClock
from cortex.inference.tokens.counters import Counters
from cortex.memory.strategies import Compression
from cortex.memory.structure import slim
from cortex.usecases.model import ContextRequest, ContextStrategy

BUDGET = 2048
MODEL = "gpt-4o"
STRATEGIES = tuple(one for one in Compression if one is not Compression.ABSTRACTIVE)
QUESTIONS = 40
"""Questions of one conversation that are asked, evenly taken."""

KEPT_MIN = 0.97
"""Share of the extractive strategy's evidence that another may not fall below."""

WHOLE_KEPT_MIN = 0.6
"""The same for strategies that take long items whole: few of those fit."""

WHOLE = {Compression.NONE.value, Compression.TRUNCATE.value}

Shares = dict[tuple[str, str], list[float]]


async def measure(
    conversations: Sequence[Conversation],
) -> tuple[Shares, Shares, int]:
    """Return evidence and saved tokens by (source, strategy), and what shrank."""
    kept: Shares = defaultdict(list)
    saved: Shares = defaultdict(list)
    shrunk = 0
    async with running() as app:
        for conversation in conversations:
            known = await remember(app, conversation)
            questions = list(asked(conversation))
            for question in questions[:: max(1, len(questions) // QUESTIONS)]:
                for strategy in STRATEGIES:
                    found = []
                    for budget in (BUDGET // 2, BUDGET):
                        request = ContextRequest(
                            question.text,
                            None,
                            MODEL,
                            budget,
                            strategy=ContextStrategy.RECALL,
                            compression=strategy,
                        )
                        built = await app.use_cases.build_context(
                            known.namespace, request, CALL
                        )
                        held = {known.key_of[one.id] for one in built.included}
                        found.append(held & question.evidence)
                    shrunk += not found[0] <= found[1]
                    key = (conversation.source, strategy.value)
                    kept[key].append(len(found[1]) / len(question.evidence))
                    before = sum(one.tokens_before for one in built.included)
                    after = sum(one.tokens for one in built.included)
                    saved[key].append(1 - after / before if before else 0.0)
            print(f"  {conversation.name}: done", flush=True)
    return kept, saved, shrunk


def structured() -> dict[str, float]:
    """Return which share of the tokens ``structure`` saves, by kind of text."""
    count = Counters(SystemClock()).for_model(MODEL).count
    results = Path(__file__).parents[1] / "results"
    log = "".join(
        f"2026-11-21T10:{n // 60:02}:{n % 60:02}Z INFO request {n} took {n % 7} ms\n"
        for n in range(200)
    )
    texts = {
        "json": json.dumps(json.loads((results / "slo.json").read_text()), indent=2),
        "code": f"```python\n{Path(__file__).read_text()}```",
        "log": log,
    }
    return {name: 1 - count(slim(one).text) / count(one) for name, one in texts.items()}


def main() -> bool:
    """Measure, print and keep."""
    conversations = load_or_explain(data_folder())
    if not conversations:
        return False
    kept, saved, shrunk = asyncio.run(measure(conversations))
    claims = []
    for (source, strategy), values in sorted(kept.items()):
        evidence, less = 100 * mean(values), 100 * mean(saved[source, strategy])
        print(f"{source:7} {strategy:12} {evidence:5.1f} % kept, {less:4.1f} % saved")
        whole = 100 * mean(kept[source, Compression.EXTRACTIVE.value])
        claims.append(
            Claim(
                f"{source}_{strategy}_evidence_in_{BUDGET}_tokens",
                evidence,
                "%",
                (WHOLE_KEPT_MIN if strategy in WHOLE else KEPT_MIN) * whole,
                baseline=whole,
                baseline_name="extractive",
                note=f"{less:.1f} % of the tokens of what is in were saved",
            )
        )
    claims += [
        Claim(f"structure_saves_of_{name}", 100 * share, "%", goal)
        for (name, share), goal in zip(structured().items(), (20, 0.1, 80), strict=True)
    ]
    claims.append(Claim("contexts_that_shrank", shrunk, "contexts", 0, at_most=True))
    return report("memory-compression", claims)


if __name__ == "__main__":
    raise SystemExit(0 if main() else 1)
