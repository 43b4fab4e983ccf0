"""The nouns of memory: what is remembered, where it lies, and what a search finds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from cortex.foundation.canonical import JsonValue
from cortex.foundation.tenancy import Namespace
from cortex.memory.trust import TRUST_CEILINGS, SourceKind


class Tier(StrEnum):
    """How close at hand a memory is kept."""

    HOT = "hot"
    WARM = "warm"
    COLD = "cold"


class Modality(StrEnum):
    """What kind of thing the content is or refers to."""

    TEXT = "text"
    IMAGE = "image"
    AUDIO = "audio"
    VIDEO = "video"


class Quarantine(StrEnum):
    """What a selection does about quarantined memories."""

    EXCLUDED = "excluded"
    INCLUDED = "included"
    ONLY = "only"


class SearchMode(StrEnum):
    """Which signals a search uses."""

    HYBRID = "hybrid"
    SEMANTIC = "semantic"
    KEYWORD = "keyword"


@dataclass(frozen=True, slots=True)
class NewMemory:
    """One thing to remember, as the caller gives it.

    Attributes:
        content: the text itself.
        author: who said or wrote it; part of what recall understands.
        kind: free label, such as ``message``, ``fact``, ``plan``.
        session_id: conversation it belongs to; order within it is kept.
        importance: 0..1, the caller's view of its worth.
        tags: labels to filter by.
        metadata: the caller's JSON object, filterable.
        occurred_at: when it happened, epoch seconds; None means now.
        valid_from: start of the time it is true, epoch seconds.
        valid_to: end of the time it is true, epoch seconds.
        ttl_seconds: forget it this long after it was stored.
        idempotency_key: the same key in the same namespace is the same memory.
        run_id: the run of the writer that it came from.
        source: reference to where it came from, such as a URL or the name of a tool.
        trust: 0..1; at most what ``source_kind`` allows, which is also the default.
    """

    content: str
    author: str = ""
    kind: str = "message"
    session_id: str | None = None
    agent_id: str | None = None
    user_id: str | None = None
    importance: float = 0.5
    tags: tuple[str, ...] = ()
    metadata: Mapping[str, JsonValue] = field(default_factory=dict)
    occurred_at: float | None = None
    valid_from: float | None = None
    valid_to: float | None = None
    ttl_seconds: float | None = None
    modality: Modality = Modality.TEXT
    idempotency_key: str | None = None
    run_id: str | None = None
    source: str = ""
    source_kind: SourceKind = SourceKind.UNKNOWN
    trust: float | None = None


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a memory came from.

    Attributes:
        written_by: subject of the principal that wrote its content; empty for one from
            before this was kept. The rest is what that writer said.
    """

    written_by: str = ""
    run_id: str | None = None
    source: str = ""
    source_kind: SourceKind = SourceKind.UNKNOWN


@dataclass(frozen=True, slots=True)
class Memory:
    """One stored memory.

    Attributes:
        embedding: ``ready``, or ``pending`` while the embedder is down.
        space: vector space of its embedding; None while pending.
        content_sha256: hash of the content, which outlives a forget in the ledger.
        trust: 0..1; a fact to filter by, no part of any score.
        quarantined_at: since when it is kept out of answers; None when it is not.
        quarantine_reason: why: ``rule:`` and a rule's name, or somebody's words.
        (others as in ``NewMemory``; times are epoch seconds)
    """

    id: str
    namespace: Namespace
    content: str
    author: str
    kind: str
    session_id: str | None
    agent_id: str | None
    user_id: str | None
    importance: float
    tags: tuple[str, ...]
    metadata: Mapping[str, JsonValue]
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
    provenance: Provenance = Provenance()
    trust: float = TRUST_CEILINGS[SourceKind.UNKNOWN]
    quarantined_at: float | None = None
    quarantine_reason: str = ""

    @property
    def quarantined(self) -> bool:
        """Return whether it is kept out of answers."""
        return self.quarantined_at is not None


@dataclass(frozen=True, slots=True)
class Stored:
    """Answer to one ``NewMemory``: its id, and whether it was there already.

    ``quarantined`` says why it is kept out of answers; empty when it is not.
    """

    id: str
    created: bool
    embedding: str
    quarantined: str = ""


@dataclass(frozen=True, slots=True)
class MemoryPatch:
    """Fields to change; None leaves a field as it is."""

    content: str | None = None
    author: str | None = None
    kind: str | None = None
    importance: float | None = None
    tags: tuple[str, ...] | None = None
    metadata: Mapping[str, JsonValue] | None = None
    valid_from: float | None = None
    valid_to: float | None = None
    ttl_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class TimeRange:
    """Half-open interval of ``occurred_at``, epoch seconds; None leaves it open."""

    start: float | None = None
    end: float | None = None


@dataclass(frozen=True, slots=True)
class Origin:
    """Conditions on where memories came from; None leaves one open."""

    source: str | None = None
    run_id: str | None = None
    written_by: str | None = None


@dataclass(frozen=True, slots=True)
class Selection:
    """Which memories of one namespace: for listing, filtering and forgetting.

    Attributes:
        where: a filter tree (see ``cortex.memory.filters``), already validated.
        min_trust: 0..1; what is trusted less is not selected.
        source_kinds: kinds of source that are selected; None for all.
        origin: for listing, quarantining and forgetting; a search does not know it.
        quarantine: a forget takes quarantined memories along unless it is ``ONLY``.
        idempotency_key: the one memory stored under this key; not for a search.
    """

    session_id: str | None = None
    user_id: str | None = None
    agent_id: str | None = None
    author: str | None = None
    kind: str | None = None
    tag: str | None = None
    time_range: TimeRange | None = None
    tiers: frozenset[Tier] | None = None
    modality: Modality | None = None
    where: Mapping[str, JsonValue] | None = None
    min_trust: float | None = None
    source_kinds: frozenset[SourceKind] | None = None
    origin: Origin | None = None
    quarantine: Quarantine = Quarantine.EXCLUDED
    idempotency_key: str | None = None


@dataclass(frozen=True, slots=True)
class Query:
    """One search.

    ``text`` may carry time words ("last week"); ``time_range`` in the selection is a
    hard limit, time words are evidence. With ``feedback`` a hybrid search that brings
    no vector takes one from the memories that are best by words.
    """

    text: str
    top_k: int = 10
    mode: SearchMode = SearchMode.HYBRID
    selection: Selection = field(default_factory=Selection)
    explain: bool = False
    feedback: bool = False


@dataclass(frozen=True, slots=True)
class Hit:
    """One found memory.

    Attributes:
        score: fused worth; comparable within one answer only.
        confidence: 0..1, that this answers the query at all.
        signals: each signal's part in the score (they sum to it); empty unless asked.
        facts: what is known of the memory beside its score; empty unless asked.
        excerpts: (start, end) character spans of the content, best first.
    """

    memory: Memory
    score: float
    confidence: float
    signals: Mapping[str, float] = field(default_factory=dict)
    excerpts: Sequence[tuple[int, int]] = ()
    facts: Mapping[str, JsonValue] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Recalled:
    """Answer to a search; ``degraded`` names what was missing, such as ``dense``."""

    hits: tuple[Hit, ...]
    low_confidence: bool
    confidence: float
    degraded: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a listing; ``next_cursor`` is None on the last."""

    memories: tuple[Memory, ...]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What a forget removed: ids and content hashes, never content."""

    ids: tuple[str, ...]
    content_sha256: tuple[str, ...]
    forgotten_at: float


@dataclass(frozen=True, slots=True)
class Quarantined:
    """What a quarantine took out of answers; those quarantined before are not named."""

    ids: tuple[str, ...]
    reason: str
    quarantined_at: float


@dataclass(frozen=True, slots=True)
class MemoryStats:
    """Counts and bytes by tier, kind and namespace name."""

    total: int
    bytes_total: int
    by_tier: Mapping[str, int]
    bytes_by_tier: Mapping[str, int]
    by_kind: Mapping[str, int]
    by_namespace: Mapping[str, int]
    pending_embeddings: int


@dataclass(frozen=True, slots=True)
class Session:
    """A conversation."""

    id: str
    namespace: Namespace
    title: str
    user_id: str | None
    agent_id: str | None
    metadata: Mapping[str, JsonValue]
    created_at: float
    updated_at: float
    message_count: int
