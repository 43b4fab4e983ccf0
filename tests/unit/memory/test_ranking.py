"""Ranking: what each signal does to the order, and when to say "nothing found"."""

from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cortex.memory.lexical import LexicalIndex, encode_terms
from cortex.memory.ranking import (
    CONFIDENCE_HYBRID,
    Columns,
    DenseBackground,
    QueryContext,
    Ranking,
    RankingConfig,
    Signals,
    document_cosines,
    expected_maximum,
    neighbour_links,
    rank,
    with_neighbours,
)
from cortex.memory.terms import TermAnalyser

NOW = 1_700_000_000.0
DAY = 86_400.0
UNKNOWN = float("nan")


@dataclass
class Shelf:
    """A small namespace: texts, and what is known of each."""

    texts: list[str]
    cosines: list[float] = field(default_factory=list)
    sessions: list[int] = field(default_factory=list)
    authors: list[int] = field(default_factory=list)
    occurred_at: list[float] = field(default_factory=list)
    importance: list[float] = field(default_factory=list)
    chunks: list[int] = field(default_factory=list)
    analyser: TermAnalyser = field(default_factory=TermAnalyser)

    def rank(
        self,
        query: str,
        context: QueryContext | None = None,
        *,
        top_k: int = 10,
        candidates: list[int] | None = None,
        config: RankingConfig | None = None,
    ) -> Ranking:
        count = len(self.texts)
        index = LexicalIndex.load(
            [encode_terms(self.analyser.counts(text)) for text in self.texts]
        )
        previous, following = neighbour_links(
            np.array(self.sessions or [-1] * count), np.arange(count)
        )
        columns = Columns(
            previous=previous,
            following=following,
            words=index.lengths(np.arange(count)),
            chunks=np.array(self.chunks or [1] * count, np.int32),
            authors=np.array(self.authors or [-1] * count, np.int32),
            occurred_at=np.array(self.occurred_at or [UNKNOWN] * count),
            importance=np.array(self.importance or [0.5] * count, np.float32),
        )
        places = (
            np.arange(count) if candidates is None else np.array(candidates, np.intp)
        )
        cosines = np.array(self.cosines or [UNKNOWN] * count, np.float32)[places]
        signals = Signals(
            index.match(self.analyser.query_terms(query)),
            cosines,
            DenseBackground.of(cosines[~np.isnan(cosines)]),
        )
        return rank(
            places,
            columns,
            context or QueryContext(now=NOW),
            signals,
            top_k=top_k,
            config=config or RankingConfig(),
        )


def order(ranking: Ranking) -> list[int]:
    return [hit.document for hit in ranking.hits]


def test_words_alone_rank() -> None:
    shelf = Shelf(["a red car", "the cat sleeps", "a blue house"])
    assert order(shelf.rank("cat"))[0] == 1


def test_meaning_alone_ranks() -> None:
    shelf = Shelf(["x", "y", "z"], cosines=[0.1, 0.2, 0.7])
    assert order(shelf.rank("nothing of this")) == [2, 1, 0]


def test_the_shares_add_up_to_the_score() -> None:
    shelf = Shelf(
        ["where is the cat", "in the garden", "a blue house"],
        cosines=[0.5, 0.3, 0.1],
        sessions=[0, 0, 0],
        authors=[0, 1, 0],
        occurred_at=[NOW, NOW - DAY, UNKNOWN],
        importance=[1.0, 0.0, 0.5],
    )
    found = shelf.rank("cat", QueryContext(NOW, frozenset({1}), NOW - DAY, NOW))
    for hit in found.hits:
        assert hit.score == pytest.approx(sum(hit.shares.as_mapping().values()))
    assert found.hits == tuple(sorted(found.hits, key=lambda hit: -hit.score))


def test_an_answer_is_found_by_its_question() -> None:
    shelf = Shelf(
        ["nice weather", "When is the wedding?", "In June!", "something else"],
        sessions=[0, 0, 0, 0],
    )
    found = shelf.rank("wedding")
    assert order(found)[:2] == [1, 2]
    assert found.hits[1].shares.lexical == 0
    assert found.hits[1].shares.context > 0


def test_the_question_lends_more_than_what_follows() -> None:
    shelf = Shelf(["before", "the wedding", "after"], sessions=[0, 0, 0])
    assert order(shelf.rank("wedding")) == [1, 2, 0]


def test_a_neighbour_of_another_session_lends_nothing() -> None:
    shelf = Shelf(["the wedding", "In June!"], sessions=[0, 1])
    assert shelf.rank("wedding").hits[1].shares.context == 0


def test_a_long_memory_leans_less_on_its_context() -> None:
    page = "word " * 500
    short = Shelf(["the wedding", "In June!"], sessions=[0, 0]).rank("wedding")
    long = Shelf(["the wedding", page], sessions=[0, 0]).rank("wedding")
    assert short.hits[1].shares.context > 5 * long.hits[1].shares.context


def test_a_neighbour_that_is_no_candidate_lends_nothing() -> None:
    shelf = Shelf(["the wedding", "In June!"], sessions=[0, 0])
    assert shelf.rank("wedding", candidates=[1]).hits[0].shares.context == 0


def test_many_chunks_are_no_advantage() -> None:
    shelf = Shelf(["x", "y"], cosines=[0.5, 0.5], chunks=[1, 20])
    assert order(shelf.rank("q")) == [0, 1]


def test_a_named_author_comes_first() -> None:
    shelf = Shelf(["tea", "tea"], authors=[0, 1])
    assert order(shelf.rank("tea", QueryContext(NOW, frozenset({1})))) == [1, 0]


def test_the_time_asked_for_comes_first() -> None:
    shelf = Shelf(["tea"] * 4, occurred_at=[NOW - 9 * DAY, NOW - DAY, NOW, UNKNOWN])
    asked = QueryContext(NOW, occurred_from=NOW - 2 * DAY, occurred_until=NOW - DAY / 2)
    found = shelf.rank("tea", asked)
    assert order(found)[:2] == [1, 2]
    told_later = found.hits[1].shares.time
    assert 0 < told_later < found.hits[0].shares.time
    assert [hit.shares.time for hit in found.hits[2:]] == [0, 0]


def test_importance_then_recency_break_ties() -> None:
    shelf = Shelf(
        ["tea"] * 3,
        occurred_at=[NOW - 90 * DAY, NOW, NOW - 90 * DAY],
        importance=[0.5, 0.5, 0.9],
    )
    assert order(shelf.rank("tea")) == [2, 1, 0]


def test_neutral_importance_and_unknown_time_count_nothing() -> None:
    hit = Shelf(["tea"]).rank("tea").hits[0]
    assert (hit.shares.importance, hit.shares.recency) == (0, 0)


def test_ties_are_in_order_of_arrival() -> None:
    assert order(Shelf(["tea"] * 5).rank("tea")) == [0, 1, 2, 3, 4]


def test_no_more_than_asked_for() -> None:
    assert len(Shelf(["tea"] * 5).rank("tea", top_k=2).hits) == 2


def test_confidence_does_not_depend_on_how_many_are_asked_for() -> None:
    shelf = Shelf(["tea", "tea and cake", "x"], cosines=[0.4, 0.5, 0.1])
    few, many = shelf.rank("tea cake", top_k=1), shelf.rank("tea cake", top_k=3)
    assert few.confidence == many.confidence


def test_what_was_never_stored_is_of_low_confidence() -> None:
    shelf = Shelf(["I like tea", "We went to Rome"], cosines=[0.05, 0.02])
    found = shelf.rank("Which compiler flags enable vectorisation?")
    assert found.low_confidence
    assert found.confidence < 0.1


def test_what_was_stored_is_of_high_confidence() -> None:
    shelf = Shelf(["I like green tea", "We went to Rome"], cosines=[0.7, 0.1])
    found = shelf.rank("Which tea do I like: green?")
    assert not found.low_confidence
    assert found.hits[0].confidence > 0.9 > found.hits[1].confidence


@pytest.mark.parametrize("cosines", [[], [0.6, 0.1]])
def test_confidence_needs_only_one_ranker(cosines: list[float]) -> None:
    shelf = Shelf(["green tea", "Rome"], cosines=cosines)
    query = "green tea" if not cosines else "???"
    assert not shelf.rank(query).low_confidence


def test_no_candidate_no_hit() -> None:
    found = Shelf(["tea"]).rank("tea", candidates=[])
    assert found == Ranking((), 0.0, low_confidence=True)


def test_a_memory_without_a_vector_is_ranked_by_its_words() -> None:
    shelf = Shelf(["tea", "coffee", "milk"], cosines=[UNKNOWN, 0.1, 0.1])
    assert order(shelf.rank("tea"))[0] == 0


def test_one_memory_alone_is_scored() -> None:
    found = Shelf(["my cat is called Tom"], cosines=[0.6]).rank("cat Tom")
    assert found.hits[0].shares.lexical == pytest.approx(1)
    assert found.hits[0].shares.dense > 1


@given(
    st.lists(st.sampled_from(["tea", "milk tea", "rain", "rain tea milk"]), min_size=2),
    st.sampled_from(["tea", "milk", "rain milk"]),
)
def test_more_candidates_never_change_a_share_that_needs_no_neighbour(
    texts: list[str], query: str
) -> None:
    shelf = Shelf(texts)
    every = {hit.document: hit for hit in shelf.rank(query, top_k=99).hits}
    best = max(every.values(), key=lambda hit: hit.score)
    some = shelf.rank(query, candidates=[best.document]).hits[0]
    assert some.shares == every[best.document].shares


@pytest.mark.parametrize(
    "wrong",
    [{"author": -0.1}, {"time": UNKNOWN}, {"recency_half_life_seconds": 0}],
)
def test_a_weight_that_turns_a_signal_round_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        replace(RankingConfig(), **wrong)


def test_programming_errors_are_refused() -> None:
    with pytest.raises(ValueError, match="top_k"):
        Shelf(["tea"]).rank("tea", top_k=0)


def test_links_follow_sessions_and_positions() -> None:
    previous, following = neighbour_links(
        np.array([1, 1, 0, -1, 1, -1]), np.array([0, 2, 0, 0, 1, 1])
    )
    assert previous.tolist() == [-1, 4, -1, -1, 0, -1]
    assert following.tolist() == [4, -1, -1, -1, 1, -1]


def test_candidates_bring_their_neighbours() -> None:
    previous, following = neighbour_links(np.zeros(6, int), np.arange(6))
    zeros = np.zeros(6)
    columns = Columns(
        previous,
        following,
        zeros.astype(np.float32),
        zeros.astype(np.int32),
        zeros.astype(np.int32),
        zeros,
        zeros.astype(np.float32),
    )
    assert with_neighbours(np.array([5, 0, 5]), columns).tolist() == [0, 1, 4, 5]
    assert with_neighbours(np.array([], np.intp), columns).tolist() == []


def test_the_best_chunk_speaks_for_its_document() -> None:
    found = document_cosines(
        np.array([0.1, 0.5, 0.3, 0.2], np.float32), np.array([0, 0, 2, 3]), 4
    )
    np.testing.assert_array_equal(found, np.array([0.5, UNKNOWN, 0.3, 0.2], np.float32))


def test_the_expected_maximum_grows_with_the_namespace() -> None:
    assert expected_maximum(100) == pytest.approx(3.03, abs=0.01)
    assert expected_maximum(100_000) > expected_maximum(100)


def test_confidence_rises_with_closeness_and_with_coverage() -> None:
    assert CONFIDENCE_HYBRID.of(0.2, 0.1) < CONFIDENCE_HYBRID.of(0.3, 0.1)
    assert CONFIDENCE_HYBRID.of(0.3, 0.1) < CONFIDENCE_HYBRID.of(0.3, 0.9)
