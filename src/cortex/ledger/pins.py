"""What a verifier keeps outside the store: keys, the last head, and a trail of heads.

Whoever can write to the ledger can rewrite it; what cannot be rewritten with it is
what lies elsewhere. The service pins each head it shows into a second place (another
disk, a mount that only appends, another host). A verifier starts from there.
"""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cortex.ledger.checkpoint import SIZE_MAX, SignedCheckpoint, open_checkpoint
from cortex.ledger.errors import NoteInvalid
from cortex.ledger.files import create_file, read_file, write_file
from cortex.ledger.keys import read_verifier_keys
from cortex.ledger.merkle import HASH_BYTES
from cortex.ledger.notes import VerifierKey, decode64, encode64
from cortex.ledger.tiles import TILE_WIDTH

VERIFIER = "verifier.vkey"
HEAD = "head"
TRAIL = "trail"

_LINE = re.compile(r"(0|[1-9][0-9]{0,18}) ([A-Za-z0-9+/=]{44})")


@dataclass(frozen=True, slots=True)
class TrailHead:
    """One head of the trail: trusted because of where it lies, not signed.

    Attributes:
        size: leaves in the tree.
        root: the tree's hash.
    """

    size: int
    root: bytes


@dataclass(frozen=True, slots=True)
class Pinned:
    """What a verification starts from.

    Attributes:
        origin: the log's identity.
        keys: keys whose signature counts.
        head: the newest head that is known to have been signed, if any.
        trail: earlier heads, which narrow down where a tree begins to differ.
    """

    origin: str
    keys: tuple[VerifierKey, ...]
    head: SignedCheckpoint | None = None
    trail: tuple[TrailHead, ...] = ()


class PinFolder:
    """The second place, as a folder."""

    def __init__(self, folder: Path) -> None:
        """Name the folder; it is made at the first pin."""
        self.folder = folder
        self._trail_block: int | None = None

    def pin_keys(self, keys: Sequence[VerifierKey]) -> bool:
        """Keep the verifier keys unless some are pinned already; say whether kept."""
        text = "".join(f"{key.encode()}\n" for key in keys)
        return create_file(self.folder / VERIFIER, text.encode())

    def replace_keys(self, keys: Sequence[VerifierKey]) -> None:
        """Pin other keys: part of a rotation that a person asked for."""
        text = "".join(f"{key.encode()}\n" for key in keys)
        write_file(self.folder / VERIFIER, text.encode())

    def pin_head(self, signed: SignedCheckpoint) -> None:
        """Keep a head that is about to be relied on; the trail grows by block."""
        write_file(self.folder / HEAD, signed.encode())
        block = signed.size // TILE_WIDTH
        if block != self._trail_block:
            self._trail_block = block
            line = f"{signed.size} {encode64(signed.root)}\n".encode()
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
            descriptor = os.open(self.folder / TRAIL, flags, 0o600)
            try:
                os.write(descriptor, line)
            finally:
                os.close(descriptor)

    def head_note(self) -> bytes | None:
        """Return the pinned head's note, or None before the first."""
        return read_file(self.folder / HEAD)

    def read(self) -> Pinned | None:
        """Return what is pinned, or None before the first start.

        Raises:
            KeyUnusable: the verifier file is malformed.
            NoteInvalid: the pinned head is not signed by a pinned key.
        """
        data = read_file(self.folder / VERIFIER)
        if data is None:
            return None
        keys = read_verifier_keys(data)
        note = self.head_note()
        trail = parse_trail(read_file(self.folder / TRAIL) or b"")
        return pinned_from(keys, note, trail)


def pinned_from(
    keys: Sequence[VerifierKey],
    note: bytes | None,
    trail: Sequence[TrailHead] = (),
) -> Pinned:
    """Return the start of a verification from keys and a head's note.

    Raises:
        NoteInvalid: no key is given, or the head is not signed by one of them.
    """
    if not keys:
        raise NoteInvalid("a verification needs a verifier key", field="vkey")
    origin = keys[0].name
    head = None if note is None else open_checkpoint(note, origin, keys)
    return Pinned(origin, tuple(keys), head, tuple(trail))


def parse_trail(data: bytes) -> tuple[TrailHead, ...]:
    """Read a trail; a torn last line is passed over.

    Raises:
        NoteInvalid: another line is malformed.
    """
    lines = data.split(b"\n")
    heads = []
    for line in lines[:-1]:
        match = _LINE.fullmatch(line.decode("ascii", "replace"))
        if match is None or int(match[1]) > SIZE_MAX:
            raise NoteInvalid("a line of the trail of heads is malformed")
        root = decode64(match[2])
        if len(root) != HASH_BYTES:
            raise NoteInvalid("a root in the trail of heads is malformed")
        heads.append(TrailHead(int(match[1]), root))
    return tuple(heads)
