"""Is the evidence in the context, whatever the budget?

Builds a context for every question at seven budgets with the product's own journey and
counts the evidence turns that are in it, whole or in excerpt; beside it, the plain way:
the same hits in order of score, whole, until the next one does not fit.

Run: python -m benchmarks.memory.budget --data FOLDER
"""

import asyncio
from collections import defaultdict
from collections.abc import Sequence

from benchmarks.claims import Claim, report
from benchmarks.memory.datasets import Conversation, Question
from benchmarks.memory.measures import mean
from benchmarks.memory.options import data_folder, load_or_explain
from benchmarks.memory.quality import asked
from benchmarks.memory.world import CALL, Remembered, remember, running
from cortex.app import App
from cortex.foundation.clock import SystemClock
from cortex.inference.tokens.counters import Counters
from cortex.memory.model import Query
from cortex.usecases.model import ContextRequest, ContextStrategy

BUDGETS = (256, 512, 1024, 2048, 4096, 6144, 8192)
CLAIMED = 2048
MODEL = "gpt-4o"
HITS = 100

Shares = dict[tuple[str, str, int], list[float]]


async def measure(conversations: Sequence[Conversation]) -> tuple[Shares, int, int]:
    """Return shares by (source, way, budget), shrunken contexts, overflown ones."""
    shares: Shares = defaultdict(list)
    shrunk = overflown = 0
    async with running() as app:
        for conversation in conversations:
            known = await remember(app, conversation)
            for question in asked(conversation):
                held, over = await ours(app, known, question, shares)
                shrunk += held
                overflown += over
                await plain(app, known, question, shares)
            print(f"  {conversation.name}: done", flush=True)
    return shares, shrunk, overflown


async def ours(
    app: App, known: Remembered, question: Question, shares: Shares
) -> tuple[int, int]:
    """Build contexts at every budget; tell how many shrank and how many overflew."""
    before: frozenset[str] = frozenset()
    shrunk = overflown = 0
    for budget in BUDGETS:
        request = ContextRequest(
            question.text, None, MODEL, budget, strategy=ContextStrategy.RECALL
        )
        built = await app.use_cases.build_context(known.namespace, request, CALL)
        held = frozenset(known.key_of[one.id] for one in built.included)
        found = held & question.evidence
        shrunk += not before <= found
        overflown += built.total_tokens > budget
        before = found
        key = (known.conversation.source, "cortex", budget)
        shares[key].append(len(found) / len(question.evidence))
    return shrunk, overflown


async def plain(
    app: App, known: Remembered, question: Question, shares: Shares
) -> None:
    """Take whole hits in order until one does not fit."""
    count = Counters(SystemClock()).for_model(MODEL).count
    query = Query(question.text, HITS)
    answer = await app.use_cases.search(known.namespace, query, CALL)
    costs = [
        (known.key_of[h.memory.id], count(f"{h.memory.author}: {h.memory.content}\n"))
        for h in answer.hits
    ]
    for budget in BUDGETS:
        left, held = budget, set()
        for key, cost in costs:
            if cost > left:
                break
            left -= cost
            held.add(key)
        found = held & question.evidence
        place = (known.conversation.source, "plain", budget)
        shares[place].append(len(found) / len(question.evidence))


def main() -> bool:
    """Measure, print and keep."""
    conversations = load_or_explain(data_folder())
    if not conversations:
        return False
    shares, shrunk, overflown = asyncio.run(measure(conversations))
    for (source, way, budget), values in sorted(shares.items()):
        print(f"{source:7} {way:7} {budget:5} {100 * mean(values):5.1f} %")
    claims = [
        Claim(
            f"{source}_evidence_in_{CLAIMED}_tokens",
            100 * mean(shares[source, "cortex", CLAIMED]),
            "%",
            goal,
            baseline=100 * mean(shares[source, "plain", CLAIMED]),
            baseline_name="whole hits in order",
        )
        for source, goal in (("locomo", 90.0), ("beam", 60.0))
        if (source, "cortex", CLAIMED) in shares
    ]
    claims += [
        Claim("contexts_that_shrank", shrunk, "contexts", 0, at_most=True),
        Claim("contexts_over_budget", overflown, "contexts", 0, at_most=True),
    ]
    detail = {"/".join(map(str, k)): 100 * mean(v) for k, v in shares.items()}
    return report("memory-budget", claims, detail)


if __name__ == "__main__":
    raise SystemExit(0 if main() else 1)
