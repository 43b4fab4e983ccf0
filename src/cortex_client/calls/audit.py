"""The audit ledger: record, search, prove, verify."""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar, Unpack, cast

from cortex_client.audit_wire import (
    AuditEntry,
    AuditPage,
    AuditStats,
    AuditVerdict,
    ConsistencyProof,
    InclusionProof,
)
from cortex_client.call import Answer, Call, Param, Params, Retry, Traced, traced
from cortex_client.calls.bodies import compact
from cortex_client.decoding import decode
from cortex_client.wire import AuditReceipt, Json

T = TypeVar("T")


class AuditDetails(Traced, total=False):
    """What else is known of a call; none of it is required.

    ``subject``: whose content it is; forgetting that person makes it unreadable.
    ``wait``: ``published`` answers with a proof, once a signed head covers the entry.
    """

    parsed_data: object
    parse_ok: bool
    parse_strategy: str
    parse_confidence: float
    parse_error: str
    provider_name: str
    model_name: str
    latency_ms: float
    usage: Mapping[str, object]
    context_refs: Sequence[object]
    policy_decisions: Sequence[object]
    subject: str
    wait: str


class EntryConditions(Traced, total=False):
    """Which entries; all that are given hold.

    ``correlation``: the correlation id an entry is tied to. ``since`` and ``until``:
    epoch seconds or ISO 8601 text. ``before``: ``next_before`` of the page before.
    """

    run_id: str
    correlation: str
    agent_name: str
    kind: str
    outcome: str
    since: float | str
    until: float | str
    before: int | None
    limit: int


def record_audit(
    run_id: str,
    agent_name: str,
    method_name: str,
    prompt: str,
    raw_output: str,
    **more: Unpack[AuditDetails],
) -> Call[AuditReceipt]:
    """Write what an agent did into the ledger; durable when answered.

    Never sent again once the server may have it: the ledger would hold it twice.
    """
    correlation_id = more.pop("correlation_id", None)
    wait = more.pop("wait", None)
    return Call(
        "POST",
        "/audit/record",
        lambda answer: decode(AuditReceipt, answer.body),
        params={"wait": wait},
        body={
            "run_id": run_id,
            "agent_name": agent_name,
            "method_name": method_name,
            "prompt": prompt,
            "raw_output": raw_output,
            **compact(more),
            **compact({"correlation_id": correlation_id}),
        },
        headers=traced(correlation_id),
        retry=Retry.UNSENT,
    )


def audit_log(limit: int = 50, **options: Unpack[Traced]) -> Call[AuditPage]:
    """Return the newest agent calls."""
    return _get("/audit/log", lambda a: decode(AuditPage, a.body), options, limit=limit)


def audit_entries(**conditions: Unpack[EntryConditions]) -> Call[AuditPage]:
    """Return one page of the entries that the conditions name, newest first."""
    traced_as = conditions.pop("correlation_id", None)
    tied_to = conditions.pop("correlation", None)
    return Call(
        "GET",
        "/audit/entries",
        lambda answer: decode(AuditPage, answer.body),
        params={**cast("Params", conditions), "correlation_id": tied_to},
        headers=traced(traced_as),
    )


def audit_entry(index: int, **options: Unpack[Traced]) -> Call[AuditEntry]:
    """Return one entry."""
    path = f"/audit/entries/{index}"
    return _get(path, lambda a: decode(AuditEntry, a.body), options)


def audit_content(index: int, **options: Unpack[Traced]) -> Call[Json]:
    """Return prompt and output of a recorded call; reading them is recorded."""
    return _get(f"/audit/entries/{index}/content", _content, options)


def audit_stats(**options: Unpack[Traced]) -> Call[AuditStats]:
    """Return counts of entries and calls, and how calls went."""
    return _get("/audit/stats", lambda a: decode(AuditStats, a.body), options)


def audit_checkpoint(**options: Unpack[Traced]) -> Call[str]:
    """Return the newest signed head: pin it somewhere else."""
    return _get("/audit/checkpoint", lambda answer: str(answer.body), options)


def prove_inclusion(index: int, **options: Unpack[Traced]) -> Call[InclusionProof]:
    """Return the proof that an entry is in the newest signed tree."""
    path = f"/audit/proof/inclusion/{index}"
    return _get(path, lambda a: decode(InclusionProof, a.body), options)


def prove_consistency(
    old_size: int, new_size: int | None = None, **options: Unpack[Traced]
) -> Call[ConsistencyProof]:
    """Return the proof that the tree of ``old_size`` entries was only added to."""
    sizes = {"from": old_size, "to": new_size}
    return _get("/audit/proof/consistency", _consistency, options, **sizes)


def verify_audit(
    *, deep: bool = False, **options: Unpack[Traced]
) -> Call[AuditVerdict]:
    """Let the server verify its whole log now; ``deep``: index and content, too."""
    return Call(
        "POST",
        "/audit/verify",
        lambda answer: decode(AuditVerdict, answer.body),
        params={"deep": "true"} if deep else {},
        headers=traced(options.get("correlation_id")),
    )


def _get(
    path: str,
    read: Callable[[Answer], T],
    options: Traced,
    **params: Param,
) -> Call[T]:
    headers = traced(options.get("correlation_id"))
    return Call("GET", path, read, params=params, headers=headers)


def _content(answer: Answer) -> Json:
    body = answer.body if isinstance(answer.body, dict) else {}
    return decode(dict[str, object], body.get("content"), "answer.content")


def _consistency(answer: Answer) -> ConsistencyProof:
    body = answer.body if isinstance(answer.body, dict) else {}
    names = {"from": "old_size", "to": "new_size"}
    names |= {"from_root": "old_root", "to_root": "new_root"}
    return decode(
        ConsistencyProof, {names.get(name, name): body[name] for name in body}
    )
