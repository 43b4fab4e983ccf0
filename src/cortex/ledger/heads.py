"""Judges the signed heads of a store against what is pinned outside it (pure)."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from cortex.ledger.checkpoint import SignedCheckpoint, open_checkpoint
from cortex.ledger.errors import NoteInvalid
from cortex.ledger.pinned import Pinned
from cortex.ledger.policy import Policy
from cortex.ledger.verdicts import Finding, Reason
from cortex.ledger.walk import StoredLog


@dataclass(slots=True)
class Heads:
    """The heads that a walk must meet, and what is wrong with others.

    Attributes:
        anchors: root by size, each vouched for by a trusted key or place.
        published: entries that the store's own newest head covers.
        findings: what is wrong.
        recovered: what the next start repairs.
    """

    anchors: dict[int, bytes] = field(default_factory=dict)
    published: int = 0
    findings: list[Finding] = field(default_factory=list)
    recovered: list[str] = field(default_factory=list)


def examine_heads(
    log: StoredLog, pinned: Pinned, policy: Policy | None = None
) -> Heads:
    """Return the trusted heads of a store and what is wrong with the rest."""
    heads = Heads()
    kept = list(log.heads())
    newest = _open(kept[-1], pinned, heads) if kept else None
    shown = _shown(log.checkpoint(), kept, pinned, heads)
    for signed in (pinned.head, newest, shown):
        if signed is not None:
            _anchor(heads, signed.size, signed.root)
    own = [signed.size for signed in (newest, shown) if signed is not None]
    heads.published = max(own, default=0)
    limit = pinned.head.size if pinned.head is not None else 0
    if shown is not None and shown.size < limit:
        detail = f"the checkpoint covers {shown.size} entries; {limit} were signed"
        heads.findings.append(Finding(Reason.STALE_CHECKPOINT, shown.size, detail))
    if policy is not None:
        _check_policy(policy, shown or newest, heads)
    return heads


def reason_of(error: NoteInvalid) -> Reason:
    """Return why a note was refused."""
    named = error.data.get("reason")
    known = {item.value: item for item in Reason}
    return known.get(str(named), Reason.CHECKPOINT_MALFORMED)


def good_heads(notes: Sequence[bytes], pinned: Pinned) -> list[tuple[int, bytes]]:
    """Return (size, root) of the heads that a trusted key signed, passing others."""
    good = [(head.size, head.root) for head in pinned.trail]
    for note in notes:
        try:
            signed = open_checkpoint(note, pinned.origin, pinned.keys)
        except NoteInvalid:
            continue
        good.append((signed.size, signed.root))
    return sorted(set(good))


def _open(note: bytes, pinned: Pinned, heads: Heads) -> SignedCheckpoint | None:
    try:
        return open_checkpoint(note, pinned.origin, pinned.keys)
    except NoteInvalid as error:
        heads.findings.append(Finding(reason_of(error), None, error.message))
        return None


def _shown(
    data: bytes | None, kept: Sequence[bytes], pinned: Pinned, heads: Heads
) -> SignedCheckpoint | None:
    if data is not None and not _is_torn(data, kept):
        return _open(data, pinned, heads)
    if kept:
        # The head itself is safe in the store; only the shown copy is damaged.
        heads.recovered.append("the published checkpoint is missing or torn")
    elif data is not None:
        detail = "the checkpoint is malformed"
        heads.findings.append(Finding(Reason.CHECKPOINT_MALFORMED, None, detail))
    elif pinned.head is not None:
        detail = "the store has no checkpoint, though one was signed"
        heads.findings.append(Finding(Reason.CHECKPOINT_MISSING, None, detail))
    return None


def _is_torn(data: bytes, kept: Sequence[bytes]) -> bool:
    return any(len(data) < len(note) and note.startswith(data) for note in kept[-2:])


def _anchor(heads: Heads, size: int, root: bytes) -> None:
    known = heads.anchors.setdefault(size, root)
    if known != root:
        detail = f"two heads of {size} entries are signed, with different roots"
        heads.findings.append(Finding(Reason.FORKED, None, detail))


def _check_policy(
    policy: Policy, signed: SignedCheckpoint | None, heads: Heads
) -> None:
    if signed is None or not policy.is_met(signed):
        detail = "the newest head lacks the witnesses that the policy asks for"
        heads.findings.append(Finding(Reason.WITNESSES_MISSING, None, detail))
