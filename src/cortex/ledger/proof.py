"""Receipts (c2sp.org/tlog-proof): an entry, shown to be logged, without the log."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from cortex.ledger.checkpoint import (
    SIZE_MAX,
    SignedCheckpoint,
    open_checkpoint,
    parse_checkpoint,
)
from cortex.ledger.errors import NoteInvalid, ProofInvalid
from cortex.ledger.merkle import (
    HASH_BYTES,
    PROOF_HASHES_MAX,
    leaf_hash,
    verify_inclusion,
)
from cortex.ledger.notes import VerifierKey, decode64, encode64

HEADER = "c2sp.org/tlog-proof@v1"
PROOF_BYTES_MAX = 1_100_000
"""Bytes of a receipt: a checkpoint of the largest size and the path to it."""

_INDEX = re.compile(r"index (0|[1-9][0-9]{0,18})")
_EXTRA = "extra "


@dataclass(frozen=True, slots=True)
class LogProof:
    """The parts of a receipt.

    Attributes:
        index: place of the entry in the log.
        path: audit path, from the leaf's sibling upwards.
        checkpoint: the head it leads to.
        extra: unauthenticated bytes for the application, never to be trusted.
    """

    index: int
    path: tuple[bytes, ...]
    checkpoint: SignedCheckpoint
    extra: bytes = b""

    def encode(self) -> bytes:
        """Return the receipt's bytes."""
        lines = [HEADER]
        if self.extra:
            lines.append(_EXTRA + encode64(self.extra))
        lines.append(f"index {self.index}")
        lines += [encode64(item) for item in self.path]
        return "\n".join([*lines, "", ""]).encode() + self.checkpoint.encode()


def parse_proof(data: bytes) -> LogProof:
    """Read a receipt without verifying it.

    Raises:
        ProofInvalid: it is malformed.
    """
    head, blank, note = data.partition(b"\n\n")
    if not blank or len(data) > PROOF_BYTES_MAX:
        raise ProofInvalid("a proof holds a path and a checkpoint", field="proof")
    try:
        lines = head.decode("ascii").split("\n")
        extra = b""
        if len(lines) > 1 and lines[1].startswith(_EXTRA):
            extra = decode64(lines.pop(1).removeprefix(_EXTRA))
        index = _parse_index(lines)
        path = tuple(decode64(line) for line in lines[2:])
        checkpoint = parse_checkpoint(note)
    except (UnicodeDecodeError, NoteInvalid) as error:
        message = f"the proof is malformed: {error}"
        raise ProofInvalid(message, field="proof") from error
    if len(path) > PROOF_HASHES_MAX or any(len(item) != HASH_BYTES for item in path):
        raise ProofInvalid("the path of the proof is malformed", field="proof")
    return LogProof(index, path, checkpoint, extra)


def verify_proof(
    data: bytes, entry: bytes, origin: str, keys: Sequence[VerifierKey]
) -> LogProof:
    """Check offline that the receipt shows ``entry`` in the log of ``origin``.

    Raises:
        ProofInvalid: the path does not lead from the entry to the head.
        NoteInvalid: the head is not signed by a trusted key of that origin.
    """
    proof = parse_proof(data)
    signed = open_checkpoint(proof.checkpoint.encode(), origin, keys)
    verify_inclusion(
        leaf_hash(entry), proof.index, signed.size, proof.path, signed.root
    )
    return proof


def _parse_index(lines: Sequence[str]) -> int:
    match = _INDEX.fullmatch(lines[1]) if len(lines) > 1 else None
    if lines[0] != HEADER or match is None or int(match[1]) > SIZE_MAX:
        message = f"a proof begins with {HEADER!r} and an index"
        raise ProofInvalid(message, field="proof")
    return int(match[1])
