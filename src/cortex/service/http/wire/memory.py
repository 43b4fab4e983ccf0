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
    Query,
    Recalled,
    SearchMode,
    Selection,
    Stored,
    Tier,
    TimeRange,
)
from cortex.service.fields import (
    Content,
    Flag,
    Importance,
    Integer,
    Metadata,
    Moment,
    Name,
    NamespaceName,
    OptionalName,
    QueryText,
    Tag,
    Tags,
    TtlSeconds,
    Wire,
)
from cortex.service.http.wire.selection import TimeRangeBody, check_interval


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


class RememberAnswer(Wire):
    """Ids in the order of the items."""

    ids: list[str]
    items: list[StoredAnswer]


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


class HitAnswer(MemoryAnswer):
    """A memory found; ``signals`` only when explained, excerpts as [start, end]."""

    score: float
    confidence: float
    excerpts: list[tuple[int, int]]
    signals: dict[str, float] | None = None


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
    return shaped


def _time_range(body: TimeRangeBody | None) -> TimeRange | None:
    return None if body is None else TimeRange(body.start, body.end)
