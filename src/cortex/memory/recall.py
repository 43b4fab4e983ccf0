"""Recall: from a query to the memories that speak of it.

Candidates come from the words, the vectors, the time that the query names and the
neighbours of all these in their conversations; `cortex.memory.ranking` judges them.
Nothing here embeds: the caller brings the vector, or searches without one.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from cortex.foundation.canonical import JsonValue
from cortex.foundation.clock import Clock
from cortex.foundation.errors import Unavailable, ValidationError
from cortex.foundation.tenancy import Namespace
from cortex.memory import ranking
from cortex.memory.feedback import borrowed
from cortex.memory.lexical import LexicalMatch, strongest
from cortex.memory.masks import selection_mask
from cortex.memory.model import Hit, Memory, Quarantine, Query, Recalled, SearchMode
from cortex.memory.ports import Found, MemoryStore, Vector
from cortex.memory.shard import Shard
from cortex.memory.shards import OpenShard, Shards
from cortex.memory.temporal import TimeRange, parse_time_range
from cortex.memory.terms import TermAnalyser
from cortex.memory.vectors import Asked, Floats, Mask, Rows
from cortex.telemetry.tracing import span

CANDIDATES: Final = 100
"""Documents that each of words and vectors may put forward."""

TIME_CANDIDATES: Final = 50
"""Newest documents of the time that the query names."""

CHUNKS_ASKED_MAX: Final = 4
"""Chunks asked for each wanted document, at most, where documents have several."""

JUDGED_INLINE_MAX: Final = 2_000
"""Metadata that a new filter judges on the event loop: about 3 ms."""

INDEX_FAULT_SECONDS: Final = 15.0
"""How long after a failure of the vector index health speaks of it."""

_INDEX_FAULTS: Final = (RuntimeError, MemoryError, OSError)
"""What vectors may raise where they fail: faiss tells everything as the first."""

EXCERPTS_MAX: Final = 3
"""Excerpts named for one hit."""


@dataclass(frozen=True, slots=True)
class RecallOptions:
    """How recall ranks."""

    weights: ranking.RankingConfig = field(default_factory=ranking.RankingConfig)


@dataclass(frozen=True, slots=True)
class _Dense:
    """The vector side of one search."""

    asked: Asked
    query: Floats


@dataclass(frozen=True, slots=True)
class _Answer:
    """Ranked documents with their row numbers and the chunks that spoke."""

    ranked: ranking.Ranking
    seqs: tuple[int, ...]
    chunk_order: Mapping[int, tuple[int, ...]]
    degraded: tuple[str, ...]


class Recall:
    """Searches one store through its shards."""

    def __init__(
        self,
        store: MemoryStore,
        shards: Shards,
        analyser: TermAnalyser,
        *,
        clock: Clock,
        options: RecallOptions = RecallOptions(),
    ) -> None:
        """Use the analyser that also analysed the memories."""
        self._store = store
        self._shards = shards
        self._analyser = analyser
        self._clock = clock
        self._options = options
        self._index_failed_at = float("-inf")

    @property
    def index_fails(self) -> bool:
        """Return whether the vector index failed within the last seconds."""
        since = self._clock.monotonic() - self._index_failed_at
        return since < INDEX_FAULT_SECONDS

    async def search(
        self, ns: Namespace, query: Query, vector: Vector | None, space: str
    ) -> Recalled:
        """Return the memories that answer a query, best first.

        Without a vector the search goes by words and time, and says so in
        ``degraded``, unless only words were asked for. So it does when the vectors
        fail.

        Raises:
            InvalidFilter: the selection's ``where`` is malformed.
            Unavailable: the vectors fail, and nothing but meaning was asked for.
            ValidationError: the vector has another length than the stored ones.
        """
        with span("recall", mode=query.mode.value) as part:
            recalled = await self._search(ns, query, vector, space)
            part.set(hits=len(recalled.hits))
            return recalled

    async def _search(
        self, ns: Namespace, query: Query, vector: Vector | None, space: str
    ) -> Recalled:
        now = self._clock.now()
        async with self._shards.opened(ns, space) as opened:
            where = query.selection.where
            if opened.verdicts.unjudged(opened.shard, where) > JUDGED_INLINE_MAX:
                # Fills the verdicts; judging inline would hold up the event loop.
                await asyncio.to_thread(
                    selection_mask, opened.shard, query.selection, opened.verdicts, now
                )
            with span("recall.rank"):
                answer = self._answered(opened, query, vector, now)
        shown = query.selection.quarantine is not Quarantine.EXCLUDED
        found = {
            one.seq: one
            for one in await self._store.found(ns, answer.seqs)
            # It may have been quarantined since the shard was caught up.
            if shown or not one.memory.quarantined
        }
        hits = tuple(
            _hit(ranked, found[seq], answer, explain=query.explain)
            for ranked, seq in zip(answer.ranked.hits, answer.seqs, strict=True)
            if seq in found
        )
        self._store.touch(ns, [seq for seq in answer.seqs if seq in found])
        return Recalled(
            hits=hits,
            low_confidence=answer.ranked.low_confidence,
            confidence=answer.ranked.confidence,
            degraded=answer.degraded,
        )

    def _answered(
        self, opened: OpenShard, query: Query, vector: Vector | None, now: float
    ) -> _Answer:
        """Rank; by words and time where the vectors fail."""
        try:
            return self._answer(opened, query, vector, now)
        except _INDEX_FAULTS as error:
            if vector is None or query.mode is SearchMode.KEYWORD:
                raise
            self._index_failed_at = self._clock.monotonic()
            if query.mode is SearchMode.SEMANTIC:
                message = f"the vector index failed: {type(error).__name__}"
                hint = "The modes hybrid and keyword still answer."
                raise Unavailable(message, hint=hint) from error
            return self._answer(opened, query, None, now)

    def _answer(
        self, opened: OpenShard, query: Query, vector: Vector | None, now: float
    ) -> _Answer:
        """Rank; no I/O and no awaiting, so that the shard stands still."""
        shard = opened.shard
        mask = selection_mask(shard, query.selection, opened.verdicts, now)
        dense = _dense(shard, query, vector)
        terms = []
        if query.mode is not SearchMode.SEMANTIC or dense is None:
            terms = self._analyser.query_terms(query.text)
        match = shard.words.match(terms)
        asked = parse_time_range(query.text, now)
        wanted = max(CANDIDATES, query.top_k)
        by_words = _lexical_candidates(match, mask, wanted)
        borrows = dense is None and query.feedback
        if borrows:
            dense = _dense(shard, query, borrowed(shard, match, by_words))
        core = np.concatenate(
            (
                by_words,
                _dense_candidates(shard, dense, mask, wanted),
                _time_candidates(shard, asked, mask),
            )
        )
        columns = shard.ranking_columns()
        candidates = ranking.with_neighbours(core, columns)
        if mask is not None:
            candidates = candidates[mask[candidates]]
        cosines, background = _cosines(opened, dense, candidates)
        ranked = ranking.rank(
            candidates,
            columns,
            ranking.QueryContext(
                now=now,
                authors=shard.authors.named_in(query.text),
                occurred_from=None if asked is None else asked.start,
                occurred_until=None if asked is None else asked.end,
            ),
            ranking.Signals(match, cosines, background, borrowed=borrows),
            top_k=query.top_k,
            config=self._options.weights,
        )
        documents = [hit.document for hit in ranked.hits]
        return _Answer(
            ranked=ranked,
            seqs=tuple(shard.table.seq.view[documents].tolist()),
            chunk_order=_chunk_order(shard, dense, documents),
            degraded=_degraded(shard, query, vector),
        )


def _dense(shard: Shard, query: Query, vector: Vector | None) -> _Dense | None:
    if vector is None or shard.vectors is None or query.mode is SearchMode.KEYWORD:
        return None
    dimensions = shard.vectors.dimensions
    if len(vector) != dimensions:
        message = f"the query vector has {len(vector)} numbers, not {dimensions}"
        raise ValidationError(message, field="vector", limit=dimensions)
    question = np.asarray(vector, np.float32)
    return _Dense(shard.vectors.ask(question), question)


def _lexical_candidates(match: LexicalMatch, mask: Mask | None, wanted: int) -> Rows:
    if mask is None:
        return match.top(wanted)
    return strongest(np.where(mask, match.totals, np.float32(0)), wanted)


def _dense_candidates(
    shard: Shard, dense: _Dense | None, mask: Mask | None, wanted: int
) -> Rows:
    if dense is None:
        return np.empty(0, np.intp)
    documents = shard.table.row_document.view
    per_document = -(-len(documents) // max(1, len(shard)))
    count = wanted * min(per_document, CHUNKS_ASKED_MAX)
    rows, _ = dense.asked.nearest(count, shard.row_mask(mask))
    return documents[rows].astype(np.intp)


def _time_candidates(shard: Shard, asked: TimeRange | None, mask: Mask | None) -> Rows:
    if asked is None:
        return np.empty(0, np.intp)
    occurred = shard.table.occurred_at.view
    inside = shard.table.alive.view if mask is None else mask
    if asked.start is not None:
        inside = inside & (occurred >= asked.start)
    if asked.end is not None:
        inside = inside & (occurred < asked.end)
    found = np.flatnonzero(inside)
    newest = np.argsort(-occurred[found], kind="stable")[:TIME_CANDIDATES]
    return found[newest]


def _cosines(
    opened: OpenShard, dense: _Dense | None, candidates: Rows
) -> tuple[Floats, ranking.DenseBackground]:
    """Return each candidate's best cosine, and what cosines are like by chance."""
    if dense is None:
        missing = np.full(len(candidates), np.nan, np.float32)
        return missing, ranking.DenseBackground()
    shard = opened.shard
    rows, positions = shard.chunk_rows(candidates)
    best = ranking.document_cosines(
        dense.asked.cosines(rows), positions, len(candidates)
    )
    chance = opened.chance.cosines(shard, dense.asked, dense.query)
    return best, ranking.DenseBackground.of(chance)


def _chunk_order(
    shard: Shard, dense: _Dense | None, documents: list[int]
) -> Mapping[int, tuple[int, ...]]:
    """Return, for documents of several chunks, the chunks best first."""
    if dense is None or not documents:
        return {}
    counts = shard.table.chunks.view[documents].tolist()
    several = [
        document for document, count in zip(documents, counts, strict=True) if count > 1
    ]
    if not several:
        return {}
    rows, positions = shard.chunk_rows(np.array(several))
    cosines = dense.asked.cosines(rows)
    order: dict[int, tuple[int, ...]] = {}
    for position, document in enumerate(several):
        own = cosines[positions == position]
        best = np.argsort(-own, kind="stable")[:EXCERPTS_MAX]
        order[document] = tuple(best.tolist())
    return order


def _degraded(shard: Shard, query: Query, vector: Vector | None) -> tuple[str, ...]:
    if query.mode is SearchMode.KEYWORD:
        return ()
    if vector is None:
        return ("dense",)
    return ("pending",) if shard.pending else ()


def _facts(memory: Memory) -> dict[str, JsonValue]:
    """Return what a reader weighs beside the score, and the score does not hold."""
    return {
        "trust": memory.trust,
        "source_kind": memory.provenance.source_kind.value,
        "quarantined": memory.quarantined,
    }


def _hit(ranked: ranking.Hit, found: Found, answer: _Answer, *, explain: bool) -> Hit:
    order = answer.chunk_order.get(ranked.document, (0,))
    spans = found.spans
    return Hit(
        memory=found.memory,
        score=ranked.score,
        confidence=ranked.confidence,
        signals=ranked.shares.as_mapping() if explain else {},
        facts=_facts(found.memory) if explain else {},
        excerpts=tuple(spans[at] for at in order if at < len(spans)),
    )
