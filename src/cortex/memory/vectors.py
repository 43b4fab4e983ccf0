"""Vectors of one namespace in memory: what a backend must offer, and the plain one.

Rows are numbered 0, 1, 2 … as they are added and are never taken out: who removes a
memory stops asking for its rows. Vectors are unit vectors, so that the inner product
is the cosine.
"""

from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Rows = NDArray[np.intp]
Mask = NDArray[np.bool_]

BLOCK_ROWS: Final = 1_024
"""Rows in one block of `PlainVectors`: 1.5 MB at 384 dimensions."""

CHECK_QUERIES: Final = 64
"""Rows that a quicker way to search must find the neighbours of before it is used."""

CHECK_NEIGHBOURS: Final = 10
"""Neighbours asked for in that check."""

CHECK_RECALL_MIN: Final = 0.999
"""Share of the exact neighbours that it must find."""

SAME_COSINE: Final = 1e-5
"""Difference of two cosines that is rounding alone."""

DENSE_MASK_SHARE: Final = 0.5
"""Share of allowed rows below which the exact scan of those is the faster way."""


class Asked(Protocol):
    """One query put to an index; good until the index changes."""

    def nearest(self, count: int, allowed: Mask | None = None) -> tuple[Rows, Floats]:
        """Return up to ``count`` rows with their cosines, best first.

        ``allowed`` has one entry a row; others are not returned. At least 0.999 of
        what an exact search returns is returned.
        """
        ...

    def cosines(self, rows: Rows) -> Floats:
        """Return the exact cosines of given rows, in their order."""
        ...


class VectorIndex(Protocol):
    """Finds the nearest rows; not thread-safe, except for `build`."""

    def __len__(self) -> int:
        """Return how many rows there are."""
        ...

    @property
    def dimensions(self) -> int:
        """Return the length of a vector."""
        ...

    @property
    def bytes_held(self) -> int:
        """Return about how much memory the rows take."""
        ...

    def add(self, vectors: Floats) -> None:
        """Append rows, shape (rows, dimensions)."""
        ...

    def ask(self, query: Floats) -> Asked:
        """Put a query of `dimensions` numbers."""
        ...

    def take(self, rows: Rows) -> "VectorIndex":
        """Return an index of copies of given rows, in their order."""
        ...

    def rows(self, rows: Rows) -> Floats:
        """Return copies of given rows, in their order."""
        ...

    def waiting(self) -> int:
        """Return how many builds would make the index faster."""
        ...

    def build(self) -> None:
        """Do one of them; slow, may run on another thread beside all other calls."""
        ...


class AllCosines:
    """`Asked` where the cosine of every row is known."""

    __slots__ = ("_cosines",)

    def __init__(self, cosines: Floats) -> None:
        """Take one cosine a row."""
        self._cosines = cosines

    def nearest(self, count: int, allowed: Mask | None = None) -> tuple[Rows, Floats]:
        """Return up to ``count`` rows with their cosines, best first."""
        scores = self._cosines
        rows = None if allowed is None else np.flatnonzero(allowed)
        if rows is not None:
            scores = scores[rows]
        if count < len(scores):
            near = np.argpartition(-scores, count)[:count]
            near.sort()
        else:
            near = np.arange(len(scores))
        best = near[np.argsort(-scores[near], kind="stable")]
        return (best if rows is None else rows[best]), scores[best]

    def cosines(self, rows: Rows) -> Floats:
        """Return the exact cosines of given rows."""
        return self._cosines[rows]


class PlainVectors:
    """Exact search with numpy alone: the reference, and enough for small shards."""

    __slots__ = ("_blocks", "_dimensions", "_size")

    def __init__(self, dimensions: int) -> None:
        """Start empty."""
        self._dimensions = dimensions
        self._blocks: list[Floats] = []
        self._size = 0

    def __len__(self) -> int:
        """Return how many rows there are."""
        return self._size

    @property
    def dimensions(self) -> int:
        """Return the length of a vector."""
        return self._dimensions

    @property
    def bytes_held(self) -> int:
        """Return the size of the blocks."""
        return sum(block.nbytes for block in self._blocks)

    def add(self, vectors: Floats) -> None:
        """Append rows."""
        for vector in vectors:
            block, row = divmod(self._size, BLOCK_ROWS)
            if block == len(self._blocks):
                shape = (BLOCK_ROWS, self._dimensions)
                self._blocks.append(np.zeros(shape, np.float32))
            # Through float16, as the store keeps it: both backends then agree.
            self._blocks[block][row] = vector.astype(np.float16)
            self._size += 1

    def ask(self, query: Floats) -> AllCosines:
        """Compare the query with every row."""
        parts = [block @ query for block in self._blocks]
        scores = np.concatenate(parts) if parts else np.empty(0, np.float32)
        return AllCosines(scores[: self._size])

    def take(self, rows: Rows) -> "PlainVectors":
        """Return an index of copies of given rows, in their order."""
        taken = PlainVectors(self._dimensions)
        taken.add(self.rows(rows))
        return taken

    def rows(self, rows: Rows) -> Floats:
        """Return copies of given rows, in their order."""
        found = np.empty((len(rows), self._dimensions), np.float32)
        for place, row in enumerate(rows):
            block, at = divmod(int(row), BLOCK_ROWS)
            found[place] = self._blocks[block][at]
        return found

    def waiting(self) -> int:
        """Return 0: there is nothing to build."""
        return 0

    def build(self) -> None:
        """Do nothing."""
