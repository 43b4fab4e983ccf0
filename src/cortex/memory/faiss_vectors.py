"""Vectors of one namespace by faiss: exact at first, quantised behind the scenes.

Up to `SMALL_ROWS_MAX` rows are kept as float32, and a query is compared with each.
More rows lie in segments of `SEGMENT_ROWS`, each an exact float16 scan. In a namespace
of more than one segment each full segment also gets a 4-bit product quantiser (PQ fast
scan: F. Andre et al., "Quicker ADC", TPAMI 2021), built off the query path; its
candidates are scored again exactly, from the float16 rows. A full segment never
changes, so nothing is ever rebuilt, and rows added since are scanned exactly.

A quantiser proves itself first: it is used only if sampled queries find what the exact
scan finds.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import faiss
import numpy as np
from numpy.typing import NDArray

from cortex.memory.vectors import (
    CHECK_NEIGHBOURS,
    CHECK_QUERIES,
    CHECK_RECALL_MIN,
    DENSE_MASK_SHARE,
    SAME_COSINE,
    AllCosines,
    Asked,
    Floats,
    Mask,
    Rows,
)

SMALL_ROWS_MAX: Final = 8_192
"""Rows kept as float32: 12 MB at 384 dimensions, compared in 0.15 ms."""

SEGMENT_ROWS: Final = 32_768
"""Rows in one segment: an exact scan of 384 dimensions takes 0.8 ms."""

TRAINING_ROWS: Final = 4_096
"""Rows a quantiser is trained on: more changed no recall and cost seconds."""

TRAINING_ROUNDS: Final = 10
"""Rounds of k-means for a quantiser; faiss's 25 change no recall here."""

RESCORED_DEPTHS: Final = (200, 400, 800)
"""Candidates of a quantiser that are scored exactly; the least that proves itself.

Texts do with the first; vectors of pure noise, the hardest there are, with the last.
"""

RESCORED_PER_WANTED: Final = 2
"""Candidates that are scored exactly for each row that is wanted, at least."""

_BITS_PER_CODE: Final = 4
_DIMENSIONS_PER_CODE: Final = 2


@dataclass(slots=True)
class _Segment:
    """Rows ``start`` to ``start + size``; ``codes`` is exact, ``quick`` is not.

    ``depth`` candidates of ``quick`` must be scored exactly.
    """

    start: int
    codes: Any
    quick: Any = None
    depth: int = 0
    tried: bool = field(default=False)

    @property
    def size(self) -> int:
        return int(self.codes.ntotal)

    @property
    def full(self) -> bool:
        return self.size >= SEGMENT_ROWS


class FaissVectors:
    """`VectorIndex` over faiss; exact in the values of float16."""

    __slots__ = ("_dimensions", "_segments", "_size", "_small")

    def __init__(self, dimensions: int) -> None:
        """Start empty."""
        self._dimensions = dimensions
        self._small: Floats | None = np.empty((0, dimensions), np.float32)
        self._segments: list[_Segment] = []
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
        """Return the size of the rows and of the quantised ones."""
        if self._small is not None:
            return int(self._small.nbytes)
        return self._size * self._dimensions * 2 + self.quantised_rows * (
            self._dimensions // 4
        )

    @property
    def quantised_rows(self) -> int:
        """Return how many rows are searched by quantiser."""
        return sum(segment.size for segment in self._segments if segment.quick)

    def add(self, vectors: Floats) -> None:
        """Append rows."""
        rows = np.ascontiguousarray(vectors, np.float32)
        if self._small is not None:
            if self._size + len(rows) <= SMALL_ROWS_MAX:
                self._add_small(rows)
                return
            rows = np.concatenate((self._small[: self._size], rows))
            self._small, self._size = None, 0
        at = 0
        while at < len(rows):
            if not self._segments or self._segments[-1].full:
                self._segments.append(_Segment(self._size, _exact(self._dimensions)))
            segment = self._segments[-1]
            part = rows[at : at + SEGMENT_ROWS - segment.size]
            segment.codes.add(part)
            at += len(part)
            self._size += len(part)

    def ask(self, query: Floats) -> Asked:
        """Put a query to the rows as they are now."""
        # OpenMP keeps its number of threads by calling thread; more than one would
        # spin against the server's own threads and cost milliseconds.
        faiss.omp_set_num_threads(1)
        question = np.ascontiguousarray(query, np.float32)
        if self._small is None:
            return _Scan(question, tuple(self._segments))
        cosines = np.empty(self._size, np.float32)
        faiss.fvec_inner_products_ny(  # type: ignore[attr-defined]
            faiss.swig_ptr(cosines),
            faiss.swig_ptr(question),
            faiss.swig_ptr(self._small),
            self._dimensions,
            self._size,
        )
        return AllCosines(cosines)

    def _add_small(self, rows: Floats) -> None:
        size = self._size + len(rows)
        if self._small is not None and size > len(self._small):
            room = min(SMALL_ROWS_MAX, max(size, len(self._small) * 5 // 4))
            grown = np.empty((room, self._dimensions), np.float32)
            grown[: self._size] = self._small[: self._size]
            self._small = grown
        if self._small is not None:
            # Through float16, as the store keeps them.
            self._small[self._size : size] = rows.astype(np.float16)
        self._size = size

    def take(self, rows: Rows) -> "FaissVectors":
        """Return an index of copies of given rows, in their order."""
        taken = FaissVectors(self._dimensions)
        taken.add(self.rows(rows))
        return taken

    def rows(self, rows: Rows) -> Floats:
        """Return copies of given rows, in their order."""
        if self._small is not None:
            found: Floats = self._small[rows]
            return found
        codes = _gathered(self._segments, rows, self._dimensions)
        return codes.astype(np.float32)

    def waiting(self) -> int:
        """Return how many full segments have no quantiser and were not tried."""
        if self._dimensions % _DIMENSIONS_PER_CODE or len(self._segments) < 2:  # noqa: PLR2004 - one segment is fast enough
            return 0
        return sum(one.full and not one.tried for one in self._segments)

    def build(self) -> None:
        """Give one full segment its quantiser, if that proves itself."""
        faiss.omp_set_num_threads(1)
        for segment in list(self._segments):
            if segment.full and not segment.tried:
                quick = _quantiser(segment, self._dimensions)
                segment.depth = _sufficient_depth(segment, quick)
                if segment.depth:
                    # Scores the candidates again where the rows lie: gathering them
                    # into an array first costs three times as much.
                    segment.quick = faiss.IndexRefine(quick, segment.codes)
                segment.tried = True
                return


class _Scan:
    """One query put to segments."""

    __slots__ = ("_question", "_segments")

    def __init__(self, question: Floats, segments: tuple[_Segment, ...]) -> None:
        self._question = question[None]
        self._segments = segments

    def nearest(self, count: int, allowed: Mask | None = None) -> tuple[Rows, Floats]:
        found: list[tuple[Rows, Floats]] = []
        for segment in self._segments:
            mask, share = None, 1.0
            if allowed is not None:
                mask = allowed[segment.start : segment.start + segment.size]
                share = np.count_nonzero(mask) / segment.size
            if segment.quick is None or share < DENSE_MASK_SHARE:
                if share:
                    found.append(_scan(segment, self._question, count, mask))
            elif mask is None:
                found.append(_quick_scan(segment, self._question, count))
            else:
                wanted = int(count / share)
                found.append(_quick_sieve(segment, self._question, wanted, mask))
        return _merged(found, count)

    def cosines(self, rows: Rows) -> Floats:
        if not len(rows):
            return np.empty(0, np.float32)
        dimensions = self._question.shape[1]
        codes = _gathered(self._segments, rows, dimensions)
        # A small index of the gathered codes: numpy has no fast float16 arithmetic.
        gathered = _exact(dimensions)
        gathered.add_sa_codes(codes.view(np.uint8))
        scores, order = gathered.search(self._question, len(rows))
        answer = np.empty(len(rows), np.float32)
        answer[order[0]] = scores[0]
        return answer


def _exact(dimensions: int) -> Any:
    kind = faiss.ScalarQuantizer.QT_fp16
    index = faiss.IndexScalarQuantizer(dimensions, kind, faiss.METRIC_INNER_PRODUCT)
    index.train(np.zeros((1, dimensions), np.float32))
    return index


def _scan(
    segment: _Segment, question: Floats, count: int, mask: Mask | None
) -> tuple[Rows, Floats]:
    """Search one segment exactly, among the rows of the mask only."""
    parameters = None
    if mask is not None:
        bits = np.packbits(mask, bitorder="little")
        # faiss declares the C++ constructors; its Python ones take arrays and names.
        selector = faiss.IDSelectorBitmap(bits)  # type: ignore[call-arg,arg-type]
        parameters = faiss.SearchParameters(sel=selector)  # type: ignore[call-arg]
    wanted = min(count, segment.size)
    scores, rows = segment.codes.search(question, wanted, params=parameters)
    return _real(segment, scores, rows)


def _quick_scan(segment: _Segment, question: Floats, count: int) -> tuple[Rows, Floats]:
    """Search one segment by its quantiser; the scores are exact."""
    wanted = min(count, segment.size)
    rescored = max(segment.depth, RESCORED_PER_WANTED * wanted)
    parameters = faiss.IndexRefineSearchParameters(k_factor=rescored / wanted)  # type: ignore[call-arg]
    scores, rows = segment.quick.search(question, wanted, params=parameters)
    return _real(segment, scores, rows)


def _quick_sieve(
    segment: _Segment, question: Floats, wanted: int, mask: Mask
) -> tuple[Rows, Floats]:
    """Do the same among the rows of the mask: most of them, so sieving after will do.

    The quantiser knows no masks; enough is rescored that the rest is what was wanted.
    """
    rescored = max(segment.depth, RESCORED_PER_WANTED * wanted)
    found = min(rescored, segment.size)
    scores, rows = segment.quick.search(question, found)
    kept = (rows >= 0) & mask[rows]
    return _real(segment, scores[kept][None], rows[kept][None])


def _real(segment: _Segment, scores: Floats, rows: Rows) -> tuple[Rows, Floats]:
    """Return what was found in one segment by its rows in the whole; -1 is nothing."""
    kept = rows[0] >= 0
    return rows[0][kept] + segment.start, scores[0][kept]


def _merged(parts: list[tuple[Rows, Floats]], count: int) -> tuple[Rows, Floats]:
    """Return the best of several results, best first."""
    if not parts:
        return np.empty(0, np.intp), np.empty(0, np.float32)
    rows = np.concatenate([rows for rows, _ in parts])
    scores = np.concatenate([scores for _, scores in parts])
    order = np.argsort(-scores, kind="stable")[:count]
    return rows[order], scores[order]


def _gathered(
    segments: Sequence[_Segment], rows: Rows, dimensions: int
) -> NDArray[np.float16]:
    """Return copies of rows as they are kept."""
    codes = np.empty((len(rows), dimensions), np.float16)
    places = rows // SEGMENT_ROWS
    for number, segment in enumerate(segments):
        mine = np.flatnonzero(places == number)
        if len(mine):
            codes[mine] = _float16_rows(segment.codes)[rows[mine] - segment.start]
    return codes


def _float16_rows(codes: Any) -> NDArray[np.float16]:
    """Return a view of the rows, valid until the next addition."""
    size = int(codes.ntotal) * int(codes.d) * 2
    flat = faiss.rev_swig_ptr(codes.codes.data(), size)
    return flat.view(np.float16).reshape(-1, int(codes.d))


def _quantiser(segment: _Segment, dimensions: int) -> Any:
    codes = dimensions // _DIMENSIONS_PER_CODE
    quick = faiss.IndexPQFastScan(
        dimensions, codes, _BITS_PER_CODE, faiss.METRIC_INNER_PRODUCT
    )
    quick.pq.cp.niter = TRAINING_ROUNDS
    stride = max(1, segment.size // TRAINING_ROWS)
    keys = np.arange(0, segment.size, stride, dtype=np.int64)
    quick.train(segment.codes.reconstruct_batch(keys))
    for start in range(0, segment.size, TRAINING_ROWS):
        part = min(TRAINING_ROWS, segment.size - start)
        quick.add(segment.codes.reconstruct_n(start, part))
    return quick


def _sufficient_depth(segment: _Segment, quick: Any) -> int:
    """Return how many candidates find the exact neighbours of sampled rows; 0: none do.

    Judged by cosine and not by row: of equal texts any is as good as another.
    """
    stride = max(1, segment.size // CHECK_QUERIES)
    keys = np.arange(0, segment.size, stride, dtype=np.int64)
    queries = segment.codes.reconstruct_batch(keys)
    exact, _ = segment.codes.search(queries, CHECK_NEIGHBOURS)
    _, candidates = quick.search(queries, RESCORED_DEPTHS[-1])
    hits = dict.fromkeys(RESCORED_DEPTHS, 0)
    for query, wanted, rows in zip(queries, exact, candidates, strict=True):
        scores = segment.codes.reconstruct_batch(rows[rows >= 0]) @ query
        for depth in RESCORED_DEPTHS:
            found = np.sort(scores[:depth])[::-1][:CHECK_NEIGHBOURS]
            hits[depth] += int(np.count_nonzero(found >= wanted - SAME_COSINE))
    enough = CHECK_RECALL_MIN * exact.size
    return next((depth for depth in RESCORED_DEPTHS if hits[depth] >= enough), 0)
