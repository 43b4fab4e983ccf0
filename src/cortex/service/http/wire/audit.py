"""The audit ledger on the wire: records, searches, proofs, verdicts."""

from typing import Annotated, Any, Literal, Self

import orjson
from pydantic import (
    AfterValidator,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)

from cortex.foundation.limits import CORRELATION_ID_CHARACTERS_MAX, JSON_INTEGER_MAX
from cortex.ledger.model import (
    AgentCall,
    ConsistencyProof,
    EntryPage,
    EntryQuery,
    EntryView,
    InclusionProof,
    LedgerStats,
    Outcome,
    Receipt,
)
from cortex.ledger.options import QUERY_LIMIT_MAX
from cortex.ledger.verdicts import Reason, Verdict, Verification
from cortex.service.fields import (
    Flag,
    Metadata,
    Moment,
    Name,
    Number,
    OptionalName,
    StateValue,
    Wire,
)
from cortex.service.http.wire.selection import check_interval
from cortex.usecases.audit import ProvenEntry

RECORD_BYTES_MAX = 4_000_000
"""Serialized bytes of one record: the longest prompts of today's models fit, and 256
records fit one object of the archive."""

REFERENCES_MAX = 1_000
"""Context references and policy decisions of one call, each."""

PARSE_ERROR_CHARACTERS_MAX = 10_000
"""Characters of a parse error: a stack trace fits."""

LATENCY_MS_MAX = 7 * 86_400_000
"""Milliseconds of one call: a week is not a latency any more."""

ENTRIES_LIMIT_DEFAULT = 50


def _printable(text: str) -> str:
    if not (text.isascii() and text.isprintable()):
        message = "must be printable ASCII characters"
        raise ValueError(message)
    return text


CorrelationId = Annotated[
    str,
    StringConstraints(min_length=1, max_length=CORRELATION_ID_CHARACTERS_MAX),
    AfterValidator(_printable),
]
References = Annotated[list[StateValue], Field(max_length=REFERENCES_MAX)]
Text = Annotated[str, StringConstraints(max_length=RECORD_BYTES_MAX)]
Index = Annotated[int, Field(ge=0, le=JSON_INTEGER_MAX)]


class RecordBody(Wire):
    """POST /audit/record."""

    run_id: Name
    agent_name: Name
    method_name: Name
    prompt: Text
    raw_output: Text
    correlation_id: CorrelationId | None = None
    parsed_data: Any = None
    parse_ok: Flag | None = None
    parse_strategy: OptionalName = ""
    parse_confidence: Annotated[Number, Field(ge=0, le=1)] | None = None
    parse_error: Annotated[
        str, StringConstraints(max_length=PARSE_ERROR_CHARACTERS_MAX)
    ] = ""
    provider_name: OptionalName = ""
    model_name: OptionalName = ""
    latency_ms: Annotated[Number, Field(ge=0, le=LATENCY_MS_MAX)] | None = None
    usage: Metadata | None = None
    context_refs: References = Field(default_factory=list)
    policy_decisions: References = Field(default_factory=list)
    subject: Annotated[
        OptionalName,
        Field(
            description="Whose content this is, such as a user_id: forgetting that "
            "person destroys the key to it. Empty: the agent's own."
        ),
    ] = ""

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        size = len(orjson.dumps([getattr(self, name) for name in _WEIGHED]))
        if size > RECORD_BYTES_MAX:
            message = (
                f"a record must be at most {RECORD_BYTES_MAX} bytes of JSON, "
                f"this has {size}"
            )
            raise ValueError(message)
        return self

    def domain(self) -> AgentCall:
        """Return the call."""
        return AgentCall(
            run_id=self.run_id,
            agent_name=self.agent_name,
            method_name=self.method_name,
            prompt=self.prompt,
            raw_output=self.raw_output,
            correlation_id=self.correlation_id or "",
            parsed_data=self.parsed_data,
            parse_ok=self.parse_ok,
            parse_strategy=self.parse_strategy,
            parse_confidence=self.parse_confidence,
            parse_error=self.parse_error,
            provider_name=self.provider_name,
            model_name=self.model_name,
            latency_ms=self.latency_ms,
            usage=self.usage,
            context_refs=self.context_refs,
            policy_decisions=self.policy_decisions,
            subject=self.subject,
        )


_WEIGHED = (
    "prompt",
    "raw_output",
    "parsed_data",
    "parse_error",
    "usage",
    "context_refs",
    "policy_decisions",
)


class RecordQuery(Wire):
    """Query of POST /audit/record."""

    wait: Annotated[
        Literal["durable", "published"],
        Field(
            description="published: answer when a signed checkpoint covers the entry, "
            "with a proof."
        ),
    ] = "durable"


class LogQuery(Wire):
    """GET /audit/log."""

    limit: Annotated[int, Field(ge=1, le=QUERY_LIMIT_MAX)] = ENTRIES_LIMIT_DEFAULT


class EntriesQuery(LogQuery):
    """GET /audit/entries; all given conditions hold."""

    run_id: Name | None = None
    correlation_id: CorrelationId | None = None
    agent_name: Name | None = None
    kind: Name | None = None
    outcome: Outcome | None = None
    since: Moment | None = None
    until: Moment | None = None
    before: Annotated[
        Index | None,
        Field(description="next_before of the page before: entries below this index."),
    ] = None

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        check_interval("since", self.since, "until", self.until)
        return self

    def domain(self) -> EntryQuery:
        """Return the query; the use case sets the tenant."""
        return EntryQuery(
            run_id=self.run_id or "",
            correlation_id=self.correlation_id or "",
            agent_name=self.agent_name or "",
            kind=self.kind or "",
            outcome=self.outcome or "",
            since=self.since,
            until=self.until,
            before=self.before,
            limit=self.limit,
        )


class CheckpointQuery(Wire):
    """GET /audit/checkpoint."""

    cosigned: Annotated[
        bool, Field(description="The newest head that a witness cosigned.")
    ] = False


class ConsistencyQuery(Wire):
    """GET /audit/proof/consistency."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    old: Annotated[Index, Field(alias="from", description="Entries of the older tree")]
    new: Annotated[
        Index | None,
        Field(alias="to", description="Entries of the newer tree; else the newest"),
    ] = None


class VerifyQuery(Wire):
    """POST /audit/verify."""

    deep: Annotated[
        bool,
        Field(description="Check the search index and the content beside, too."),
    ] = False


class RecordAnswer(Wire):
    """A receipt; ``proof`` is a tlog-proof when a checkpoint covers the entry."""

    run_id: str
    entry_id: str
    index: int
    recorded_at: str
    ledger_path: str
    entry_hash: str
    proof: str | None = None


class EntryAnswer(Wire):
    """One entry; ``recorded_at`` is the RFC 3339 text that was hashed."""

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
    data: dict[str, Any]


class EntryPageAnswer(Wire):
    """One page, newest first; ``next_before`` is null on the last."""

    entries: list[EntryAnswer]
    next_before: int | None


class ContentAnswer(Wire):
    """The sealed content of one entry."""

    index: int
    content: dict[str, Any]


class AgentStatsAnswer(Wire):
    """Counts of one agent's calls."""

    calls: int
    failed: int
    avg_latency_ms: float | None


class AuditStatsAnswer(Wire):
    """The ledger in numbers, of the caller's tenant; rates are null without calls."""

    total_entries: int
    calls: int
    agents: dict[str, AgentStatsAnswer]
    success_rate: float | None
    avg_latency_ms: float | None


class InclusionAnswer(Wire):
    """A proof; ``receipt`` is the same as a tlog-proof.

    ``entry`` is the exact text that was hashed, null for an entry of another tenant.
    """

    index: int
    size: int
    entry_hash: str
    path: list[str]
    checkpoint: str
    receipt: str
    entry: str | None


class ConsistencyAnswer(Wire):
    """A proof that the newer tree only adds to the older one; hashes in base64."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    old: Annotated[int, Field(alias="from")]
    new: Annotated[int, Field(alias="to")]
    path: list[str]
    from_root: str
    to_root: str


class FindingAnswer(Wire):
    """One thing that is not as it should be."""

    reason: Reason
    index: int | None
    detail: str


class VerificationAnswer(Wire):
    """The verdict; ``exit_code`` is that of ``cortex ledger verify``."""

    verdict: Verdict
    exit_code: int
    reason: Reason
    index: int | None
    detail: str
    size: int
    root: str
    signed_size: int
    checked_from: int
    pinned: bool
    findings: list[FindingAnswer]
    recovered: list[str]


def recorded(receipt: Receipt) -> dict[str, object]:
    """Shape a receipt."""
    told: dict[str, object] = {
        "run_id": receipt.run_id,
        "entry_id": receipt.entry_id,
        "index": receipt.index,
        "recorded_at": receipt.recorded_at,
        "ledger_path": receipt.ledger_path,
        "entry_hash": receipt.entry_hash,
    }
    return {**told, "proof": receipt.proof} if receipt.proof else told


def entry(view: EntryView) -> dict[str, object]:
    """Shape an entry."""
    return {
        "index": view.index,
        "entry_id": view.entry_id,
        "entry_hash": view.entry_hash,
        "recorded_at": view.recorded_at,
        "kind": view.kind,
        "run_id": view.run_id,
        "agent_name": view.agent_name,
        "outcome": view.outcome,
        "correlation_id": view.correlation_id,
        "actor": view.actor,
        "subject": view.subject,
        "data": view.data,
    }


def page(found: EntryPage) -> dict[str, object]:
    """Shape a page."""
    return {
        "entries": [entry(view) for view in found.entries],
        "next_before": found.next_before,
    }


def stats(counted: LedgerStats) -> dict[str, object]:
    """Shape the numbers."""
    return {
        "total_entries": counted.total_entries,
        "calls": counted.calls,
        "agents": {
            name: {
                "calls": agent.calls,
                "failed": agent.failed,
                "avg_latency_ms": agent.latency_ms_sum / agent.timed
                if agent.timed
                else None,
            }
            for name, agent in counted.agents.items()
        },
        "success_rate": counted.success_rate,
        "avg_latency_ms": counted.avg_latency_ms,
    }


def inclusion(proven: ProvenEntry) -> dict[str, object]:
    """Shape a proof of inclusion."""
    proof: InclusionProof = proven.proof
    return {
        "index": proof.index,
        "size": proof.size,
        "entry_hash": proof.entry_hash,
        "path": proof.path,
        "checkpoint": proof.checkpoint,
        "receipt": proof.receipt,
        "entry": None if proven.entry is None else proven.entry.decode(),
    }


def consistency(proof: ConsistencyProof) -> dict[str, object]:
    """Shape a proof of consistency."""
    return {
        "from": proof.old_size,
        "to": proof.new_size,
        "path": proof.path,
        "from_root": proof.old_root,
        "to_root": proof.new_root,
    }


def verification(found: Verification) -> dict[str, object]:
    """Shape a verdict."""
    return {
        "verdict": found.verdict,
        "exit_code": found.exit_code,
        "reason": found.reason,
        "index": found.index,
        "detail": found.detail,
        "size": found.size,
        "root": found.root,
        "signed_size": found.signed_size,
        "checked_from": found.checked_from,
        "pinned": found.pinned,
        "findings": found.findings,
        "recovered": found.recovered,
    }
