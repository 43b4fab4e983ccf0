"""What a verifier keeps outside the store: keys, the last head, and a trail of heads.

Whoever can write to the ledger can rewrite it; what cannot be rewritten with it is
what lies elsewhere. The service pins each head it shows into a second place (another
disk, a mount that only appends, another host). A verifier starts from there.
"""

import os
from collections.abc import Sequence
from pathlib import Path

from cortex.ledger import store
from cortex.ledger.checkpoint import SignedCheckpoint
from cortex.ledger.errors import KeyUnusable, NoteInvalid
from cortex.ledger.files import create_file, read_file, write_file
from cortex.ledger.keys import SigningKeys, read_verifier_keys
from cortex.ledger.notes import VerifierKey, encode64
from cortex.ledger.pinned import Pinned, parse_trail, pinned_from
from cortex.ledger.tiles import TILE_WIDTH
from cortex.storage.sqlite import Database

VERIFIER = "verifier.vkey"
HEAD = "head"
TRAIL = "trail"


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


def find_contradiction(
    pins: PinFolder | None, keys: SigningKeys, database: Database
) -> str:
    """Return what in the second place contradicts the store; empty if nothing does.

    Another key, or a head that the store does not know of: the store was replaced,
    or put back to an earlier state. To sign on would fork the log.
    """
    if pins is None:
        return ""
    try:
        pinned = pins.read()
    except (NoteInvalid, KeyUnusable) as error:
        return f"what is pinned cannot be used: {error.message}"
    if pinned is None:
        return ""
    if keys.signers[0].verifier_key not in pinned.keys:
        return "the signing key is not the one that is pinned"
    head = database.read_inline(store.newest_head)
    signed = 0 if pinned.head is None else pinned.head.size
    if signed > (0 if head is None else head.size):
        return f"{signed} entries were signed, the store knows of fewer"
    return ""
