"""The inverted index: the same scores however it came to hold its documents."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cortex.memory.lexical import (
    CONTEXT_WORDS,
    COUNT_MAX,
    DOCUMENTS_MAX,
    LENGTH_NORMALISATION,
    RECENT_DOCUMENTS_MIN,
    TERM_FREQUENCY_SATURATION,
    LexicalIndex,
    decode_terms,
    encode_terms,
    strongest,
)

COUNTS = st.dictionaries(st.integers(0, 12), st.integers(1, 300), max_size=6)


def expected_score(documents: list[dict[int, int]], at: int, terms: list[int]) -> float:
    """BM25 written out, the slow way."""
    lengths = [sum(min(n, COUNT_MAX) for n in doc.values()) for doc in documents]
    live = sum(length > 0 for length in lengths)
    mean = sum(lengths) / max(live, 1) + CONTEXT_WORDS
    total = 0.0
    for term in terms:
        having = sum(term in doc for doc in documents)
        idf = math.log(1 + (live - having + 0.5) / (having + 0.5))
        count = min(documents[at].get(term, 0), COUNT_MAX)
        relative = (lengths[at] + CONTEXT_WORDS) / mean
        norm = 1 - LENGTH_NORMALISATION + LENGTH_NORMALISATION * relative
        saturation = TERM_FREQUENCY_SATURATION * norm
        total += idf * count * (TERM_FREQUENCY_SATURATION + 1) / (count + saturation)
    return total


@given(COUNTS)
def test_what_is_stored_is_read_back(counts: dict[int, int]) -> None:
    capped = {term: min(count, COUNT_MAX) for term, count in counts.items()}
    assert decode_terms(encode_terms(counts)) == capped


def test_equal_terms_are_equal_bytes() -> None:
    assert encode_terms({1: 2, 9: 1}) == encode_terms({9: 1, 1: 2})


def test_a_term_takes_five_bytes() -> None:
    assert len(encode_terms({1: 1, 0xFFFF_FFFF: 255})) == 10


def test_a_torn_blob_is_refused() -> None:
    with pytest.raises(ValueError, match="size"):
        decode_terms(b"1234")


@given(st.lists(COUNTS, min_size=1, max_size=20), st.lists(st.integers(0, 12)))
def test_scores_are_bm25(documents: list[dict[int, int]], terms: list[int]) -> None:
    terms = list(dict.fromkeys(terms))
    index = LexicalIndex.load([encode_terms(doc) for doc in documents])
    for at, score in enumerate(index.score(terms)):
        assert score == pytest.approx(
            expected_score(documents, at, terms), rel=1e-4, abs=1e-5
        )


@settings(deadline=None)
@given(
    st.lists(COUNTS, min_size=1, max_size=15),
    st.sets(st.integers(0, 14)),
    st.integers(0, 15),
)
def test_loaded_added_and_removed_come_to_the_same(
    documents: list[dict[int, int]], removed: set[int], loaded: int
) -> None:
    removed = {at for at in removed if at < len(documents)}
    index = LexicalIndex.load([encode_terms(doc) for doc in documents[:loaded]])
    for at, counts in enumerate(documents[loaded:], start=loaded):
        assert index.add(counts) == at
    for at in removed:
        index.remove(at)
        index.remove(at)
    kept = [doc for at, doc in enumerate(documents) if at not in removed]
    fresh = LexicalIndex.load([encode_terms(doc) for doc in kept])
    terms = list(range(13))
    scores = index.score(terms)
    assert not scores[sorted(removed)].any()
    left = np.delete(scores, sorted(removed))
    np.testing.assert_allclose(left, fresh.score(terms), rtol=1e-4, atol=1e-6)
    assert index.live_documents == sum(bool(doc) for doc in kept)


def test_the_recent_part_is_folded_into_the_base() -> None:
    index = LexicalIndex()
    counts = [{at % 7: 1, 100 + at % 3: 2} for at in range(3 * RECENT_DOCUMENTS_MIN)]
    for at, one in enumerate(counts):
        index.add(one)
        if at % 5 == 0:
            index.remove(at)
    gone = {at for at in range(len(counts)) if at % 5 == 0}
    fresh = LexicalIndex.load(
        [b"" if at in gone else encode_terms(one) for at, one in enumerate(counts)]
    )
    scores = index.score([3, 101])
    assert len(index) == len(counts)
    assert not scores[sorted(gone)].any()
    np.testing.assert_allclose(scores, fresh.score([3, 101]), rtol=1e-5)


def test_a_term_that_nobody_used_scores_nothing_and_weighs_most() -> None:
    index = LexicalIndex.load([encode_terms({1: 1}), encode_terms({1: 1, 2: 1})])
    match = index.match([1, 2, 3])
    common, rare, unknown = (w.inverse_document_frequency for w in match.weights)
    assert common < rare < unknown
    assert match.matrix(np.array([0, 1]))[2].tolist() == [0, 0]


def test_the_matrix_splits_the_score_by_term() -> None:
    index = LexicalIndex.load([encode_terms({n: 1, 5: n + 1}) for n in range(5)])
    match = index.match([5, 2, 99])
    asked = np.array([4, 2, 0])
    np.testing.assert_allclose(match.matrix(asked).sum(axis=0), match.totals[asked])


def test_no_score_passes_the_possible_one() -> None:
    index = LexicalIndex.load([encode_terms({1: 200, 2: 200}), encode_terms({3: 1})])
    match = index.match([1, 2])
    assert 0 < match.totals.max() < match.possible


def test_an_empty_index_answers() -> None:
    match = LexicalIndex().match([1])
    assert len(match.totals) == 0
    assert list(match.top(3)) == []
    assert match.mean == 0


def test_a_number_never_given_out_is_refused() -> None:
    with pytest.raises(ValueError, match="document 0"):
        LexicalIndex().remove(0)


def test_a_posting_has_room_for_every_document() -> None:
    assert (DOCUMENTS_MAX - 1) << 8 | COUNT_MAX == 0xFFFF_FFFF


def test_bytes_for_a_hundred_thousand_documents() -> None:
    rng = np.random.default_rng(1)
    blobs = [
        encode_terms(dict.fromkeys(rng.integers(0, 30_000, 20).tolist(), 1))
        for _ in range(10_000)
    ]
    assert LexicalIndex.load(blobs).bytes_held * 10 < 40_000_000


@given(
    st.lists(st.floats(-1, 5, width=32) | st.just(float("nan")), max_size=300),
    st.integers(1, 40),
)
def test_strongest_is_a_stable_sort_of_what_is_above_zero(
    scores: list[float], count: int
) -> None:
    expected = sorted(
        (at for at, score in enumerate(scores) if score > 0),
        key=lambda at: -scores[at],
    )
    found = strongest(np.array(scores, np.float32), count)
    assert found.tolist() == expected[:count]


def test_strongest_of_very_many() -> None:
    scores = np.random.default_rng(2).random(50_000).astype(np.float32)
    scores[::2] = 0
    expected = np.argsort(-scores, kind="stable")[:100]
    assert strongest(scores, 100).tolist() == expected.tolist()


def test_strongest_when_most_are_equal() -> None:
    assert strongest(np.ones(5_000, np.float32), 3).tolist() == [0, 1, 2]
