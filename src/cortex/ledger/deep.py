"""Checks what lies beside the log: bodies named by hash, and the index (pure)."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from cortex.ledger.merkle import leaf_hash
from cortex.ledger.model import Outcome
from cortex.ledger.verdicts import Finding, Reason
from cortex.ledger.walk import Row, StoredLog


def check_beside(log: StoredLog, rows: Sequence[Row]) -> list[Finding]:
    """Return the first thing that is wrong beside each of these entries."""
    if not rows:
        return []
    start, stop = rows[0][0], rows[-1][0] + 1
    blobs: dict[int, dict[str, bytes]] = {}
    for index, name, body in log.blobs(start, stop):
        blobs.setdefault(index, {})[name] = body
    indexed = {row[0]: row[1:] for row in log.indexed(start, stop)}
    findings = []
    for index, body in rows:
        finding = _check(index, body, blobs.get(index, {}), indexed.get(index))
        if finding is not None:
            findings.append(finding)
    return findings[:1]


def blob_names(event: Mapping[str, Any]) -> list[str]:
    """Return the names of the bodies that an entry keeps beside the log."""
    data = event.get("data")
    if not isinstance(data, dict):
        return []
    references = [data.get("blob"), data.get("sealed")]
    return [
        reference["sha256"]
        for reference in references
        if isinstance(reference, dict) and isinstance(reference.get("sha256"), str)
    ]


def _check(
    index: int,
    body: bytes,
    blobs: dict[str, bytes],
    indexed: tuple[object, ...] | None,
) -> Finding | None:
    try:
        event = orjson.loads(body)["event"]
        names = blob_names(event)
        expected = _index_of(body, event)
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
        return Finding(Reason.ENTRY_MALFORMED, index, f"entry {index} is malformed")
    if indexed is None or indexed[: len(expected)] != expected:
        detail = f"the search index does not agree with entry {index}"
        return Finding(Reason.INDEX_MISMATCH, index, detail)
    for name in names:
        blob = blobs.get(name)
        if blob is None:
            detail = f"content of entry {index} is missing"
            return Finding(Reason.BLOB_MISSING, index, detail)
        if hashlib.sha256(blob).hexdigest() != name:
            detail = f"content of entry {index} was changed"
            return Finding(Reason.BLOB_MISMATCH, index, detail)
    return None


def _index_of(body: bytes, event: Mapping[str, Any]) -> tuple[object, ...]:
    """Return what the search index must say of an entry."""
    names = ("id", "tenant", "kind", "correlation_id")
    known = (leaf_hash(body), *(event[name] for name in names))
    data = event["data"]
    if "blob" in data and "run_id" not in data:
        # The rest was taken from data that lies in a blob now.
        return known
    run_id, agent, outcome = (data.get(name) for name in ("run_id", "agent", "outcome"))
    return (
        *known,
        run_id if isinstance(run_id, str) else "",
        agent if isinstance(agent, str) else "",
        outcome if outcome in set(Outcome) else "",
    )
