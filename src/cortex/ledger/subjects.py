"""The keys under which personal content lies, one a subject, in a file of their own.

The file is an array of 32-byte slots. Keys are made in blocks and synced before the
first of them is used; destroying one overwrites its slot with zeros in place and syncs.
There is no log, no free page and no copy that could hold a destroyed key. What a file
system or an SSD keeps of overwritten blocks is beyond this file (docs/explanation).
"""

import os
from collections.abc import Callable
from pathlib import Path

from cortex.ledger.errors import ContentForgotten, KeyUnusable
from cortex.ledger.sealing import KEY_BYTES
from cortex.storage.connections import sync_directory

BLOCK_KEYS = 1024
"""Keys made at once: one sync for so many subjects, 32 KiB."""

_FILE_MODE = 0o600
_OTHERS = 0o077
_DESTROYED = bytes(KEY_BYTES)


class SubjectKeys:
    """Makes, reads and destroys keys; callers serialize ``ensure`` and ``destroy``."""

    def __init__(self, path: Path, *, entropy: Callable[[int], bytes]) -> None:
        """Open or create the file.

        Raises:
            KeyUnusable: others than the owner may read it.
        """
        self._entropy = entropy
        self._synced = 0
        new = not path.exists()
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        self._descriptor: int | None = os.open(path, flags, _FILE_MODE)
        if os.fstat(self._descriptor).st_mode & _OTHERS:
            self.close()
            message = f"{path} is open to others than its owner"
            raise KeyUnusable(message, hint=f"Run: chmod 600 {path}")
        if new:
            sync_directory(path.parent)

    def ensure(self, slot: int) -> None:
        """Make sure that a key exists in the slot and survives a power cut."""
        descriptor = self._opened()
        if slot < self._synced:
            return
        count = os.fstat(descriptor).st_size // KEY_BYTES
        if slot >= count:
            blocks = (slot - count) // BLOCK_KEYS + 1
            keys = self._entropy(blocks * BLOCK_KEYS * KEY_BYTES)
            _write_all(descriptor, keys, count * KEY_BYTES)
            count += blocks * BLOCK_KEYS
        # Also for keys that are there: a full disk, or a crash, may have kept whoever
        # wrote them from coming so far.
        os.fsync(descriptor)
        self._synced = count

    def key(self, slot: int) -> bytes:
        """Return a key.

        Raises:
            ContentForgotten: it was destroyed, or there never was one.
        """
        key = os.pread(self._opened(), KEY_BYTES, slot * KEY_BYTES)
        if len(key) != KEY_BYTES or key == _DESTROYED:
            raise ContentForgotten("the key to this content is destroyed", key=slot)
        return key

    def destroy(self, slot: int) -> None:
        """Overwrite a key with zeros, for good; idempotent."""
        descriptor = self._opened()
        _write_all(descriptor, _DESTROYED, slot * KEY_BYTES)
        os.fsync(descriptor)

    def close(self) -> None:
        """Close the file; idempotent."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def _opened(self) -> int:
        if self._descriptor is None:
            raise KeyUnusable("the subject keys are closed")
        return self._descriptor


def _write_all(descriptor: int, data: bytes, offset: int) -> None:
    while data:
        written = os.pwrite(descriptor, data, offset)
        data, offset = data[written:], offset + written
