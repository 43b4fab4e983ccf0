"""The nouns of the ledger: what is recorded, what is answered, what is asked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from cortex.foundation.canonical import JsonValue
from cortex.foundation.tenancy import DEFAULT_TENANT

AGENT_CALL = "agent.call"
"""Kind of the entries that POST /audit/record makes."""

SUBJECT_FORGOTTEN = "subject.forgotten"
"""Kind of the entry that says whose key was destroyed, who asked and when."""

KEY_ROTATED = "ledger.key_rotated"
"""Kind of the entry that names the next signing key."""


class Outcome(StrEnum):
    """How a recorded call ended."""

    OK = "ok"
    FAILED = "failed"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class AgentCall:
    """One call of an agent's method, as the caller reports it.

    Prompt, raw output, parsed data and the parse error are personal content: they
    are kept encrypted under the subject's key, and the entry holds commitments only.

    Attributes:
        run_id: the caller's run.
        agent_name: which agent acted.
        method_name: which of its methods.
        prompt: what was sent.
        raw_output: what came back.
        correlation_id: ties the entry to requests, logs and events.
        parsed_data: the output after parsing.
        parse_ok: whether parsing worked; None when it was not tried.
        parse_strategy: how it was parsed.
        parse_confidence: 0..1, the caller's trust in the parse.
        parse_error: why parsing failed.
        provider_name: who ran the model.
        model_name: which model.
        latency_ms: duration in milliseconds.
        usage: tokens and costs as the provider reports them.
        context_refs: ids of what was in the context, never its text.
        policy_decisions: decisions that let the call happen.
        subject: whose content this is; forgetting goes by it. Empty: the agent's.
        actor: who recorded it (a token's name).
        tenant: whose entry it is.
    """

    run_id: str
    agent_name: str
    method_name: str
    prompt: str
    raw_output: str
    correlation_id: str = ""
    parsed_data: JsonValue = None
    parse_ok: bool | None = None
    parse_strategy: str = ""
    parse_confidence: float | None = None
    parse_error: str = ""
    provider_name: str = ""
    model_name: str = ""
    latency_ms: float | None = None
    usage: Mapping[str, JsonValue] | None = None
    context_refs: Sequence[JsonValue] = ()
    policy_decisions: Sequence[JsonValue] = ()
    subject: str = ""
    actor: str = ""
    tenant: str = DEFAULT_TENANT

    @property
    def outcome(self) -> Outcome:
        """Return how the call ended, judged by its parse."""
        if self.parse_ok is None:
            return Outcome.UNKNOWN
        return Outcome.OK if self.parse_ok else Outcome.FAILED


@dataclass(frozen=True, slots=True)
class SystemEvent:
    """Something Cortex itself did, from the outbox.

    Attributes:
        id: the event's id; the same id is recorded once.
        kind: its type, such as ``memory.stored``.
        subject: what it was about, an id and never content.
        data: facts, ids, counts and hashes.
        correlation_id: ties it to the request that caused it.
        actor: who caused it.
        tenant: whose it is.
    """

    id: str
    kind: str
    subject: str = ""
    data: Mapping[str, JsonValue] = field(default_factory=dict)
    correlation_id: str = ""
    actor: str = ""
    tenant: str = DEFAULT_TENANT


@dataclass(frozen=True, slots=True)
class Receipt:
    """The answer once an entry is durable.

    Attributes:
        entry_id: the entry's id.
        index: its place in the log, from 0.
        entry_hash: RFC 6962 leaf hash of the entry, hexadecimal.
        recorded_at: RFC 3339 time in UTC, never before the previous entry's.
        ledger_path: where the log lies, for people.
        run_id: the caller's run, empty for system events.
        proof: a ``tlog-proof`` when a checkpoint covers the entry.
    """

    entry_id: str
    index: int
    entry_hash: str
    recorded_at: str
    ledger_path: str
    run_id: str = ""
    proof: str = ""


@dataclass(frozen=True, slots=True)
class EntryView:
    """One entry as a search returns it.

    Attributes:
        index: its place in the log.
        entry_id: its id.
        entry_hash: its leaf hash, hexadecimal.
        recorded_at: RFC 3339 time in UTC.
        kind: what it records.
        run_id: the caller's run, if any.
        agent_name: which agent, if any.
        outcome: how the call ended.
        correlation_id: what it is tied to.
        actor: who recorded it.
        subject: what or whom it is about.
        data: the recorded facts; never personal content.
    """

    index: int
    entry_id: str
    entry_hash: str
    recorded_at: str
    kind: str
    run_id: str
    agent_name: str
    outcome: str
    correlation_id: str
    actor: str
    subject: str
    data: Mapping[str, JsonValue]


@dataclass(frozen=True, slots=True)
class EntryQuery:
    """What to search for; empty fields match all. Newest first.

    Attributes:
        tenant: whose entries; there is no search across tenants.
        run_id: entries of this run.
        correlation_id: entries tied to this id.
        agent_name: calls of this agent.
        kind: entries of this kind.
        outcome: ``ok``, ``failed`` or ``unknown``.
        since: recorded at or after, epoch seconds.
        until: recorded before, epoch seconds.
        before: entries with a lower index: the cursor of the next page.
        limit: entries a page, 1..1000.
    """

    tenant: str = DEFAULT_TENANT
    run_id: str = ""
    correlation_id: str = ""
    agent_name: str = ""
    kind: str = ""
    outcome: str = ""
    since: float | None = None
    until: float | None = None
    before: int | None = None
    limit: int = 50


@dataclass(frozen=True, slots=True)
class EntryPage:
    """A page of entries.

    Attributes:
        entries: newest first.
        next_before: cursor of the next page; None on the last.
    """

    entries: tuple[EntryView, ...]
    next_before: int | None


@dataclass(frozen=True, slots=True)
class AgentStats:
    """Counts of one agent's calls.

    Attributes:
        calls: how many.
        failed: how many had a failed parse.
        timed: how many named a latency.
        latency_ms_sum: sum of those latencies, milliseconds.
    """

    calls: int = 0
    failed: int = 0
    timed: int = 0
    latency_ms_sum: float = 0.0


@dataclass(frozen=True, slots=True)
class LedgerStats:
    """The ledger in numbers.

    Attributes:
        total_entries: entries of the tenant, calls and events.
        calls: agent calls among them.
        agents: counts by agent name.
        success_rate: share of calls whose parse did not fail; None without calls.
        avg_latency_ms: mean over calls that named one; None without such.
    """

    total_entries: int
    calls: int
    agents: Mapping[str, AgentStats]
    success_rate: float | None
    avg_latency_ms: float | None


@dataclass(frozen=True, slots=True)
class InclusionProof:
    """An audit path with the head it leads to.

    Attributes:
        index: place of the entry.
        size: leaves in the tree of the head.
        entry_hash: leaf hash, hexadecimal.
        path: hashes from the leaf's sibling up, base64.
        checkpoint: the signed head, as text.
        receipt: all of it as a ``tlog-proof``.
    """

    index: int
    size: int
    entry_hash: str
    path: tuple[str, ...]
    checkpoint: str
    receipt: str


@dataclass(frozen=True, slots=True)
class ConsistencyProof:
    """A proof that the later tree only adds to the earlier one.

    Attributes:
        old_size: leaves of the earlier tree.
        new_size: leaves of the later tree.
        path: hashes, base64.
        old_root: root of the earlier tree, base64.
        new_root: root of the later tree, base64.
    """

    old_size: int
    new_size: int
    path: tuple[str, ...]
    old_root: str
    new_root: str


@dataclass(frozen=True, slots=True)
class LedgerHealth:
    """Whether the ledger can be relied on now.

    Attributes:
        status: ``ok``, or ``degraded`` when it takes no entries or signs no heads.
        size: entries that are durable.
        published: entries that the newest checkpoint covers.
        reason: why it is degraded, for people.
    """

    status: str
    size: int
    published: int
    reason: str = ""
