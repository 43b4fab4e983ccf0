"""Does recall find the turns that answer a question?

One configuration for all sets. Beside it in the same run: BM25 alone (an FTS5 table a
conversation), our lexical and dense rankers alone, and each signal left out in turn.
Intervals are 95 %, by resampling whole conversations.

Run: python -m benchmarks.memory.quality --data FOLDER
"""

import asyncio
import re
import sqlite3
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.claims import Claim, report
from benchmarks.memory.datasets import Conversation, Question
from benchmarks.memory.measures import auroc, interval, mean, ndcg_at, recall_at
from benchmarks.memory.options import data_folder, load_or_explain
from benchmarks.memory.world import CALL, Remembered, remember, running
from cortex.app import App
from cortex.memory.model import Query, SearchMode
from cortex.memory.ranking import RankingConfig

K = 10
ANSWERABLE = frozenset({"1", "2", "3", "4"})
MULTI_HOP = "1"

FULL = RankingConfig()
BARE = replace(
    FULL,
    author=0.0,
    time=0.0,
    importance=0.0,
    recency=0.0,
    lent_by_previous=0.0,
    lent_by_following=0.0,
    dense_lent=0.0,
)


@dataclass(frozen=True, slots=True)
class System:
    """A way to search: the product with a configuration and a mode."""

    name: str
    config: RankingConfig
    mode: SearchMode = SearchMode.HYBRID


SYSTEMS = (
    System("cortex", FULL),
    System("lexical alone", BARE, SearchMode.KEYWORD),
    System("dense alone", BARE, SearchMode.SEMANTIC),
    System("without lexical", replace(FULL, lexical=0.0)),
    System("without dense", replace(FULL, dense=0.0)),
    System(
        "without context",
        replace(FULL, lent_by_previous=0.0, lent_by_following=0.0, dense_lent=0.0),
    ),
    System("without author", replace(FULL, author=0.0)),
    System("without time", replace(FULL, time=0.0)),
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """One question answered by one system."""

    source: str
    conversation: str
    category: str
    recall: float
    ndcg: float


def asked(conversation: Conversation) -> list[Question]:
    """Return the questions that have evidence and can be answered."""
    return [
        q
        for q in conversation.questions
        if q.evidence and (conversation.source != "locomo" or q.category in ANSWERABLE)
    ]


async def found_by(
    app: App, known: Remembered, question: Question, mode: SearchMode
) -> tuple[list[str], float]:
    """Return the keys of the first hits, and the confidence of the answer."""
    query = Query(question.text, K, mode)
    answer = await app.use_cases.search(known.namespace, query, CALL)
    return [known.key_of[hit.memory.id] for hit in answer.hits], answer.confidence


async def outcomes(
    app: App, memories: Sequence[Remembered], system: System
) -> list[Outcome]:
    """Ask every question of its own conversation."""
    answered = []
    for known in memories:
        conversation = known.conversation
        for question in asked(conversation):
            found, _ = await found_by(app, known, question, system.mode)
            answered.append(_outcome(conversation, question, found))
    return answered


def fts5_outcomes(memories: Sequence[Remembered]) -> list[Outcome]:
    """Answer with SQLite's own BM25 over an FTS5 table a conversation."""
    answered = []
    for known in memories:
        conversation = known.conversation
        table = sqlite3.connect(":memory:")
        table.execute("CREATE VIRTUAL TABLE t USING fts5(x, tokenize='porter')")
        rows = [(f"{item.author}: {item.content}",) for item in conversation.items]
        table.executemany("INSERT INTO t(x) VALUES (?)", rows)
        for question in asked(conversation):
            words = re.findall(r"\w+", question.text)
            wanted = " OR ".join(f'"{word}"' for word in words)
            sql = "SELECT rowid FROM t WHERE t MATCH ? ORDER BY bm25(t) LIMIT ?"
            hits = table.execute(sql, (wanted, K)).fetchall()
            found = [conversation.keys[row[0] - 1] for row in hits]
            answered.append(_outcome(conversation, question, found))
        table.close()
    return answered


def _outcome(
    conversation: Conversation, question: Question, found: list[str]
) -> Outcome:
    return Outcome(
        conversation.source,
        conversation.name,
        question.category,
        recall_at(found, question.evidence, K),
        ndcg_at(found, question.evidence, K),
    )


async def floor(
    app: App, memories: Sequence[Remembered]
) -> tuple[list[float], list[float]]:
    """Return confidences of questions asked of the right and of wrong conversations."""
    right: list[float] = []
    wrong: list[float] = []
    for known in memories:
        for question in asked(known.conversation):
            for other in memories:
                if other.conversation.source != known.conversation.source:
                    continue
                _, sure = await found_by(app, other, question, SearchMode.HYBRID)
                (right if other is known else wrong).append(sure)
    return right, wrong


def figures(found: Sequence[Outcome]) -> dict[str, dict[str, object]]:
    """Return recall and nDCG a source, with intervals, and multi-hop recall."""
    table: dict[str, dict[str, object]] = {}
    for source in sorted({o.source for o in found}):
        mine = [o for o in found if o.source == source]
        names = sorted({o.conversation for o in mine})
        recalls = [[o.recall for o in mine if o.conversation == n] for n in names]
        gains = [[o.ndcg for o in mine if o.conversation == n] for n in names]
        table[source] = {
            "questions": len(mine),
            "recall": 100 * mean([o.recall for o in mine]),
            "recall_interval": [100 * v for v in interval(recalls)],
            "ndcg": 100 * mean([o.ndcg for o in mine]),
            "ndcg_interval": [100 * v for v in interval(gains)],
            "multi_hop": 100
            * mean([o.recall for o in mine if o.category == MULTI_HOP]),
        }
    return table


async def measure(conversations: Sequence[Conversation]) -> dict[str, object]:
    """Run every system over every conversation, in one home folder."""
    tables: dict[str, object] = {}
    with tempfile.TemporaryDirectory(prefix="cortex-quality-") as home:
        memories: list[Remembered] = []
        for system in SYSTEMS:
            async with running(home=Path(home), ranking=system.config) as app:
                if not memories:
                    memories = [await remember(app, c) for c in conversations]
                    right, wrong = await floor(app, memories)
                tables[system.name] = figures(await outcomes(app, memories, system))
            show(system.name, tables[system.name])
        tables["FTS5 BM25"] = figures(fts5_outcomes(memories))
        show("FTS5 BM25", tables["FTS5 BM25"])
    tables["floor"] = {"auroc": auroc(right, wrong), "right": right, "wrong": wrong}
    return tables


def show(name: str, table: object) -> None:
    """Print one system's figures."""
    for source, row in table.items():
        low, high = row["recall_interval"]
        hop = f"  multi-hop {row['multi_hop']:5.1f}" if source == "locomo" else ""
        print(
            f"{name:18} {source:7} R@10 {row['recall']:5.1f} [{low:.1f}, {high:.1f}]  "
            f"nDCG@10 {row['ndcg']:5.1f}{hop}",
            flush=True,
        )


def claims(tables: dict[str, object]) -> list[Claim]:
    """Return the claims that the tables support."""
    ours = tables["cortex"]
    rival = tables["FTS5 BM25"]
    name = "FTS5 BM25 alone"
    singles = [tables[n] for n in ("FTS5 BM25", "lexical alone", "dense alone")]
    made = []
    if "locomo" in ours:
        mine, theirs = ours["locomo"], rival["locomo"]
        for label, key, goal in (
            ("locomo_recall_at_10", "recall", 78.0),
            ("locomo_ndcg_at_10", "ndcg", 58.0),
            ("locomo_multi_hop_recall_at_10", "multi_hop", 48.0),
        ):
            made.append(
                Claim(
                    label,
                    mine[key],
                    "%",
                    goal,
                    baseline=theirs[key],
                    baseline_name=name,
                )
            )
    if "beam" in ours:
        best = max(single["beam"]["recall"] for single in singles)
        value = ours["beam"]["recall"]
        label = "the best single ranker"
        made += [
            Claim(
                "beam_recall_at_10",
                value,
                "%",
                62.0,
                baseline=best,
                baseline_name=label,
            ),
            Claim("beam_points_above_best_single", value - best, "points", 3.0),
        ]
    made.append(
        Claim(
            "relevance_floor_auroc",
            tables["floor"]["auroc"],
            "AUROC",
            0.80,
            baseline=0.5,
            baseline_name="chance",
            note="right against wrong conversation of the same set",
        )
    )
    return made


def main() -> bool:
    """Measure, print and keep."""
    conversations = load_or_explain(data_folder())
    if not conversations:
        return False
    tables = asyncio.run(measure(conversations))
    detail = {k: v for k, v in tables.items() if k != "floor"}
    return report("memory-quality", claims(tables), detail)


if __name__ == "__main__":
    raise SystemExit(0 if main() else 1)
