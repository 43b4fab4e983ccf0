"""Checkpoints (c2sp.org/tlog-checkpoint): a signed note that states a tree's head."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from cortex.ledger.errors import NoteInvalid
from cortex.ledger.merkle import HASH_BYTES
from cortex.ledger.notes import (
    Note,
    Signer,
    VerifierKey,
    decode64,
    encode64,
    open_note,
    parse_note,
    sign_note,
)

SIZE_MAX = 2**63 - 1
"""Leaves of a tree: what other implementations hold in a signed 64-bit number."""

_SIZE = re.compile(r"0|[1-9][0-9]{0,18}")
_FIXED_LINES = 3


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a log says about its tree.

    Attributes:
        origin: the log's identity.
        size: leaves in the tree.
        root: the tree's hash.
        extensions: opaque further lines; Cortex never writes any.
    """

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    def text(self) -> bytes:
        """Return the text that is signed."""
        lines = [self.origin, str(self.size), encode64(self.root), *self.extensions]
        return "".join(f"{line}\n" for line in lines).encode()


@dataclass(frozen=True, slots=True)
class SignedCheckpoint:
    """A head together with the note that carries it.

    Attributes:
        checkpoint: the statement.
        note: the exact signed note.
    """

    checkpoint: Checkpoint
    note: Note

    @property
    def size(self) -> int:
        """Return the number of leaves."""
        return self.checkpoint.size

    @property
    def root(self) -> bytes:
        """Return the tree's hash."""
        return self.checkpoint.root

    def encode(self) -> bytes:
        """Return the note's bytes."""
        return self.note.encode()


def parse_text(text: bytes) -> Checkpoint:
    """Read the text of a checkpoint note.

    Raises:
        NoteInvalid: a line is missing, empty or not in its one canonical form.
    """
    try:
        lines = text.decode("utf-8").split("\n")
    except UnicodeDecodeError as error:
        raise NoteInvalid("a checkpoint is UTF-8 text", field="checkpoint") from error
    if lines.pop() != "" or len(lines) < _FIXED_LINES or "" in lines:
        message = "a checkpoint has an origin, a size and a root, each on a line"
        raise NoteInvalid(message, field="checkpoint")
    origin, size, root, *extensions = lines
    if not _SIZE.fullmatch(size) or int(size) > SIZE_MAX:
        message = "the tree size is a decimal number without leading zeroes"
        raise NoteInvalid(message, field="checkpoint")
    digest = decode64(root)
    if len(digest) != HASH_BYTES:
        message = f"the root hash has {HASH_BYTES} bytes"
        raise NoteInvalid(message, field="checkpoint")
    return Checkpoint(origin, int(size), digest, tuple(extensions))


def parse_checkpoint(data: bytes) -> SignedCheckpoint:
    """Read a checkpoint without verifying a signature.

    Raises:
        NoteInvalid: it is malformed.
    """
    note = parse_note(data)
    return SignedCheckpoint(parse_text(note.text), note)


def sign_checkpoint(
    checkpoint: Checkpoint, signers: Sequence[Signer]
) -> SignedCheckpoint:
    """Return the head signed by each signer."""
    return SignedCheckpoint(checkpoint, sign_note(checkpoint.text(), signers))


def open_checkpoint(
    data: bytes, origin: str, keys: Sequence[VerifierKey]
) -> SignedCheckpoint:
    """Read a checkpoint that must come from ``origin`` and a trusted key.

    Extension lines are refused: Cortex writes none, so such a line is foreign.

    Raises:
        NoteInvalid: malformed, of another origin, with extension lines, or without
            a good signature of one of ``keys``.
    """
    note, _ = open_note(data, keys)
    checkpoint = parse_text(note.text)
    if checkpoint.origin != origin:
        message = f"this checkpoint is of {checkpoint.origin!r}, not of {origin!r}"
        raise NoteInvalid(message, field="checkpoint", reason="foreign_origin")
    if checkpoint.extensions:
        message = "this checkpoint has extension lines, which Cortex never writes"
        raise NoteInvalid(message, field="checkpoint", reason="extension_lines")
    return SignedCheckpoint(checkpoint, note)
