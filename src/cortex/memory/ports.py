"""What memory asks of its store, and the values that travel to and from it.

The store is the truth; everything held in process memory (shards, the hot records)
is a projection that follows it by `Head`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from cortex.foundation.tenancy import Namespace
from cortex.memory.model import (
    Forgotten,
    Memory,
    MemoryPatch,
    MemoryStats,
    NewMemory,
    Page,
    Quarantined,
    Selection,
    Stored,
    Tier,
)

Vector = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class ChunkVector:
    """The embedding of one part of a content.

    Attributes:
        start: first character of the part in the content.
        end: the character after its last.
        vector: L2-normalised, kept as float16.
    """

    start: int
    end: int
    vector: Vector


@dataclass(frozen=True, slots=True)
class Restored:
    """What an imported memory brings along from its former life.

    Attributes:
        id: its former id; used again when it is free.
        dedupe: its former dedupe key, so that importing it twice stores it once.
        quarantined_at: it was quarantined, and stays so; with its reason.
        (others as in ``Memory``; None means as for a new memory)
    """

    id: str | None = None
    dedupe: bytes | None = None
    tier: Tier | None = None
    created_at: float | None = None
    updated_at: float | None = None
    accessed_at: float | None = None
    access_count: int = 0
    expires_at: float | None = None
    quarantined_at: float | None = None
    quarantine_reason: str = ""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A memory ready to be written: analysed and, if the embedder was up, embedded.

    Attributes:
        terms: its words in the stored form of ``cortex.memory.lexical``.
        vectors: one a chunk, of one length; None leaves the embedding pending.
        space: vector space of ``vectors``; None exactly when they are.
        restored: set by an import only.
    """

    item: NewMemory
    terms: bytes
    vectors: tuple[ChunkVector, ...] | None = None
    space: str | None = None
    restored: Restored | None = None


@dataclass(frozen=True, slots=True)
class WriteContext:
    """On whose behalf something is written, for the events it causes.

    Attributes:
        actor: the principal's subject, or a name such as ``upkeep``.
    """

    correlation_id: str
    actor: str
    traceparent: str = ""


@dataclass(frozen=True, slots=True)
class Head:
    """How far a namespace, or a projection of it, has come.

    Attributes:
        seq: its last row.
        version: its last change to an older row.
        floor: changes up to this version are no longer told, whose ever they were.
    """

    seq: int = 0
    version: int = 0
    floor: int = 0

    def is_ahead_of(self, projection: "Head") -> bool:
        """Return whether a projection that stands there has something to catch up."""
        return (
            self.seq > projection.seq
            or self.version > projection.version
            or self.floor > projection.version
        )


class ProjectedRow(NamedTuple):
    """What a shard keeps of one row (a tuple: a shard loads them by the 100 000).

    ``tags`` and ``metadata`` are JSON; ``content_key`` tells one content from another;
    ``vectors`` are ``chunks`` float16 rows, None while the embedding is pending;
    ``quarantined`` is 0 or 1.
    """

    seq: int
    occurred_at: float
    expires_at: float | None
    importance: float
    tier: str
    modality: str
    kind: str
    author: str
    session_id: str | None
    user_id: str | None
    agent_id: str | None
    tags: str
    metadata: str
    terms: bytes
    content_key: bytes
    space: str | None
    chunks: int
    vectors: bytes | None
    trust: float
    source_kind: str
    quarantined: int


@dataclass(frozen=True, slots=True)
class Changes:
    """What happened in a namespace after a head.

    Attributes:
        rows: rows that are new or to be read again, in order of ``seq``.
        gone: rows that were forgotten.
        head: where the namespace is when these have been applied.
        more: whether another call has more.
        stale: the log no longer reaches back that far; load afresh.
    """

    rows: tuple[ProjectedRow, ...]
    gone: tuple[int, ...]
    head: Head
    more: bool = False
    stale: bool = False


@dataclass(frozen=True, slots=True)
class Found:
    """A row by its number, with the spans of its chunks for excerpts."""

    seq: int
    memory: Memory
    spans: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Exported:
    """A memory with its row number and dedupe key, for an export."""

    seq: int
    memory: Memory
    dedupe: bytes | None


@dataclass(frozen=True, slots=True)
class Pending:
    """A memory that has no vector in the wanted space yet."""

    seq: int
    namespace: Namespace
    memory: Memory


@dataclass(frozen=True, slots=True)
class Embedded:
    """Vectors for a row that had none in the space.

    ``content_sha256`` guards against a content that changed while it was embedded.
    """

    seq: int
    content_sha256: str
    vectors: tuple[ChunkVector, ...]


class MemoryStore(Protocol):
    """Where memories are kept for good; every path takes a ``Namespace``.

    Writes are durable when they return and tell of themselves through the outbox, in
    the same transaction.
    """

    async def add(
        self, ns: Namespace, prepared: Sequence[Prepared], *, context: WriteContext
    ) -> list[Stored]:
        """Store memories in one transaction and return their ids, in order.

        A memory that is there already (see ``rows.dedupe_key``) is not stored again.

        Raises:
            StorageFull: the disk is full; nothing was stored.
        """
        ...

    async def get(self, ns: Namespace, memory_id: str) -> Memory:
        """Return one memory.

        Raises:
            MemoryNotFound: none with this id here, or its time to live is over.
        """
        ...

    async def update(
        self,
        ns: Namespace,
        memory_id: str,
        patch: MemoryPatch,
        *,
        prepared: Prepared | None,
        context: WriteContext,
    ) -> Memory:
        """Change fields of one memory and return it as it is now.

        ``prepared`` carries the new terms and vectors; it is required when the content
        or the author changes.

        Raises:
            MemoryNotFound: none with this id here.
        """
        ...

    async def list(
        self,
        ns: Namespace,
        selection: Selection,
        *,
        cursor: str | None,
        limit: int,
        oldest_first: bool = False,
    ) -> Page:
        """Return one page of the selected memories in the order of storing.

        Raises:
            InvalidCursor: the cursor is not from this listing.
        """
        ...

    async def forget(
        self, ns: Namespace, what: Sequence[str] | Selection, *, context: WriteContext
    ) -> Forgotten:
        """Remove memories by id or by selection, from every file.

        Ids that are not here are passed over.
        """
        ...

    async def quarantine(
        self,
        ns: Namespace,
        what: Sequence[str] | Selection,
        *,
        reason: str,
        context: WriteContext,
    ) -> Quarantined:
        """Keep memories out of answers, by id or by selection.

        Ids that are not here, and memories that are quarantined already, are passed
        over.
        """
        ...

    async def release(
        self, ns: Namespace, memory_id: str, *, context: WriteContext
    ) -> Memory:
        """End a quarantine and return the memory; one that is in none stays as it is.

        Raises:
            MemoryNotFound: none with this id here.
        """
        ...

    async def stats(self, tenant: str, ns: Namespace | None = None) -> MemoryStats:
        """Return counts and bytes, of one namespace or of all the tenant's."""
        ...

    async def namespaces(self, tenant: str) -> tuple[str, ...]:
        """Return the names of the tenant's namespaces, sorted."""
        ...

    async def pending(
        self, space: str, *, after: int = 0, limit: int = 64
    ) -> tuple[Pending, ...]:
        """Return memories without a vector in ``space``, by row number after one."""
        ...

    async def set_vectors(
        self, ns: Namespace, space: str, embedded: Sequence[Embedded]
    ) -> int:
        """Give rows their vectors and return how many took them."""
        ...

    async def head(self, ns: Namespace) -> Head:
        """Return how far the namespace has come; a cheap call."""
        ...

    async def changes(self, ns: Namespace, since: Head, *, limit: int) -> Changes:
        """Return what happened after ``since``, at most ``limit`` of each kind."""
        ...

    async def found(self, ns: Namespace, seqs: Sequence[int]) -> tuple[Found, ...]:
        """Return rows by number, in any order; the missing ones are left out."""
        ...

    async def exported(
        self, ns: Namespace, *, after: int, limit: int, quarantined: bool = False
    ) -> Sequence[Exported]:
        """Return live memories in the order of storing, after a row number.

        Quarantined ones are among them only where asked for.
        """
        ...

    def touch(self, ns: Namespace, seqs: Sequence[int]) -> None:
        """Note that rows were used; written later, never in the caller's way."""
        ...
