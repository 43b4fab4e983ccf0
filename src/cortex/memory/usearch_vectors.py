"""Vectors of one namespace by USearch: exact scans, and a graph where there are many.

Rows are float16 in one array. Up to `GRAPH_ROWS_MIN` of them are compared one by one by
USearch's kernels. More get a graph (HNSW: Y. Malkov and D. Yashunin, "Efficient and
robust approximate nearest neighbor search", TPAMI 2020), built off the query path; rows
added since are scanned. Whatever is found is scored again in float32.

A graph proves itself first: it is used only if sampled queries find what the exact
scan finds. It is never written to a file: USearch only marks what is removed, so a file
would go on holding what was forgotten, and a shard is loaded from the store anyway.
"""

import contextlib
import ctypes
import sys
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

if sys.platform == "linux":
    # USearch's wheel carries a C++ library of its own and exports its symbols: whoever
    # loads the system's after it, as ONNX Runtime does, gets a mixture of the two and
    # dies of a segmentation fault. With the system's loaded first all agree on that.
    with contextlib.suppress(OSError):
        ctypes.CDLL("libstdc++.so.6", mode=ctypes.RTLD_GLOBAL)

from usearch.compiled import MetricKind
from usearch.index import Index, search

from cortex.memory.vectors import (
    CHECK_NEIGHBOURS,
    CHECK_QUERIES,
    CHECK_RECALL_MIN,
    DENSE_MASK_SHARE,
    SAME_COSINE,
    Floats,
    Mask,
    Rows,
)

GRAPH_ROWS_MIN: Final = 32_768
"""Rows that are worth a graph: scanning fewer takes 3 ms at 384 dimensions."""

GROWTH_SHARE: Final = 8
"""A full array grows by one part in this many."""

GRAPH_GROWTH_SHARE: Final = 2
"""A graph is built anew when the rows added since are one part in this many of it."""

EXPANSIONS: Final = (256, 512, 1_024)
"""Rows that a search of the graph looks at; the least that proves itself."""

CONNECTIVITY: Final = 32
"""Neighbours of a row in the graph; USearch's 16 fails the proof on close texts."""

EXPANSION_PER_WANTED: Final = 8
"""Rows that a search of the graph looks at for each that is wanted, at least."""

SPARE: Final = 32
"""Candidates beyond twice the wanted ones: the kernels round the query to float16."""

Halves = NDArray[np.float16]


@dataclass(frozen=True, slots=True)
class _Graph:
    """A graph of the first ``rows`` rows; `expansion` 0 when it failed its proof."""

    index: Index
    rows: int
    expansion: int


class UsearchVectors:
    """`VectorIndex` over USearch; exact in the values of float16."""

    __slots__ = ("_dimensions", "_graph", "_graph_rows_min", "_rows", "_size")

    def __init__(self, dimensions: int, graph_rows_min: int = GRAPH_ROWS_MIN) -> None:
        """Start empty."""
        self._dimensions = dimensions
        self._graph_rows_min = graph_rows_min
        self._rows: Halves = np.empty((0, dimensions), np.float16)
        self._size = 0
        self._graph: _Graph | None = None

    def __len__(self) -> int:
        """Return how many rows there are."""
        return self._size

    @property
    def dimensions(self) -> int:
        """Return the length of a vector."""
        return self._dimensions

    @property
    def graph_rows(self) -> int:
        """Return how many rows are searched by graph."""
        return self._graph.rows if self._graph and self._graph.expansion else 0

    @property
    def bytes_held(self) -> int:
        """Return the size of the rows and of the graph."""
        graph = self._graph.index.memory_usage if self._graph else 0
        return int(self._rows.nbytes + graph)

    def add(self, vectors: Floats) -> None:
        """Append rows."""
        size = self._size + len(vectors)
        if size > len(self._rows):
            room = max(size, len(self._rows) + len(self._rows) // GROWTH_SHARE)
            grown = np.empty((room, self._dimensions), np.float16)
            grown[: self._size] = self._rows[: self._size]
            self._rows = grown
        self._rows[self._size : size] = vectors
        self._size = size

    def ask(self, query: Floats) -> "_Question":
        """Put a query to the rows as they are now."""
        question = np.ascontiguousarray(query, np.float32)
        return _Question(question, self._rows[: self._size], self._graph)

    def take(self, rows: Rows) -> "UsearchVectors":
        """Return an index of copies of given rows, in their order."""
        taken = UsearchVectors(self._dimensions, self._graph_rows_min)
        taken.add(self.rows(rows))
        return taken

    def rows(self, rows: Rows) -> Floats:
        """Return copies of given rows, in their order."""
        found: Floats = self._rows[rows].astype(np.float32)
        return found

    def waiting(self) -> int:
        """Return 1 when there are rows enough for a first graph, or for a new one."""
        built = self._graph.rows if self._graph else 0
        new = self._size - built
        enough = max(self._graph_rows_min, built // GRAPH_GROWTH_SHARE)
        return int(new >= enough)

    def build(self) -> None:
        """Build a graph of the rows there are, and use it if that proves itself."""
        if not self.waiting():
            return
        rows = self._rows[: self._size]
        index = Index(
            ndim=self._dimensions,
            metric=MetricKind.IP,
            dtype="f16",
            connectivity=CONNECTIVITY,
        )
        index.add(np.arange(len(rows)), rows, threads=1)
        expansion = _sufficient_expansion(index, rows)
        if not expansion:
            index.reset()  # type: ignore[no-untyped-call]
        self._graph = _Graph(index, len(rows), expansion)


class _Question:
    """One query put to the rows."""

    __slots__ = ("_graph", "_query", "_rows")

    def __init__(self, query: Floats, rows: Halves, graph: _Graph | None) -> None:
        self._query = query
        self._rows = rows
        self._graph = graph if graph and graph.expansion else None

    def nearest(self, count: int, allowed: Mask | None = None) -> tuple[Rows, Floats]:
        found = self._by_graph(count, allowed)
        if found is None:
            found = self._scanned(0, count, allowed)
        found.sort()
        scores = self.cosines(found)
        best = np.argsort(-scores, kind="stable")[:count]
        return found[best], scores[best]

    def cosines(self, rows: Rows) -> Floats:
        exact: Floats = self._rows[rows].astype(np.float32) @ self._query
        return exact

    def _by_graph(self, count: int, allowed: Mask | None) -> Rows | None:
        """Return candidates by graph and of the rows added since; None: scan.

        The graph knows no masks: what it finds is sieved. Too few left over means that
        the mask leaves out just what is near.
        """
        graph = self._graph
        share = 1.0 if allowed is None else np.count_nonzero(allowed) / len(allowed)
        if graph is None or share < DENSE_MASK_SHARE:
            return None
        wanted = min(int(2 * count / share) + SPARE, graph.rows)
        depth = max(graph.expansion, EXPANSION_PER_WANTED * count)
        graph.index.expansion_search = depth  # type: ignore[misc]
        near = graph.index.search(self._query, wanted, threads=1).keys.astype(np.intp)
        if allowed is not None:
            near = near[allowed[near]]
        if len(near) < min(count, graph.rows):
            return None
        return np.concatenate((near, self._scanned(graph.rows, count, allowed)))

    def _scanned(self, start: int, count: int, allowed: Mask | None) -> Rows:
        """Return candidates among the rows from one on."""
        if allowed is None:
            return _scan(self._rows[start:], self._query, count) + start
        rows = np.flatnonzero(allowed[start:]) + start
        return rows[_scan(self._rows[rows], self._query, count)]


def _scan(rows: Halves, query: Floats, count: int) -> Rows:
    """Return the rows that can be among the nearest, in no order."""
    wanted = min(2 * count + SPARE, len(rows))
    if wanted == len(rows):
        return np.arange(len(rows))
    half = query.astype(np.float16)
    found = search(rows, half, wanted, MetricKind.IP, exact=True, threads=1)
    return found.keys.astype(np.intp)


def _sufficient_expansion(index: Index, rows: Halves) -> int:
    """Return the least expansion that finds sampled rows' neighbours; 0: none does.

    Judged by cosine and not by row: of equal texts any is as good as another.
    """
    hits = dict.fromkeys(EXPANSIONS, 0)
    wanted = min(CHECK_NEIGHBOURS, len(rows))
    sampled = rows[:: max(1, len(rows) // CHECK_QUERIES)]
    for row in sampled:
        query = row.astype(np.float32)
        _, exact = _Question(query, rows, None).nearest(wanted)
        for expansion in EXPANSIONS:
            graph = _Graph(index, len(rows), expansion)
            _, found = _Question(query, rows, graph).nearest(wanted)
            hits[expansion] += int(np.count_nonzero(found >= exact - SAME_COSINE))
    enough = CHECK_RECALL_MIN * wanted * len(sampled)
    return next((one for one in EXPANSIONS if hits[one] >= enough), 0)
