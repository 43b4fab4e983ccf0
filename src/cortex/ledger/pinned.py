"""What a verification starts from: keys, a head and a trail of heads (pure)."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from cortex.ledger.checkpoint import SIZE_MAX, SignedCheckpoint, open_checkpoint
from cortex.ledger.errors import NoteInvalid
from cortex.ledger.merkle import HASH_BYTES
from cortex.ledger.notes import VerifierKey, decode64

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
