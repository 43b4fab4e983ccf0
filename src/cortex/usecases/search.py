"""Recall for a caller: embed the query, then search; without the embedder, by words."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from cortex.foundation.canonical import JsonValue
from cortex.foundation.clock import Clock
from cortex.foundation.errors import PayloadTooLarge, Unavailable, ValidationError
from cortex.foundation.limits import (
    QUERY_BYTES_MAX,
    QUERY_CHARACTERS_MAX,
    TOP_K_MAX,
)
from cortex.foundation.tenancy import Namespace
from cortex.inference.ports import Embedder, Vector
from cortex.memory.model import Hit, Query, Recalled, SearchMode, Selection
from cortex.usecases.model import CallContext, VectorHit, VectorHits

SUMMARY_CHARACTERS_MAX = 280
"""Characters of a document's summary in a vector search."""

_SPACES = re.compile(r"\s+")


class Recalls(Protocol):
    """Searches one namespace; embeds nothing itself."""

    async def search(
        self, ns: Namespace, query: Query, vector: Vector | None, space: str
    ) -> Recalled:
        """Return the hits; ``vector`` None means by words and time only."""
        ...


class Thrift(Protocol):
    """Says whether to do without a model where that is possible."""

    @property
    def saving(self) -> bool:
        """Return whether power is saved now."""
        ...

    def kept(self, text: str) -> Vector | None:
        """Return a vector that costs nothing, if there is one."""
        ...


@dataclass(frozen=True, slots=True)
class Search:
    """Finds memories by meaning, words and time.

    While power is saved a hybrid search goes by words, and by what the memories found
    by them mean; the query is embedded only where that finds nothing.
    """

    recall: Recalls
    embedder: Embedder
    thrift: Thrift | None = None

    async def __call__(
        self, namespace: Namespace, query: Query, context: CallContext, /
    ) -> Recalled:
        """Return the hits, best first.

        Raises:
            ValidationError: an empty or oversized query, or ``top_k`` out of range.
            Unavailable: a semantic search while the embedder is down.
        """
        del context
        check_query(query)
        space = self.embedder.info.space
        if self._saves(query):
            vector = self.thrift.kept(query.text) if self.thrift else None
            frugal = replace(query, feedback=True)
            found = await self.recall.search(namespace, frugal, vector, space)
            if found.hits:
                return found
        vector = await self.vector(query)
        return await self.recall.search(namespace, query, vector, space)

    def _saves(self, query: Query) -> bool:
        hybrid = query.mode is SearchMode.HYBRID
        return hybrid and self.thrift is not None and self.thrift.saving

    async def vector(self, query: Query) -> Vector | None:
        """Return the query's vector, or None when words have to do."""
        if query.mode is SearchMode.KEYWORD:
            return None
        try:
            return (await self.embedder.embed([query.text]))[0]
        except Unavailable:
            if query.mode is SearchMode.SEMANTIC:
                raise
            return None


@dataclass(frozen=True, slots=True)
class VectorSearch:
    """Finds documents by meaning alone, and says how long each step took."""

    search: Search
    clock: Clock

    async def __call__(
        self,
        namespace: Namespace,
        query: str,
        top_k: int,
        filter_metadata: Mapping[str, JsonValue],
        /,
        *,
        min_trust: float | None = None,
    ) -> VectorHits:
        """Return at most ``top_k`` documents whose metadata equal the filter's."""
        where: Mapping[str, JsonValue] | None = None
        if filter_metadata:
            where = {"and": [{key: {"eq": v}} for key, v in filter_metadata.items()]}
        selection = Selection(where=where, min_trust=min_trust)
        wanted = Query(query, top_k, SearchMode.SEMANTIC, selection)
        check_query(wanted)
        started = self.clock.monotonic()
        vector = await self.search.vector(wanted)
        embedded = self.clock.monotonic()
        space = self.search.embedder.info.space
        found = await self.search.recall.search(namespace, wanted, vector, space)
        finished = self.clock.monotonic()
        return VectorHits(
            tuple(map(_document, found.hits)),
            (embedded - started) * 1000,
            (finished - embedded) * 1000,
        )


def check_query(query: Query) -> None:
    """Raise ``ValidationError`` for a query outside the limits."""
    if not query.text.strip():
        raise ValidationError("query must not be empty", field="query")
    if len(query.text) > QUERY_CHARACTERS_MAX:
        message = f"query must be at most {QUERY_CHARACTERS_MAX} characters"
        raise PayloadTooLarge(message, field="query", limit=QUERY_CHARACTERS_MAX)
    if len(query.text.encode("utf-8", "replace")) > QUERY_BYTES_MAX:
        message = f"query must be at most {QUERY_BYTES_MAX} bytes"
        raise PayloadTooLarge(message, field="query", limit=QUERY_BYTES_MAX)
    if not 1 <= query.top_k <= TOP_K_MAX:
        message = f"top_k must be between 1 and {TOP_K_MAX}"
        raise ValidationError(message, field="top_k", limit=TOP_K_MAX)


def with_top_k(query: Query, top_k: int) -> Query:
    """Return the query asking for another number of hits."""
    return replace(query, top_k=top_k)


def _document(hit: Hit) -> VectorHit:
    memory = hit.memory
    summary = _SPACES.sub(" ", memory.content).strip()[:SUMMARY_CHARACTERS_MAX]
    uri = f"cortex://memory/{memory.namespace.name}/{memory.id}"
    return VectorHit(memory.id, hit.score, uri, summary, memory.metadata)
