"""What the journeys take and give, beyond the nouns of the rooms they use."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from cortex.foundation.canonical import JsonValue
from cortex.inference.ports import ModelInfo
from cortex.memory.model import Session
from cortex.memory.strategies import Compression


@dataclass(frozen=True, slots=True)
class CallContext:
    """Who asks, and under which id the whole chain of work is found again.

    Attributes:
        correlation_id: validated id from the caller, or a fresh UUIDv7.
        actor: subject of the principal (a token's name, never its value).
        traceparent: W3C trace context of the caller; empty when none came.
        scopes: what the caller's token holds, for what needs more than its door asks.
    """

    correlation_id: str
    actor: str
    traceparent: str = ""
    scopes: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class NewSession:
    """A conversation to open; ``id`` None lets the server choose one."""

    title: str = ""
    id: str | None = None
    user_id: str | None = None
    agent_id: str | None = None
    metadata: Mapping[str, JsonValue] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SessionPage:
    """One page of conversations; ``next_cursor`` is None on the last."""

    sessions: tuple[Session, ...]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class LineError:
    """Why one line of an import was not stored.

    Attributes:
        line: number in the stream, from 1.
        code: as in ``CortexError.code``.
        message: what is wrong, never the line's content.
        field: which field, where it is known.
    """

    line: int
    code: str
    message: str
    field: str | None = None


@dataclass(frozen=True, slots=True)
class ImportProgress:
    """How far an import is; every counted line is durable.

    Attributes:
        line: last line dealt with, from 1; a resume starts after it.
        stored: lines stored by this call so far.
        existing: lines that were there already.
        failed: lines refused.
        errors: refusals since the last progress (bounded).
        done: true on the last progress of the stream.
    """

    line: int
    stored: int
    existing: int
    failed: int
    errors: tuple[LineError, ...] = ()
    done: bool = False


@dataclass(frozen=True, slots=True)
class StateEntry:
    """One hot-state value; ``etag`` changes with every write (unquoted)."""

    key: str
    value: JsonValue
    etag: str
    expires_at: float | None


class ContextStrategy(StrEnum):
    """Where a context takes its material from.

    ``balanced`` joins recalled memories with the session's last messages, ``recall``
    takes memories only, ``window`` the session's messages and their summary only.
    """

    BALANCED = "balanced"
    RECALL = "recall"
    WINDOW = "window"


@dataclass(frozen=True, slots=True)
class ContextRequest:
    """What a context shall be built for; at least one of query and session is set.

    Attributes:
        model: model name that the tokens are counted for.
        max_tokens: hard budget of the rendered text, in tokens of that model.
        reserve_tokens: kept free of ``max_tokens`` for the answer.
        min_trust: 0..1; memories and messages trusted less are left out.
        compression: how memories may be shortened.
    """

    query: str | None
    session_id: str | None
    model: str
    max_tokens: int
    reserve_tokens: int = 0
    strategy: ContextStrategy = ContextStrategy.BALANCED
    min_trust: float | None = None
    compression: Compression = Compression.EXTRACTIVE


@dataclass(frozen=True, slots=True)
class ContextBlock:
    """One piece of a context, in reading order.

    Attributes:
        kind: ``memory``, ``message`` or ``summary``.
        role: chat role it can be sent as (``system``, ``user``, ``assistant``).
        content: the text as rendered.
        ids: memories it was made from.
        tokens: what it adds to the total.
    """

    kind: str
    role: str
    content: str
    ids: tuple[str, ...]
    tokens: int


@dataclass(frozen=True, slots=True)
class Included:
    """One memory that is in the context.

    Attributes:
        tokens_before: of the memory as it is stored.
        compression: what made it shorter; ``none`` where it is whole.
        lossy: whether something of it is missing.
    """

    id: str
    tokens: int
    score: float
    tokens_before: int = 0
    compression: Compression = Compression.NONE
    lossy: bool = False


@dataclass(frozen=True, slots=True)
class Dropped:
    """One candidate that is not in the context, and why (``budget``, ``floor`` …)."""

    id: str
    reason: str
    tokens: int = 0


@dataclass(frozen=True, slots=True)
class BuiltContext:
    """A context; ``total_tokens`` counts ``text`` and never passes ``budget``.

    Attributes:
        budget: ``max_tokens`` less ``reserve_tokens``.
        token_method: what counted, such as ``quicktok:o200k``.
        token_exact: whether the model itself would count the same.
        summary: extractive summary of what fell out of the window; empty if none.
        low_confidence: nothing recalled answers the query.
        degraded: what was missing, such as ``dense``.
        compression: the strategy that was used.
        compression_fallback: why it is not the one asked for; empty where it is.
    """

    blocks: tuple[ContextBlock, ...]
    text: str
    total_tokens: int
    budget: int
    token_method: str
    token_exact: bool
    included: tuple[Included, ...]
    dropped: tuple[Dropped, ...]
    summary: str = ""
    low_confidence: bool = False
    degraded: tuple[str, ...] = ()
    compression: Compression = Compression.EXTRACTIVE
    compression_fallback: str = ""


@dataclass(frozen=True, slots=True)
class OptimizeItem:
    """One item the caller would like in its context; greater priority goes first."""

    content: str
    priority: float = 1.0
    category: str = "general"
    metadata: Mapping[str, JsonValue] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class OptimizeRequest:
    """The caller's own items, to be fitted into ``max_tokens - reserve_tokens``."""

    items: tuple[OptimizeItem, ...]
    max_tokens: int
    reserve_tokens: int = 0
    model: str = ""
    compression: Compression = Compression.EXTRACTIVE


@dataclass(frozen=True, slots=True)
class OptimizedItem:
    """One kept item; ``index`` is its place in the request, from 0.

    Attributes:
        tokens_before: of the item as it was given.
        compression: what made it shorter; ``none`` where it is whole.
        lossy: whether something of it is missing.
    """

    index: int
    item: OptimizeItem
    tokens: int
    tokens_before: int = 0
    compression: Compression = Compression.NONE
    lossy: bool = False


@dataclass(frozen=True, slots=True)
class DroppedItem:
    """One item left out, and why."""

    index: int
    reason: str
    tokens: int


@dataclass(frozen=True, slots=True)
class Optimized:
    """The items that fit, in prompt order; the dropped ones with their reasons."""

    items: tuple[OptimizedItem, ...]
    dropped: tuple[DroppedItem, ...]
    total_tokens: int
    budget_used_percent: float
    token_method: str
    token_exact: bool
    compression: Compression = Compression.EXTRACTIVE
    compression_fallback: str = ""


@dataclass(frozen=True, slots=True)
class Resource:
    """Something a caller can reach; ``kind`` is such as ``database``."""

    id: str
    kind: str
    name: str
    uri: str
    metadata: Mapping[str, JsonValue] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class VectorHit:
    """One document found by meaning."""

    doc_id: str
    score: float
    uri: str
    summary: str | None
    metadata: Mapping[str, JsonValue]


@dataclass(frozen=True, slots=True)
class VectorHits:
    """Answer to a vector search, with the time of its two steps."""

    hits: tuple[VectorHit, ...]
    query_embedding_time_ms: float
    search_time_ms: float


@dataclass(frozen=True, slots=True)
class DatabaseInfo:
    """A registered database."""

    name: str
    engine: str
    tables: int


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table."""

    name: str
    type: str
    nullable: bool
    primary_key: bool


@dataclass(frozen=True, slots=True)
class Table:
    """One table of a registered database."""

    name: str
    columns: tuple[Column, ...]


@dataclass(frozen=True, slots=True)
class DatabaseSchema:
    """Tables of a database; ``schema_hash`` changes when any of them does."""

    database: str
    tables: tuple[Table, ...]
    schema_hash: str
    computed_at: float


@dataclass(frozen=True, slots=True)
class DatabaseSample:
    """First rows of a table; ``truncated`` when there are more."""

    database: str
    table: str
    limit: int
    rows: tuple[Mapping[str, JsonValue], ...]
    truncated: bool


@dataclass(frozen=True, slots=True)
class ServiceInfo:
    """A known service and where it listens."""

    name: str
    kind: str
    url: str


@dataclass(frozen=True, slots=True)
class ServiceHealth:
    """Measured health of a known service."""

    name: str
    status: str
    latency_ms: float
    checked_at: float
    error: str = ""


@dataclass(frozen=True, slots=True)
class FileEntry:
    """One entry of a folder; ``path`` is relative to its root."""

    name: str
    path: str
    kind: str
    size_bytes: int
    modified_at: float


@dataclass(frozen=True, slots=True)
class FileListing:
    """A folder of a registered root; ``truncated`` when it holds more entries."""

    root: str
    path: str
    entries: tuple[FileEntry, ...]
    truncated: bool


@dataclass(frozen=True, slots=True)
class FileText:
    """The beginning of a text file."""

    root: str
    path: str
    text: str
    size_bytes: int
    bytes_read: int
    truncated: bool


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model of the registry and what it did since the start.

    Attributes:
        modalities: what it reads.
        active: whether it embeds what is stored.
        cache_hits: texts whose vector was kept already.
        cache_misses: texts that it had to embed.
        uses: times it was taken into use; `load_misses` of them had to load it.
        load_seconds: time that loading it took.
        evictions: times it made room for another.
    """

    info: ModelInfo
    loaded: bool
    modalities: tuple[str, ...] = ("text",)
    active: bool = False
    cache_hits: int = 0
    cache_misses: int = 0
    uses: int = 0
    load_misses: int = 0
    load_seconds: float = 0.0
    evictions: int = 0


class Status(StrEnum):
    """Health of a part, or of the whole."""

    OK = "ok"
    DEGRADED = "degraded"
    UNHEALTHY = "unhealthy"


@dataclass(frozen=True, slots=True)
class CheckResult:
    """Answer of one dependency that was really asked."""

    status: Status
    latency_ms: float
    error: str = ""
    detail: Mapping[str, JsonValue] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class HealthReport:
    """All checks and the worst that follows from them."""

    status: Status
    checks: Mapping[str, CheckResult]


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether traffic may come; ``reason`` says why not."""

    ready: bool
    reason: str = ""
