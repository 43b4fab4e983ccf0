"""Every vector index finds what the plain one finds."""

from collections.abc import Callable

import numpy as np
import pytest

from cortex.memory import usearch_vectors
from cortex.memory.faiss_vectors import SEGMENT_ROWS, SMALL_ROWS_MAX, FaissVectors
from cortex.memory.usearch_vectors import UsearchVectors
from cortex.memory.vectors import Floats, PlainVectors, VectorIndex

DIMENSIONS = 64
MAKERS: list[Callable[[int], VectorIndex]] = [
    PlainVectors,
    FaissVectors,
    UsearchVectors,
]


def unit_rows(count: int, seed: int, dimensions: int = DIMENSIONS) -> Floats:
    random = np.random.default_rng(seed)
    rows = random.standard_normal((count, dimensions), dtype=np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.fixture(params=MAKERS)
def make(request: pytest.FixtureRequest) -> Callable[[int], VectorIndex]:
    maker: Callable[[int], VectorIndex] = request.param
    return maker


def test_an_empty_index(make: Callable[[int], VectorIndex]) -> None:
    index = make(DIMENSIONS)
    asked = index.ask(unit_rows(1, 0)[0])
    rows, cosines = asked.nearest(5)
    assert len(rows) == len(cosines) == len(index) == 0
    assert not len(asked.cosines(np.empty(0, np.intp)))
    assert not index.waiting()
    index.build()


@pytest.mark.parametrize("count", [1, 300, 3_000, SMALL_ROWS_MAX + 5])
def test_exact_neighbours(make: Callable[[int], VectorIndex], count: int) -> None:
    data = unit_rows(count, 1)
    index = make(DIMENSIONS)
    for start in range(0, count, 700):
        index.add(data[start : start + 700])
    query = unit_rows(1, 2)[0]
    truth = data.astype(np.float16).astype(np.float32) @ query
    rows, cosines = index.ask(query).nearest(20)
    assert len(index) == count
    assert index.dimensions == DIMENSIONS
    assert index.bytes_held > 0
    assert rows.tolist() == np.argsort(-truth, kind="stable")[:20].tolist()
    np.testing.assert_allclose(cosines, truth[rows], atol=1e-5)
    some = np.arange(count - 1, -1, -max(1, count // 50))
    np.testing.assert_allclose(index.ask(query).cosines(some), truth[some], atol=1e-5)


@pytest.mark.parametrize("count", [300, SMALL_ROWS_MAX + 5])
@pytest.mark.parametrize("share", [0.0, 0.01, 0.4, 0.9, 1.0])
def test_only_allowed_rows(
    make: Callable[[int], VectorIndex], count: int, share: float
) -> None:
    data = unit_rows(count, 3)
    index = make(DIMENSIONS)
    index.add(data)
    allowed = np.random.default_rng(4).random(count) < share
    query = unit_rows(1, 5)[0]
    rows, _ = index.ask(query).nearest(10, allowed)
    truth = data.astype(np.float16).astype(np.float32) @ query
    wanted = np.flatnonzero(allowed)
    wanted = wanted[np.argsort(-truth[wanted], kind="stable")][:10]
    assert rows.tolist() == wanted.tolist()


def test_a_quantised_index_finds_the_same() -> None:
    count = 2 * SEGMENT_ROWS + 500
    data = unit_rows(count, 6, 128)
    # Texts come in clusters; pure noise has no neighbours worth the name.
    data = data + 2 * unit_rows(400, 7, 128)[np.arange(count) % 400]
    data /= np.linalg.norm(data, axis=1, keepdims=True)
    index = FaissVectors(128)
    index.add(data)
    queries = data[:: count // 40] + 0.3 * unit_rows(count, 8, 128)[:: count // 40]
    exact = [index.ask(query).nearest(100) for query in queries]
    assert index.waiting() == 2
    while index.waiting():
        index.build()
    assert index.quantised_rows == 2 * SEGMENT_ROWS
    found = 0
    for query, (_, cosines) in zip(queries, exact, strict=True):
        _, quick = index.ask(query).nearest(100)
        found += int(np.count_nonzero(quick[:10] >= cosines[:10] - 1e-6))
    assert found / (10 * len(queries)) >= 0.999
    allowed = np.arange(count) % 4 != 0
    rows, _ = index.ask(queries[0]).nearest(50, allowed)
    assert len(rows) == 50
    assert allowed[rows].all()


def test_a_graph_finds_the_same_and_rows_added_since() -> None:
    count, start = 3_000, 2_600
    data = unit_rows(count, 11)
    # Noise has no neighbours worth the name, as above.
    data = data + 2 * unit_rows(40, 12)[np.arange(count) % 40]
    data /= np.linalg.norm(data, axis=1, keepdims=True)
    index = UsearchVectors(DIMENSIONS, graph_rows_min=2_500)
    plain = PlainVectors(DIMENSIONS)
    index.add(data[:start])
    assert index.waiting() == 1
    index.build()
    assert index.graph_rows == start
    index.add(data[start:])
    assert not index.waiting()
    plain.add(data)
    mostly = np.arange(count) % 4 != 0
    found = 0
    for query in data[::60]:
        for allowed in (None, mostly):
            _, wanted = plain.ask(query).nearest(20, allowed)
            rows, cosines = index.ask(query).nearest(20, allowed)
            found += int(np.count_nonzero(cosines >= wanted - 1e-5))
            assert allowed is None or allowed[rows].all()
    assert found / (50 * 2 * 20) >= 0.999


def test_a_graph_that_fails_its_proof_is_not_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = unit_rows(600, 13)
    monkeypatch.setattr(usearch_vectors, "CHECK_RECALL_MIN", 1.1)
    index = UsearchVectors(DIMENSIONS, graph_rows_min=len(data))
    index.add(data)
    index.build()
    assert not index.waiting()
    assert not index.graph_rows
    rows, _ = index.ask(data[7]).nearest(3)
    assert rows[0] == 7


@pytest.mark.parametrize("count", [300, SMALL_ROWS_MAX + 5])
def test_copies_of_rows(make: Callable[[int], VectorIndex], count: int) -> None:
    data = unit_rows(count, 9)
    index = make(DIMENSIONS)
    index.add(data)
    rows = np.array([5, 0, count - 1])
    query = unit_rows(1, 10)[0]
    taken = index.take(rows)
    assert len(taken) == 3
    np.testing.assert_allclose(
        taken.ask(query).cosines(np.arange(3)),
        index.ask(query).cosines(rows),
        atol=1e-6,
    )
    np.testing.assert_array_equal(
        index.rows(rows), data[rows].astype(np.float16).astype(np.float32)
    )
