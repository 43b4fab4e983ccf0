"""What goes over the wire, as frozen values.

Times are seconds since the Unix epoch; a caller may also give ISO 8601 text.
``extra`` holds the fields that a newer server sends and this client does not know yet.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

Json = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class NewMemory:
    """One thing to remember; what is None or empty is not sent.

    Attributes:
        author: who said or wrote it; recall understands it.
        importance: 0..1.
        occurred_at: when it happened; the server's clock when None.
        valid_from: start of the time it is true; ``valid_to`` its end.
        ttl_seconds: forget it this long after it was stored.
        idempotency_key: the same key in one namespace is the same memory.
        run_id: your run that it came from.
        source: reference to where it came from, such as a URL or a tool's name.
        source_kind: user, agent, tool, import, web or unknown.
        trust: 0..1, at most what ``source_kind`` allows, which is the default.
    """

    content: str
    author: str = ""
    kind: str = ""
    session_id: str | None = None
    agent_id: str | None = None
    user_id: str | None = None
    importance: float | None = None
    tags: tuple[str, ...] = ()
    metadata: Json = field(default_factory=dict)
    occurred_at: float | str | None = None
    valid_from: float | str | None = None
    valid_to: float | str | None = None
    ttl_seconds: float | None = None
    modality: str = ""
    idempotency_key: str | None = None
    run_id: str | None = None
    source: str = ""
    source_kind: str = ""
    trust: float | None = None


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a memory came from; ``written_by`` is the name of the writer's token."""

    written_by: str = ""
    run_id: str | None = None
    source: str = ""
    source_kind: str = ""
    extra: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Stored:
    """Answer to one item: its id, and whether it was new.

    ``quarantined`` says why it is kept out of answers; empty when it is not.
    """

    id: str
    created: bool = True
    embedding: str = "ready"
    quarantined: str = ""
    extra: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Remembered:
    """Answer to ``remember``: one entry an item, in order."""

    items: tuple[Stored, ...]
    extra: Json = field(default_factory=dict)

    @property
    def ids(self) -> tuple[str, ...]:
        """Return the ids, in the order of the items."""
        return tuple(item.id for item in self.items)


@dataclass(frozen=True, slots=True)
class Memory:
    """One stored memory."""

    id: str
    content: str
    author: str = ""
    kind: str = ""
    namespace: str = ""
    session_id: str | None = None
    agent_id: str | None = None
    user_id: str | None = None
    importance: float | None = None
    tags: tuple[str, ...] = ()
    metadata: Json = field(default_factory=dict)
    occurred_at: float | None = None
    valid_from: float | None = None
    valid_to: float | None = None
    created_at: float | None = None
    updated_at: float | None = None
    expires_at: float | None = None
    tier: str = ""
    modality: str = ""
    embedding: str = ""
    content_sha256: str = ""
    provenance: Provenance = Provenance()
    trust: float | None = None
    quarantined: bool = False
    quarantine_reason: str = ""
    extra: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Hit:
    """One found memory.

    Attributes:
        score: comparable within one answer only.
        confidence: 0..1, that this answers the query at all.
        signals: each signal's part in the score; only with ``explain``.
        facts: trust and kind of source, no part of the score; only with ``explain``.
    """

    id: str
    content: str
    score: float
    confidence: float = 0.0
    author: str = ""
    kind: str = ""
    session_id: str | None = None
    agent_id: str | None = None
    user_id: str | None = None
    tags: tuple[str, ...] = ()
    metadata: Json = field(default_factory=dict)
    occurred_at: float | None = None
    created_at: float | None = None
    updated_at: float | None = None
    content_sha256: str = ""
    provenance: Provenance = Provenance()
    trust: float | None = None
    quarantined: bool = False
    signals: Mapping[str, float] | None = None
    facts: Json | None = None
    extra: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Recalled:
    """Answer to ``recall``; ``low_confidence`` when nothing answers the query."""

    hits: tuple[Hit, ...]
    low_confidence: bool = False
    confidence: float = 0.0
    degraded: tuple[str, ...] = ()
    extra: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class MemoryPage:
    """One page of a listing; ``next_cursor`` is None on the last."""

    memories: tuple[Memory, ...]
    next_cursor: str | None = None
    extra: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What a forget removed: ids and content hashes, never content."""

    ids: tuple[str, ...]
    content_sha256: tuple[str, ...] = ()
    forgotten_at: float | None = None
    extra: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Quarantined:
    """What a quarantine took out of answers; what was out before is not named."""

    ids: tuple[str, ...]
    reason: str = ""
    quarantined_at: float | None = None
    quarantined: int = 0
    extra: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class MemoryStats:
    """Counts and bytes."""

    total: int
    bytes_total: int = 0
    by_tier: Mapping[str, int] = field(default_factory=dict)
    bytes_by_tier: Mapping[str, int] = field(default_factory=dict)
    by_kind: Mapping[str, int] = field(default_factory=dict)
    by_namespace: Mapping[str, int] = field(default_factory=dict)
    pending_embeddings: int = 0
    extra: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LineError:
    """Why one line of an import was refused; ``line`` counts from 1."""

    line: int
    message: str
    code: str = ""
    field: str | None = None


@dataclass(frozen=True, slots=True)
class Imported:
    """How far an import is; every counted line is durable.

    Attributes:
        line: last line dealt with, from 1; resume after it.
    """

    line: int
    stored: int
    existing: int = 0
    failed: int = 0
    errors: tuple[LineError, ...] = ()
    extra: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Session:
    """A conversation."""

    id: str
    title: str = ""
    namespace: str = ""
    user_id: str | None = None
    agent_id: str | None = None
    metadata: Json = field(default_factory=dict)
    created_at: float | None = None
    updated_at: float | None = None
    message_count: int = 0
    extra: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SessionPage:
    """One page of conversations; ``next_cursor`` is None on the last."""

    sessions: tuple[Session, ...]
    next_cursor: str | None = None
    extra: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StateEntry:
    """One hot-state value; ``etag`` changes with every write."""

    key: str
    value: object
    etag: str = ""
    expires_at: float | None = None
    extra: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ContextBlock:
    """One piece of a context, in reading order."""

    content: str
    role: str = ""
    kind: str = ""
    ids: tuple[str, ...] = ()
    tokens: int = 0
    extra: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Included:
    """One memory that is in a context."""

    id: str
    tokens: int = 0
    score: float = 0.0
    tokens_before: int = 0
    compression: str = ""
    lossy: bool = False
    extra: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Dropped:
    """One candidate left out, and why."""

    id: str
    reason: str
    tokens: int = 0
    extra: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Context:
    """A prompt context; ``total_tokens`` of ``text`` never passes ``budget``."""

    blocks: tuple[ContextBlock, ...]
    total_tokens: int
    text: str = ""
    budget: int = 0
    token_method: str = ""
    token_exact: bool = False
    included: tuple[Included, ...] = ()
    dropped: tuple[Dropped, ...] = ()
    summary: str = ""
    low_confidence: bool = False
    degraded: tuple[str, ...] = ()
    compression: str = ""
    compression_fallback: str = ""
    extra: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class OptimizeItem:
    """One item to fit into a budget; greater priority goes first."""

    content: str
    priority: float = 1.0
    category: str = "general"
    metadata: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Optimized:
    """The items that fit, in prompt order."""

    items: tuple[Json, ...]
    total_tokens: int
    items_included: int
    items_dropped: int
    budget_used_percent: float
    compression: str = ""
    compression_fallback: str = ""
    extra: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ContextPack:
    """A signed snapshot of the state; ``freshness`` tells where it came from."""

    generated_at: str
    ttl_seconds: int
    summary: object
    resources: tuple[Json, ...] = ()
    hot_facts: tuple[object, ...] = ()
    signature: str | None = None
    token_count: int = 0
    freshness: str = "fresh"
    extra: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Resource:
    """Something a caller can reach through the server."""

    id: str
    kind: str
    name: str
    uri: str = ""
    metadata: Json = field(default_factory=dict)
    extra: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class VectorHit:
    """One document found by meaning."""

    doc_id: str
    score: float
    uri: str = ""
    summary: str | None = None
    metadata: Json = field(default_factory=dict)
    extra: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class VectorHits:
    """Answer to ``vector_search``, with the time of its two steps in milliseconds."""

    hits: tuple[VectorHit, ...]
    query_embedding_time_ms: float = 0.0
    search_time_ms: float = 0.0
    extra: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Plan:
    """Steps towards a goal; ``branches`` only with the ``tot`` strategy.

    ``id`` is that of the memory that keeps the plan; ``method`` says what made it.
    """

    id: str
    goal: str
    strategy: str = ""
    steps: tuple[Json, ...] = ()
    reasoning: str = ""
    complexity: int = 0
    branches: tuple[Json, ...] = ()
    best_branch_id: str | None = None
    created_at: float = 0.0
    method: str = ""
    memories: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    extra: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reflection:
    """A judgement of an output; ``approved`` from a score of 0.7."""

    quality_score: float
    approved: bool
    issues: tuple[object, ...] = ()
    suggestions: tuple[object, ...] = ()
    action_items: tuple[object, ...] = ()
    id: str = ""
    timestamp: float = 0.0
    method: str = ""
    iteration: int = 1
    another_iteration: bool = False
    progress: Json | None = None
    memories: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    extra: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AuditReceipt:
    """Proof that an entry is in the ledger; durable when answered.

    Attributes:
        proof: a tlog-proof that verifies offline; only with ``wait="published"``.
    """

    run_id: str
    entry_id: str
    index: int
    recorded_at: object
    ledger_path: str = ""
    entry_hash: str = ""
    proof: str | None = None
    extra: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Model:
    """One model the server knows."""

    name: str
    extra: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Health:
    """What the server says of itself and its dependencies."""

    status: str
    service: str = ""
    version: str = ""
    brand: str = ""
    checks: Mapping[str, Json] = field(default_factory=dict)
    extra: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether the server takes traffic; ``reason`` says why not."""

    ready: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Event:
    """One event of the stream; ``data`` is the CloudEvents envelope."""

    id: str
    type: str
    data: object
