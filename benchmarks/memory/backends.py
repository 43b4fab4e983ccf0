"""What does each vector backend cost, find and keep at 10 000 vectors?

CPU milliseconds of one search and recall of the exact first ten, beside numpy's product
over all. Where ``chromadb`` is installed its PersistentClient is measured too, with
what its files still hold of forgotten vectors: the reason why it is refused here.

Run: python -m benchmarks.memory.backends
"""

import importlib.util
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.claims import Claim, report
from cortex.memory.faiss_vectors import FaissVectors
from cortex.memory.usearch_vectors import UsearchVectors
from cortex.memory.vectors import Floats, PlainVectors, VectorIndex

ROWS, DIMENSIONS, QUERIES, NEAREST = 10_000, 384, 200, 10
FORGOTTEN = (7, ROWS // 2, ROWS - 1)
CHROMA_BATCH = 2_000
GOAL_TIMES = 2
"""A backend that is slower than this many products by numpy is not worth a choice."""

Find = Callable[[Floats], list[int]]


def clustered(seed: int = 1) -> tuple[Floats, Floats]:
    """Return rows in 200 clusters, as texts lie, and queries near some of them."""
    random = np.random.default_rng(seed)
    centres = random.standard_normal((200, DIMENSIONS), dtype=np.float32)
    noise = random.standard_normal((ROWS + QUERIES, DIMENSIONS), dtype=np.float32)
    rows = centres[np.arange(ROWS) % 200] + noise[:ROWS]
    near = rows[random.integers(0, ROWS, QUERIES)] + noise[ROWS:] / 2
    return _unit(rows).astype(np.float16).astype(np.float32), _unit(near)


def _unit(rows: Floats) -> Floats:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def measured(find: Find, rows: Floats, queries: Floats) -> tuple[float, float]:
    """Return the median of the CPU milliseconds, and the recall."""
    spent, hits = [], 0
    for query in queries:
        started = time.process_time()
        found = find(query)
        spent.append(1000 * (time.process_time() - started))
        hits += len(set(found) & set(np.argsort(-(rows @ query))[:NEAREST].tolist()))
    return statistics.median(spent), hits / (NEAREST * len(queries))


def ours(make: Callable[[int], VectorIndex], rows: Floats) -> Find:
    index = make(DIMENSIONS)
    index.add(rows)
    while index.waiting():
        index.build()
    return lambda query: index.ask(query).nearest(NEAREST)[0].tolist()


def graph(dimensions: int) -> UsearchVectors:
    """Return USearch with a graph at this size, too."""
    return UsearchVectors(dimensions, graph_rows_min=ROWS // 2)


def chroma(rows: Floats, queries: Floats, folder: Path) -> dict[str, object]:
    """Return what Chroma's own folder costs, finds, and keeps of the forgotten."""
    import chromadb  # noqa: PLC0415 - measured only where it is installed

    quiet = chromadb.config.Settings(anonymized_telemetry=False)
    client = chromadb.PersistentClient(str(folder), settings=quiet)
    space = {"hnsw": {"space": "ip", "ef_search": 200, "ef_construction": 200}}
    shard = client.create_collection(
        "shard", configuration=space, embedding_function=None
    )
    for at in range(0, len(rows), CHROMA_BATCH):
        names = [str(n) for n in range(at, at + CHROMA_BATCH)]
        shard.add(ids=names, embeddings=rows[at : at + CHROMA_BATCH])

    def find(query: Floats) -> list[int]:
        answer = shard.query(query_embeddings=query[None], n_results=NEAREST)
        return [int(name) for name in answer["ids"][0]]

    took, recall = measured(find, rows, queries)
    kept = {"before": held(rows, folder)}
    shard.delete(ids=[str(row) for row in FORGOTTEN])
    kept["after delete"] = held(rows, folder)
    vacuum(folder)
    kept["after VACUUM"] = held(rows, folder)
    client.delete_collection("shard")
    vacuum(folder)
    kept["after delete_collection and VACUUM"] = held(rows, folder)
    return {"ms": took, "recall": recall, "forgotten vectors in files": kept}


def held(rows: Floats, folder: Path) -> int:
    """Return how many of the forgotten vectors any file holds."""
    files = [one.read_bytes() for one in folder.rglob("*") if one.is_file()]
    return sum(any(rows[n].tobytes() in one for one in files) for n in FORGOTTEN)


def vacuum(folder: Path) -> None:
    database = sqlite3.connect(folder / "chroma.sqlite3")
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.execute("VACUUM")
    database.close()


def main() -> bool:
    """Measure, print and keep."""
    rows, queries = clustered()
    plain, _ = measured(ours(PlainVectors, rows), rows, queries)
    claims, detail = [], {}
    for name, make in (
        ("faiss", FaissVectors),
        ("usearch", UsearchVectors),
        ("usearch_graph", graph),
    ):
        took, recall = measured(ours(make, rows), rows, queries)
        claims += [
            Claim(
                f"{name}_search_of_{ROWS}_cpu",
                took,
                "ms",
                GOAL_TIMES * plain,
                at_most=True,
                baseline=plain,
                baseline_name="numpy",
            ),
            Claim(f"{name}_recall_at_{NEAREST}", recall, "", 0.999),
        ]
    if importlib.util.find_spec("chromadb"):
        with tempfile.TemporaryDirectory() as folder:
            detail["chroma"] = chroma(rows, queries, Path(folder))
        print(f"chroma: {detail['chroma']}")
    else:
        print("chroma: not installed (pip install chromadb, to see why it is refused)")
    return report("memory-backends", claims, detail)


if __name__ == "__main__":
    raise SystemExit(0 if main() else 1)
