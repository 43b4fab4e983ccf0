"""Ranking: from signals about candidate memories to ordered, explained hits.

The score of a memory is a sum of named shares on one scale, on which 1 is "as good
as the best of this namespace would be by chance alone":

    lexical     (bm25 - mean) / (best - mean), so 1 is the best text for these words
    dense       z / sqrt(2 ln n), z = (cosine - mean) / deviation - sqrt(2 ln chunks)
    context     what the messages before and after it in the session lend to both
    author      the query names who said it ("what did Ann ...", "did I ...")
    time        it happened in the time range that the query speaks of
    importance  what the writer said it is worth
    recency     halves with every half-life

The two rankers count alike; the other weights are round numbers from the middle of a
broad plateau (each may be 0.7 or 1.4 times as large and moves recall by about a
point), the same for every kind of data. sqrt(2 ln n) is the expected maximum of n
standard normal draws (Cramer, "Mathematical Methods of Statistics", 1946, 28.6): it
puts the two rankers on equal footing at every size of a namespace, and it takes from
a long memory the advantage of being allowed to pick the best of its many chunks. Sums
of centred scores rather than reciprocal ranks, because ranks throw away how much
better the first is than the tenth (Bruch et al., "An Analysis of Fusion Functions for
Hybrid Retrieval", TOIS 2023).

A neighbour lends a query word that the memory itself does not have, and a part of its
dense score, in the proportion in which a Dirichlet prior smooths a short text with
its context, mu / (mu + words) (Zhai and Lafferty, "A Study of Smoothing Methods for
Language Models", TOIS 2004): "Yes, in June!" lives on the question before it; a
page-long answer stands on its own.

All functions are pure; arrays are never changed in place.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Final

import numpy as np
from numpy.typing import NDArray

from cortex.memory.lexical import CONTEXT_WORDS, LexicalMatch

Floats = NDArray[np.float32]
Ordinals = NDArray[np.intp]

NO_NEIGHBOUR: Final = -1
"""Mark in a link column: nothing precedes, or follows, in the session."""

BACKGROUND_DRAWS: Final = 16
"""Unrelated memories that every namespace is taken to hold beside its own.

They keep the statistics of the first few memories from jumping (one memory alone has
no deviation) and no longer tell from some hundreds on.
"""

UNRELATED_COSINE_MEAN: Final = 0.1
UNRELATED_COSINE_DEVIATION: Final = 0.12
"""Cosines of unrelated English texts in the bundled embedding space."""

CONFIDENCE_HITS: Final = 10
"""Best hits that the confidence of a list looks at, whatever was asked for."""

_SECONDS_PER_DAY: Final = 86_400.0


TOLD_LATER_HALF_LIFE_SECONDS: Final = 3 * _SECONDS_PER_DAY
"""People tell of a thing the same day, or some days later, never before."""


@dataclass(frozen=True, slots=True)
class RankingConfig:
    """How much each signal counts, on the scale of the module's description.

    The defaults are for every namespace and kind of data.
    """

    lexical: float = 1.0
    dense: float = 1.0
    author: float = 0.6
    time: float = 0.6
    importance: float = 0.4
    recency: float = 0.02
    lent_by_previous: float = 1.0
    """Share of a missing word's score that the message before lends."""
    lent_by_following: float = 0.5
    """The same for the message after: answers follow questions, seldom the reverse."""
    dense_lent: float = 1 / 3
    """Part of a neighbour's dense score that is lent, times the two above."""
    context_words: float = CONTEXT_WORDS
    """Words of own text at which a memory leans on its context by half (mu)."""
    recency_half_life_seconds: float = 30 * _SECONDS_PER_DAY
    confidence_floor: float = 0.5
    """Below this confidence a result list is flagged `low_confidence`."""

    def __post_init__(self) -> None:
        """Refuse weights that would turn a signal round."""
        for field in fields(self):
            if not getattr(self, field.name) >= 0:
                message = f"{field.name} must be 0 or more"
                raise ValueError(message)
        if not self.recency_half_life_seconds or not self.context_words:
            message = "recency_half_life_seconds and context_words must be above 0"
            raise ValueError(message)


@dataclass(frozen=True, slots=True)
class Columns:
    """What a namespace knows of all its memories, one entry a document number.

    `previous` and `following` are the neighbours in the session or `NO_NEIGHBOUR`;
    `words` lengths in words; `chunks` how many vectors each has (0: none yet);
    `authors` interned numbers, -1 for none; `occurred_at` epoch seconds, NaN for
    unknown; `importance` from 0 to 1, 0.5 being neutral.
    """

    previous: NDArray[np.int32]
    following: NDArray[np.int32]
    words: Floats
    chunks: NDArray[np.int32]
    authors: NDArray[np.int32]
    occurred_at: NDArray[np.float64]
    importance: Floats


@dataclass(frozen=True, slots=True)
class DenseBackground:
    """What cosines look like in a namespace for this query.

    `mean` and `deviation` are over its chunk vectors, all of them or an even sample
    of at least some hundreds, and over the `BACKGROUND_DRAWS`.
    """

    mean: float = UNRELATED_COSINE_MEAN
    deviation: float = UNRELATED_COSINE_DEVIATION

    @classmethod
    def of(cls, cosines: Floats) -> "DenseBackground":
        """Measure it from the cosines of all chunks or of a sample."""
        draws = len(cosines) + BACKGROUND_DRAWS
        total = float(cosines.sum()) + BACKGROUND_DRAWS * UNRELATED_COSINE_MEAN
        unrelated = UNRELATED_COSINE_MEAN**2 + UNRELATED_COSINE_DEVIATION**2
        squares = float(np.dot(cosines, cosines)) + BACKGROUND_DRAWS * unrelated
        mean = total / draws
        return cls(mean, math.sqrt(max(squares / draws - mean**2, 0.0)))


@dataclass(frozen=True, slots=True)
class Confidence:
    """How closeness and coverage become a probability, by a logistic function.

    Closeness is a cosine; coverage is the share of the query's words, weighted by
    their idf, that one memory has. The numbers say when a question asked of the
    memory that holds its answer can be told from the same question asked of another
    one, both being equally likely, in the bundled embedding space; another space
    brings its own.
    """

    closeness: float
    coverage: float
    intercept: float

    def of(self, closeness: float, coverage: float) -> float:
        """Return the probability, from 0 to 1."""
        logit = self.closeness * closeness + self.coverage * coverage
        return 1 / (1 + math.exp(-(logit + self.intercept)))


CONFIDENCE_HYBRID: Final = Confidence(13.2, 5.3, -8.4)
CONFIDENCE_KEYWORD: Final = Confidence(0.0, 7.4, -3.0)
CONFIDENCE_SEMANTIC: Final = Confidence(16.2, 0.0, -8.5)


@dataclass(frozen=True, slots=True)
class Signals:
    """What the two rankers say.

    `cosines` has one entry a candidate, NaN where a memory has no vector (yet); the
    lexical match covers the whole namespace. With `borrowed` the query's vector is
    made of candidates' own: it orders them, but says nothing of how sure they are.
    """

    lexical: LexicalMatch
    cosines: Floats
    background: DenseBackground
    borrowed: bool = False


@dataclass(frozen=True, slots=True)
class QueryContext:
    """What a query asks for besides its words and its meaning.

    `authors` are those it names; `occurred_from` and `occurred_until` the time range
    it speaks of, in epoch seconds, the end excluded; `now` epoch seconds.
    """

    now: float
    authors: frozenset[int] = frozenset()
    occurred_from: float | None = None
    occurred_until: float | None = None


@dataclass(frozen=True, slots=True)
class Shares:
    """The parts of one score by signal; their sum is the score."""

    lexical: float
    dense: float
    context: float
    author: float
    time: float
    importance: float
    recency: float

    def as_mapping(self) -> Mapping[str, float]:
        """Return the shares by name, for `explain`."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


@dataclass(frozen=True, slots=True)
class Hit:
    """One ranked memory: its document number, its score and what made it.

    `confidence` is how likely it is, from 0 to 1, that this memory alone speaks of
    what the query asks; the score only orders memories within one answer.
    """

    document: int
    score: float
    confidence: float
    shares: Shares


@dataclass(frozen=True, slots=True)
class Ranking:
    """Hits, best first, and how likely it is that they answer the query at all.

    `confidence` is that of the most convincing of the first `CONFIDENCE_HITS`, from 0
    to 1; with `low_confidence` the caller should say that nothing relevant is stored
    rather than hand out the nearest texts.
    """

    hits: tuple[Hit, ...]
    confidence: float
    low_confidence: bool


def neighbour_links(
    sessions: NDArray[np.integer], positions: NDArray[np.integer]
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return the columns `previous` and `following` for documents of sessions.

    `sessions` are interned numbers, negative for "in no session"; `positions` order
    the documents of a session, ties by document number.
    """
    count = len(sessions)
    previous = np.full(count, NO_NEIGHBOUR, np.int32)
    following = np.full(count, NO_NEIGHBOUR, np.int32)
    order = np.lexsort((positions, sessions))
    first, second = order[:-1], order[1:]
    joined = (sessions[first] == sessions[second]) & (sessions[first] >= 0)
    previous[second[joined]] = first[joined]
    following[first[joined]] = second[joined]
    return previous, following


def document_cosines(
    chunk_cosines: Floats, chunk_documents: NDArray[np.integer], documents: int
) -> Floats:
    """Return the best cosine of each document, shape (documents,), NaN without one.

    `chunk_documents` names the document of each chunk, in rising order.
    """
    found = np.full(documents, np.nan, np.float32)
    if len(chunk_cosines):
        starts = np.flatnonzero(np.diff(chunk_documents, prepend=-1))
        found[chunk_documents[starts]] = np.maximum.reduceat(chunk_cosines, starts)
    return found


def with_neighbours(documents: Ordinals, columns: Columns) -> Ordinals:
    """Return `documents`, each once, and those next to them, in rising order.

    This is the candidate set to rank: a turn that answers a question often shares no
    word with the query that finds the question.
    """
    # One place more than there are documents: the mark -1 lands on it.
    chosen = np.zeros(len(columns.previous) + 1, bool)
    chosen[documents] = True
    chosen[columns.previous[documents]] = True
    chosen[columns.following[documents]] = True
    return np.flatnonzero(chosen[:-1])


def rank(
    candidates: Ordinals,
    columns: Columns,
    query: QueryContext,
    signals: Signals,
    *,
    top_k: int,
    config: RankingConfig = RankingConfig(),
) -> Ranking:
    """Order `candidates` and return the best `top_k` with shares and confidence.

    `candidates` are distinct document numbers in rising order, as
    `with_neighbours` gives them. Equal scores are in order of document number.

    Raises `ValueError` for a `top_k` below 1 and for signals of another length.
    """
    if top_k < 1:
        message = f"top_k must be at least 1, got {top_k}"
        raise ValueError(message)
    if len(signals.cosines) != len(candidates):
        message = "signals.cosines must have one entry a candidate"
        raise ValueError(message)
    if not len(candidates):
        return Ranking((), 0.0, low_confidence=True)
    near = _Neighbourhood.of(candidates, columns, config)
    lexical, lexical_context = _lexical(candidates, near, signals.lexical, config)
    dense, dense_context = _dense(candidates, columns, near, signals, config)
    table = np.stack(
        (
            lexical,
            dense,
            lexical_context + dense_context,
            *_priors(candidates, columns, query, config),
        )
    )
    scores = table.sum(axis=0)
    best = np.argsort(-scores, kind="stable")[: max(top_k, CONFIDENCE_HITS)]
    judge, closeness, coverage = _evidence(candidates[best], signals, best)
    certain = [
        judge.of(near_by, covered)
        for near_by, covered in zip(closeness.tolist(), coverage.tolist(), strict=True)
    ]
    hits = tuple(
        _hit(int(candidates[at]), table[:, at], one)
        for at, one in zip(best[:top_k].tolist(), certain, strict=False)
    )
    sure = max(certain[:CONFIDENCE_HITS])
    return Ranking(hits, sure, low_confidence=sure < config.confidence_floor)


def _evidence(
    documents: Ordinals, signals: Signals, places: Ordinals
) -> tuple[Confidence, Floats, Floats]:
    """Return how to judge, and the closeness and coverage of each document."""
    cosines = signals.cosines[places]
    closeness = np.nan_to_num(cosines).astype(np.float32)
    weights = signals.lexical.weights
    idf = np.array([w.inverse_document_frequency for w in weights], np.float32)
    if not idf.sum():
        return CONFIDENCE_SEMANTIC, closeness, np.zeros_like(closeness)
    coverage = idf @ (signals.lexical.matrix(documents) > 0) / idf.sum()
    if signals.borrowed or np.isnan(cosines).all():
        return CONFIDENCE_KEYWORD, closeness, coverage
    return CONFIDENCE_HYBRID, closeness, coverage


@dataclass(frozen=True, slots=True)
class _Neighbourhood:
    """Where the neighbours of each candidate are among the candidates.

    `previous` and `following` index into arrays of the candidates extended by one
    zero at the end, which stands for "none"; `openness` is the Dirichlet weight of
    the context, from 0 to 1.
    """

    previous: Ordinals
    following: Ordinals
    openness: Floats

    @classmethod
    def of(
        cls, candidates: Ordinals, columns: Columns, config: RankingConfig
    ) -> "_Neighbourhood":
        words = columns.words[candidates]
        openness = config.context_words / (config.context_words + words)
        return cls(
            _places(columns.previous[candidates], candidates),
            _places(columns.following[candidates], candidates),
            openness.astype(np.float32),
        )

    def lent(self, values: Floats, config: RankingConfig) -> tuple[Floats, Floats]:
        """Return what the previous and the following lend, along the last axis."""
        none = np.zeros((*values.shape[:-1], 1), np.float32)
        extended = np.concatenate((values, none), axis=-1)
        before = self.openness * np.float32(config.lent_by_previous)
        after = self.openness * np.float32(config.lent_by_following)
        return (
            extended[..., self.previous] * before,
            extended[..., self.following] * after,
        )


def _places(linked: NDArray[np.int32], candidates: Ordinals) -> Ordinals:
    places = np.searchsorted(candidates, linked)
    last = len(candidates)
    known = candidates[np.minimum(places, last - 1)] == linked
    return np.where(known, places, last)


def _lexical(
    candidates: Ordinals,
    near: _Neighbourhood,
    match: LexicalMatch,
    config: RankingConfig,
) -> tuple[Floats, Floats]:
    """Return the lexical share, and what neighbours' words add to it."""
    own = match.matrix(candidates)
    if not own.size:
        nothing = np.zeros(len(candidates), np.float32)
        return nothing, nothing
    before, after = near.lent(own, config)
    alone = own.sum(axis=0)
    together = np.maximum(own, np.maximum(before, after)).sum(axis=0)
    best = float(together.max())
    live = match.live_documents
    mean = match.mean * live / (live + BACKGROUND_DRAWS)
    if best <= mean:
        nothing = np.zeros(len(candidates), np.float32)
        return nothing, nothing
    scale = np.float32(config.lexical / (best - mean))
    share = np.maximum(alone - np.float32(mean), 0) * scale
    whole = np.maximum(together - np.float32(mean), 0) * scale
    return share, whole - share


def _dense(
    candidates: Ordinals,
    columns: Columns,
    near: _Neighbourhood,
    signals: Signals,
    config: RankingConfig,
) -> tuple[Floats, Floats]:
    """Return the dense share, and what neighbours' meaning adds to it."""
    background = signals.background
    standard = (signals.cosines - background.mean) / background.deviation
    chunks = np.maximum(columns.chunks[candidates], 1)
    standard = standard - np.sqrt(2 * np.log(chunks))
    unit = expected_maximum(signals.lexical.live_documents + BACKGROUND_DRAWS)
    share = np.nan_to_num(standard * (config.dense / unit)).astype(np.float32)
    before, after = near.lent(share, config)
    return share, (before + after) * np.float32(config.dense_lent)


def expected_maximum(draws: int) -> float:
    """Return about how far the best of `draws` standard normal draws lies out.

    `draws` is at least 2.
    """
    return math.sqrt(2 * math.log(draws))


def _priors(
    candidates: Ordinals, columns: Columns, query: QueryContext, config: RankingConfig
) -> tuple[Floats, Floats, Floats, Floats]:
    """Return the shares of author, time, importance and recency."""
    authors = columns.authors[candidates]
    named = np.isin(authors, list(query.authors)) if query.authors else authors < -1
    occurred = columns.occurred_at[candidates]
    asked = _time_match(occurred, query)
    age = np.maximum(query.now - occurred, 0) / config.recency_half_life_seconds
    recency = np.nan_to_num(np.exp2(-age)) * config.recency
    importance = (columns.importance[candidates] - 0.5) * config.importance
    return (
        (named * config.author).astype(np.float32),
        (asked * config.time).astype(np.float32),
        importance.astype(np.float32),
        recency.astype(np.float32),
    )


def _time_match(
    occurred: NDArray[np.float64], query: QueryContext
) -> NDArray[np.float64]:
    """Return 1 inside the range, less the later it was told, 0 before and unknown."""
    if query.occurred_from is None and query.occurred_until is None:
        return np.zeros(len(occurred))
    start = -math.inf if query.occurred_from is None else query.occurred_from
    end = math.inf if query.occurred_until is None else query.occurred_until
    late = np.maximum(occurred - end, 0) / TOLD_LATER_HALF_LIFE_SECONDS
    return np.where(occurred >= start, np.exp2(-late), 0.0)


def _hit(document: int, parts: Floats, sure: float) -> Hit:
    values = parts.tolist()
    return Hit(document, math.fsum(values), sure, Shares(*values))
