"""What the audit ledger answers, as frozen values.

``recorded_at`` is the RFC 3339 text that was hashed, not epoch seconds.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from cortex_client.wire import Json


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One entry of the ledger; ``data`` never holds personal content."""

    index: int
    entry_id: str
    entry_hash: str
    recorded_at: str
    kind: str
    run_id: str = ""
    agent_name: str = ""
    outcome: str = ""
    correlation_id: str = ""
    actor: str = ""
    subject: str = ""
    data: Json = field(default_factory=dict)
    extra: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AuditPage:
    """Entries, newest first; ``next_before`` is None on the last page."""

    entries: tuple[AuditEntry, ...]
    next_before: int | None = None
    extra: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AgentStats:
    """Counts of one agent's calls."""

    calls: int
    failed: int = 0
    avg_latency_ms: float | None = None
    extra: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AuditStats:
    """The ledger in numbers; rates are None without calls."""

    total_entries: int
    agents: Mapping[str, AgentStats]
    success_rate: float | None = None
    avg_latency_ms: float | None = None
    calls: int = 0
    extra: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class InclusionProof:
    """That an entry is in the signed tree.

    Attributes:
        path: hashes from the leaf's sibling up, base64.
        checkpoint: the signed head.
        receipt: all of it as a tlog-proof.
        entry: the exact text that was hashed; None for another tenant's.
    """

    index: int
    size: int
    entry_hash: str
    path: tuple[str, ...]
    checkpoint: str
    receipt: str
    entry: str | None = None
    extra: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ConsistencyProof:
    """That one tree only adds to an older one; hashes in base64."""

    old_size: int
    new_size: int
    path: tuple[str, ...]
    old_root: str
    new_root: str


@dataclass(frozen=True, slots=True)
class AuditFinding:
    """One thing that is not as it should be."""

    reason: str
    index: int | None = None
    detail: str = ""
    extra: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AuditVerdict:
    """``intact``, ``tampered`` (``index``: the first bad entry) …, and why.

    Attributes:
        exit_code: of ``cortex ledger verify`` with this verdict.
        pinned: whether a head from outside the store took part.
    """

    verdict: str
    exit_code: int
    reason: str = ""
    index: int | None = None
    detail: str = ""
    size: int = 0
    root: str = ""
    signed_size: int = 0
    checked_from: int = 0
    pinned: bool = False
    findings: tuple[AuditFinding, ...] = ()
    recovered: tuple[str, ...] = ()
    extra: Json = field(default_factory=dict)
