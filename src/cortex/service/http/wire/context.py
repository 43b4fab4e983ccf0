"""Contexts, sessions and hot state on the wire."""

from typing import Annotated, Any, Self

from pydantic import Field, StringConstraints, model_validator

from cortex.foundation.limits import (
    NAME_CHARACTERS_MAX,
    OPTIMIZE_ITEM_CHARACTERS_MAX,
    TOP_K_MAX,
)
from cortex.memory.model import Session
from cortex.memory.strategies import Compression
from cortex.service.fields import (
    Cursor,
    Integer,
    Metadata,
    MinTrust,
    Name,
    NamespaceName,
    Number,
    OptionalName,
    QueryText,
    SessionId,
    StateValue,
    TtlSeconds,
    Wire,
)
from cortex.service.http.wire.memory import plain
from cortex.service.http.wire.selection import (
    PAGE_LIMIT_DEFAULT,
    PAGE_LIMIT_MAX,
    InNamespace,
)
from cortex.usecases.model import (
    BuiltContext,
    ContextRequest,
    ContextStrategy,
    NewSession,
    Optimized,
    OptimizeItem,
    OptimizeRequest,
    SessionPage,
    StateEntry,
    VectorHits,
)

CONTEXT_TOKENS_MAX = 2_000_000
"""Tokens of a context: beyond any model's window."""

OPTIMIZE_ITEMS_MAX = 500
OPTIMIZE_TOKENS_MIN = 100
OPTIMIZE_TOKENS_MAX = 128_000
OPTIMIZE_TOKENS_DEFAULT = 4_096
CATEGORY_CHARACTERS_MAX = 100
VECTOR_TOP_K_DEFAULT = 5
SINCE_CHARACTERS_MAX = 64
"""Characters of a ``generated_at`` handed back."""

ModelName = Annotated[str, StringConstraints(max_length=NAME_CHARACTERS_MAX)]
HowCompressed = Annotated[
    Compression,
    Field(description="How items may be shortened; abstractive needs scope agents."),
]
ReserveTokens = Annotated[Integer, Field(ge=0, le=CONTEXT_TOKENS_MAX)]


class ContextBody(Wire):
    """POST /context: a query, a session, or both."""

    query: QueryText | None = None
    session_id: Name | None = None
    namespace: NamespaceName | None = None
    model: Annotated[
        ModelName, Field(description="Whose tokens count; empty: a safe upper bound.")
    ] = ""
    max_tokens: Annotated[Integer, Field(ge=1, le=CONTEXT_TOKENS_MAX)] | None = None
    reserve_tokens: ReserveTokens = 0
    strategy: ContextStrategy = ContextStrategy.BALANCED
    min_trust: MinTrust | None = None
    compression: HowCompressed = Compression.EXTRACTIVE

    @model_validator(mode="after")
    def _asks_something(self) -> Self:
        if self.query is None and self.session_id is None:
            message = "must name a query, a session_id or both"
            raise ValueError(message)
        return self

    def domain(self, max_tokens_default: int) -> ContextRequest:
        """Return the request, with the server's budget where it names none."""
        return ContextRequest(
            query=self.query,
            session_id=self.session_id,
            model=self.model,
            max_tokens=self.max_tokens or max_tokens_default,
            reserve_tokens=self.reserve_tokens,
            strategy=self.strategy,
            min_trust=self.min_trust,
            compression=self.compression,
        )


class OptimizeItemBody(Wire):
    """One item that would like to be in the prompt."""

    content: Annotated[
        str, StringConstraints(min_length=1, max_length=OPTIMIZE_ITEM_CHARACTERS_MAX)
    ]
    priority: Number = 1.0
    category: Annotated[str, StringConstraints(max_length=CATEGORY_CHARACTERS_MAX)] = (
        "general"
    )
    metadata: Metadata = Field(default_factory=dict)


class OptimizeBody(Wire):
    """POST /context/optimize."""

    items: Annotated[
        list[OptimizeItemBody], Field(min_length=1, max_length=OPTIMIZE_ITEMS_MAX)
    ]
    max_tokens: Annotated[
        Integer, Field(ge=OPTIMIZE_TOKENS_MIN, le=OPTIMIZE_TOKENS_MAX)
    ] = OPTIMIZE_TOKENS_DEFAULT
    reserve_tokens: ReserveTokens = 0
    model: ModelName = ""
    compression: HowCompressed = Compression.EXTRACTIVE

    @model_validator(mode="after")
    def _leaves_room(self) -> Self:
        if self.reserve_tokens >= self.max_tokens:
            message = "reserve_tokens must be less than max_tokens"
            raise ValueError(message)
        return self

    def domain(self) -> OptimizeRequest:
        """Return the request."""
        return OptimizeRequest(
            items=tuple(
                OptimizeItem(item.content, item.priority, item.category, item.metadata)
                for item in self.items
            ),
            max_tokens=self.max_tokens,
            reserve_tokens=self.reserve_tokens,
            model=self.model,
            compression=self.compression,
        )


class SessionBody(Wire):
    """POST /sessions."""

    title: OptionalName = ""
    id: SessionId | None = None
    namespace: NamespaceName | None = None
    user_id: Name | None = None
    agent_id: Name | None = None
    metadata: Metadata = Field(default_factory=dict)

    def domain(self) -> NewSession:
        """Return the session to open."""
        return NewSession(
            title=self.title,
            id=self.id,
            user_id=self.user_id,
            agent_id=self.agent_id,
            metadata=self.metadata,
        )


class SessionsQuery(InNamespace):
    """GET /sessions and GET /sessions/{id}/messages."""

    cursor: Cursor | None = None
    limit: Annotated[int, Field(ge=1, le=PAGE_LIMIT_MAX)] = PAGE_LIMIT_DEFAULT


class StateBody(Wire):
    """PUT /state/{namespace}/{key}."""

    value: StateValue
    ttl_seconds: TtlSeconds | None = None


class SnapshotQuery(Wire):
    """GET /state/snapshot."""

    since: Annotated[str, StringConstraints(max_length=SINCE_CHARACTERS_MAX)] | None = (
        None
    )


class VectorBody(Wire):
    """POST /vector/search."""

    query: QueryText
    top_k: Annotated[Integer, Field(ge=1, le=TOP_K_MAX)] = VECTOR_TOP_K_DEFAULT
    filter_metadata: dict[str, Any] = Field(default_factory=dict)
    min_trust: MinTrust | None = None
    namespace: NamespaceName | None = None


class SessionAnswer(Wire):
    """A conversation; times are epoch seconds."""

    id: str
    namespace: str
    title: str
    user_id: str | None
    agent_id: str | None
    metadata: dict[str, Any]
    created_at: float
    updated_at: float
    message_count: int


class SessionPageAnswer(Wire):
    """One page."""

    sessions: list[SessionAnswer]
    next_cursor: str | None


class StateAnswer(Wire):
    """One value; the etag is in the ``ETag`` header too, quoted."""

    namespace: str
    key: str
    value: Any
    etag: str
    expires_at: float | None


class BlockAnswer(Wire):
    """One piece of a context."""

    kind: str
    role: str
    content: str
    ids: list[str]
    tokens: int


class IncludedAnswer(Wire):
    """One memory that is in."""

    id: str
    tokens: int
    score: float
    tokens_before: int
    compression: Compression
    lossy: bool


class DroppedAnswer(Wire):
    """One candidate that is out."""

    id: str
    reason: str
    tokens: int


class ContextAnswer(Wire):
    """A context; ``total_tokens`` counts ``text``."""

    blocks: list[BlockAnswer]
    text: str
    total_tokens: int
    budget: int
    token_method: str
    token_exact: bool
    included: list[IncludedAnswer]
    dropped: list[DroppedAnswer]
    summary: str
    low_confidence: bool
    degraded: list[str]
    compression: Compression
    compression_fallback: str


class OptimizedItemAnswer(Wire):
    """One kept item; ``index`` is its place in the request."""

    index: int
    content: str
    priority: float
    category: str
    metadata: dict[str, Any]
    tokens: int
    tokens_before: int
    compression: Compression
    lossy: bool


class DroppedItemAnswer(Wire):
    """One item left out."""

    index: int
    reason: str
    tokens: int


class OptimizedAnswer(Wire):
    """What fits."""

    items: list[OptimizedItemAnswer]
    total_tokens: int
    items_included: int
    items_dropped: int
    budget_used_percent: float
    dropped: list[DroppedItemAnswer]
    token_method: str
    token_exact: bool
    compression: Compression
    compression_fallback: str


class VectorHitAnswer(Wire):
    """One document."""

    doc_id: str
    score: float
    uri: str
    summary: str | None
    metadata: dict[str, Any]


class VectorAnswer(Wire):
    """Documents, nearest first."""

    hits: list[VectorHitAnswer]
    query_embedding_time_ms: float
    search_time_ms: float


def session(value: Session) -> dict[str, object]:
    """Shape one conversation."""
    return {
        "id": value.id,
        "namespace": value.namespace.name,
        "title": value.title,
        "user_id": value.user_id,
        "agent_id": value.agent_id,
        "metadata": plain(value.metadata),
        "created_at": value.created_at,
        "updated_at": value.updated_at,
        "message_count": value.message_count,
    }


def session_page(value: SessionPage) -> dict[str, object]:
    """Shape one page."""
    return {
        "sessions": [session(item) for item in value.sessions],
        "next_cursor": value.next_cursor,
    }


def state(namespace: str, value: StateEntry) -> dict[str, object]:
    """Shape one hot-state value."""
    return {
        "namespace": namespace,
        "key": value.key,
        "value": value.value,
        "etag": value.etag,
        "expires_at": value.expires_at,
    }


def context(value: BuiltContext) -> dict[str, object]:
    """Shape a context."""
    return {
        "blocks": value.blocks,
        "text": value.text,
        "total_tokens": value.total_tokens,
        "budget": value.budget,
        "token_method": value.token_method,
        "token_exact": value.token_exact,
        "included": value.included,
        "dropped": value.dropped,
        "summary": value.summary,
        "low_confidence": value.low_confidence,
        "degraded": value.degraded,
        "compression": value.compression,
        "compression_fallback": value.compression_fallback,
    }


def optimized(value: Optimized) -> dict[str, object]:
    """Shape the answer of POST /context/optimize."""
    return {
        "items": [
            {
                "index": kept.index,
                "content": kept.item.content,
                "priority": kept.item.priority,
                "category": kept.item.category,
                "metadata": plain(kept.item.metadata),
                "tokens": kept.tokens,
                "tokens_before": kept.tokens_before,
                "compression": kept.compression,
                "lossy": kept.lossy,
            }
            for kept in value.items
        ],
        "total_tokens": value.total_tokens,
        "items_included": len(value.items),
        "items_dropped": len(value.dropped),
        "budget_used_percent": value.budget_used_percent,
        "dropped": value.dropped,
        "token_method": value.token_method,
        "token_exact": value.token_exact,
        "compression": value.compression,
        "compression_fallback": value.compression_fallback,
    }


def vector_hits(value: VectorHits) -> dict[str, object]:
    """Shape the answer of POST /vector/search."""
    return {
        "hits": [
            {
                "doc_id": hit.doc_id,
                "score": hit.score,
                "uri": hit.uri,
                "summary": hit.summary,
                "metadata": plain(hit.metadata),
            }
            for hit in value.hits
        ],
        "query_embedding_time_ms": value.query_embedding_time_ms,
        "search_time_ms": value.search_time_ms,
    }
