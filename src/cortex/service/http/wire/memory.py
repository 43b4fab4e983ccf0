"""Memory on the wire."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from cortex.foundation.limits import MEMORY_ITEMS_PER_REQUEST_MAX, TOP_K_MAX
from cortex.memory.filters import compile_filter
from cortex.memory.model import (
    Forgotten,
    Hit,
    Memory,
    MemoryPatch,
    MemoryStats,
    Modality,
    NewMemory,
    Page,
    Quarantine,
    Query,
    Recalled,
    SearchMode,
    Selection,
    Stored,
    Tier,
    TimeRange,
)
from cortex.memory.trust import SourceKind
from cortex.service.fields import (
    Content,
    Flag,
    Importance,
    Integer,
    Metadata,
    MinTrust,
    Moment,
    Name,
    NamespaceName,
    OptionalName,
    QueryText,
    RunId,
    Source,
    Tag,
    Tags,
    Trust,
    TtlSeconds,
    Wire,
)
from cortex.service.http.wire.selection import TimeRangeBody, check_interval

SourceKinds = Annotated[
    list[SourceKind], Field(min_length=1, max_length=len(SourceKind))
]


class MessageBody(Wire):
    """One thing to remember, of a session or not."""

    content: Content
    author: OptionalName = ""
    kind: Name = "message"
    agent_id: Name | None = None
    user_id: Name | None = None
    importance: Importance = 0.5
    tags: Tags = Field(default_factory=list)
    metadata: Metadata = Field(default_factory=dict)
    occurred_at: Moment | None = None
    valid_from: Moment | None = None
    valid_to: Moment | None = None
    ttl_seconds: TtlSeconds | None = None
    modality: Modality = Modality.TEXT
    idempotency_key: Name | None = None
    run_id: RunId | None = None
    source: Annotated[
        Source, Field(description="Where it came from: a URL, the name of a tool.")
    ] = ""
    source_kind: SourceKind = SourceKind.UNKNOWN
    trust: Annotated[
        Trust | None,
        Field(description="At most what source_kind allows, which is the default."),
    ] = None

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        check_interval("valid_from", self.valid_from, "valid_to", self.valid_to)
        return self

    def domain(self, session_id: str | None) -> NewMemory:
        """Return the memory to store, in the given session."""
        return NewMemory(
            content=self.content,
            author=self.author,
            kind=self.kind,
            session_id=session_id,
            agent_id=self.agent_id,
            user_id=self.user_id,
            importance=self.importance,
            tags=tuple(self.tags),
            metadata=self.metadata,
            occurred_at=self.occurred_at,
            valid_from=self.valid_from,
            valid_to=self.valid_to,
            ttl_seconds=self.ttl_seconds,
            modality=self.modality,
            idempotency_key=self.idempotency_key,
            run_id=self.run_id,
            source=self.source,
            source_kind=self.source_kind,
            trust=self.trust,
        )


class MemoryBody(MessageBody):
    """One thing to remember."""

    namespace: NamespaceName | None = None
    session_id: Name | None = None


class RememberBody(Wire):
    """POST /memory."""

    items: Annotated[
        list[MemoryBody],
        Field(min_length=1, max_length=MEMORY_ITEMS_PER_REQUEST_MAX),
    ]
    namespace: Annotated[
        NamespaceName | None, Field(description="For items that name none.")
    ] = None


class MessagesBody(Wire):
    """POST /sessions/{id}/messages."""

    items: Annotated[
        list[MessageBody],
        Field(min_length=1, max_length=MEMORY_ITEMS_PER_REQUEST_MAX),
    ]


class PatchBody(Wire):
    """PATCH /memory/{id}: absent fields stay as they are."""

    content: Content | None = None
    author: OptionalName | None = None
    kind: Name | None = None
    importance: Importance | None = None
    tags: Tags | None = None
    metadata: Metadata | None = None
    valid_from: Moment | None = None
    valid_to: Moment | None = None
    ttl_seconds: TtlSeconds | None = None

    @model_validator(mode="after")
    def _something(self) -> Self:
        if all(getattr(self, name) is None for name in type(self).model_fields):
            message = "must change at least one field"
            raise ValueError(message)
        check_interval("valid_from", self.valid_from, "valid_to", self.valid_to)
        return self

    def domain(self) -> MemoryPatch:
        """Return the changes."""
        return MemoryPatch(
            content=self.content,
            author=self.author,
            kind=self.kind,
            importance=self.importance,
            tags=None if self.tags is None else tuple(self.tags),
            metadata=self.metadata,
            valid_from=self.valid_from,
            valid_to=self.valid_to,
            ttl_seconds=self.ttl_seconds,
        )


class SearchBody(Wire):
    """POST /memory/search."""

    query: QueryText
    top_k: Annotated[Integer, Field(ge=1, le=TOP_K_MAX)] = 10
    mode: SearchMode = SearchMode.HYBRID
    namespace: NamespaceName | None = None
    filter: dict[str, Any] | None = None
    time_range: TimeRangeBody | None = None
    tiers: Annotated[list[Tier], Field(min_length=1, max_length=8)] | None = None
    explain: Flag = False
    session_id: Name | None = None
    user_id: Name | None = None
    agent_id: Name | None = None
    author: Name | None = None
    kind: Name | None = None
    tag: Tag | None = None
    modality: Modality | None = None
    min_trust: MinTrust | None = None
    source_kinds: SourceKinds | None = None
    include_quarantined: Annotated[
        Flag, Field(description="Needs the scope admin.")
    ] = False

    def domain(self) -> Query:
        """Return the search.

        Raises:
            InvalidFilter: the filter breaks a rule.
        """
        if self.filter is not None:
            compile_filter(self.filter)
        selection = Selection(
            session_id=self.session_id,
            user_id=self.user_id,
            agent_id=self.agent_id,
            author=self.author,
            kind=self.kind,
            tag=self.tag,
            time_range=_time_range(self.time_range),
            tiers=frozenset(self.tiers) if self.tiers else None,
            modality=self.modality,
            where=self.filter or None,
            min_trust=self.min_trust,
            source_kinds=frozenset(self.source_kinds) if self.source_kinds else None,
            quarantine=(
                Quarantine.INCLUDED if self.include_quarantined else Quarantine.EXCLUDED
            ),
        )
        return Query(
            text=self.query,
            top_k=self.top_k,
            mode=self.mode,
            selection=selection,
            explain=self.explain,
        )


class StoredAnswer(Wire):
    """What became of one item."""

    id: str
    created: bool
    embedding: str
    quarantined: Annotated[
        str, Field(description="Why it is kept out of answers; empty: it is not.")
    ]


class RememberAnswer(Wire):
    """Ids in the order of the items."""

    ids: list[str]
    items: list[StoredAnswer]


class ProvenanceAnswer(Wire):
    """Where a memory came from; ``written_by`` is the token's name."""

    written_by: str
    run_id: str | None
    source: str
    source_kind: SourceKind


class MemoryAnswer(Wire):
    """One memory; times are epoch seconds."""

    id: str
    namespace: str
    content: str
    author: str
    kind: str
    session_id: str | None
    agent_id: str | None
    user_id: str | None
    importance: float
    tags: list[str]
    metadata: dict[str, Any]
    occurred_at: float
    valid_from: float | None
    valid_to: float | None
    expires_at: float | None
    created_at: float
    updated_at: float
    accessed_at: float
    access_count: int
    tier: Tier
    modality: Modality
    embedding: str
    space: str | None
    content_sha256: str
    provenance: ProvenanceAnswer
    trust: float
    quarantined: bool
    quarantined_at: float | None
    quarantine_reason: str


class HitAnswer(MemoryAnswer):
    """A memory found; excerpts as [start, end].

    ``signals`` and ``facts`` only when explained: the signals sum to the score, the
    facts (trust, kind of source) have no part in it.
    """

    score: float
    confidence: float
    excerpts: list[tuple[int, int]]
    signals: dict[str, float] | None = None
    facts: dict[str, Any] | None = None


class SearchAnswer(Wire):
    """Hits, best first."""

    hits: list[HitAnswer]
    low_confidence: bool
    confidence: float
    degraded: list[str]


class PageAnswer(Wire):
    """One page."""

    memories: list[MemoryAnswer]
    next_cursor: str | None


class ForgottenAnswer(Wire):
    """What is gone, by id and hash."""

    forgotten: int
    ids: list[str]
    content_sha256: list[str]
    forgotten_at: float


class StatsAnswer(Wire):
    """Counts and bytes."""

    total: int
    bytes_total: int
    by_tier: dict[str, int]
    bytes_by_tier: dict[str, int]
    by_kind: dict[str, int]
    by_namespace: dict[str, int]
    pending_embeddings: int


class LineErrorAnswer(Wire):
    """Why one line was refused."""

    line: int
    code: str
    message: str
    field: str | None


class ImportAnswer(Wire):
    """How far an import is; as NDJSON, one a step and the last with ``done``."""

    line: int
    stored: int
    existing: int
    failed: int
    errors: list[LineErrorAnswer]
    done: bool


def remembered(stored: Sequence[Stored]) -> dict[str, object]:
    """Shape the answer of POST /memory."""
    return {"ids": [item.id for item in stored], "items": list(stored)}


def memory(value: Memory) -> dict[str, object]:
    """Shape one memory."""
    return {
        "id": value.id,
        "namespace": value.namespace.name,
        "content": value.content,
        "author": value.author,
        "kind": value.kind,
        "session_id": value.session_id,
        "agent_id": value.agent_id,
        "user_id": value.user_id,
        "importance": value.importance,
        "tags": value.tags,
        "metadata": plain(value.metadata),
        "occurred_at": value.occurred_at,
        "valid_from": value.valid_from,
        "valid_to": value.valid_to,
        "expires_at": value.expires_at,
        "created_at": value.created_at,
        "updated_at": value.updated_at,
        "accessed_at": value.accessed_at,
        "access_count": value.access_count,
        "tier": value.tier,
        "modality": value.modality,
        "embedding": value.embedding,
        "space": value.space,
        "content_sha256": value.content_sha256,
        "provenance": value.provenance,
        "trust": value.trust,
        "quarantined": value.quarantined,
        "quarantined_at": value.quarantined_at,
        "quarantine_reason": value.quarantine_reason,
    }


def page(value: Page) -> dict[str, object]:
    """Shape one page."""
    return {
        "memories": [memory(item) for item in value.memories],
        "next_cursor": value.next_cursor,
    }


def recalled(value: Recalled, *, explain: bool) -> dict[str, object]:
    """Shape the answer of POST /memory/search."""
    return {
        "hits": [_hit(hit, explain=explain) for hit in value.hits],
        "low_confidence": value.low_confidence,
        "confidence": value.confidence,
        "degraded": value.degraded,
    }


def forgotten(value: Forgotten) -> dict[str, object]:
    """Shape the answer of a forget."""
    return {
        "forgotten": len(value.ids),
        "ids": value.ids,
        "content_sha256": value.content_sha256,
        "forgotten_at": value.forgotten_at,
    }


def stats(value: MemoryStats) -> dict[str, object]:
    """Shape the counts."""
    return {
        "total": value.total,
        "bytes_total": value.bytes_total,
        "by_tier": plain(value.by_tier),
        "bytes_by_tier": plain(value.bytes_by_tier),
        "by_kind": plain(value.by_kind),
        "by_namespace": plain(value.by_namespace),
        "pending_embeddings": value.pending_embeddings,
    }


def plain(mapping: Mapping[str, Any]) -> dict[str, Any]:
    """Return the mapping as a dict, without a copy where it is one."""
    return mapping if isinstance(mapping, dict) else dict(mapping)


def _hit(hit: Hit, *, explain: bool) -> dict[str, object]:
    shaped = memory(hit.memory)
    shaped["score"] = hit.score
    shaped["confidence"] = hit.confidence
    shaped["excerpts"] = list(hit.excerpts)
    if explain:
        shaped["signals"] = plain(hit.signals)
        shaped["facts"] = plain(hit.facts)
    return shaped


def _time_range(body: TimeRangeBody | None) -> TimeRange | None:
    return None if body is None else TimeRange(body.start, body.end)
