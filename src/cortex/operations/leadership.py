"""One process of many speaks for all that share a data folder."""

import fcntl
import os
from pathlib import Path

FILE_MODE = 0o600


class Lead:
    """Held by the first process that asks, until it ends or lets go.

    The lock is the system's own: a process that is killed lets go at once.
    """

    def __init__(self, path: Path) -> None:
        """Take the file to lock; nothing is locked yet."""
        self._path = path
        self._descriptor: int | None = None

    def held(self) -> bool:
        """Return whether this process leads; asks again until it does."""
        if self._descriptor is not None:
            return True
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, FILE_MODE)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        self._descriptor = descriptor
        return True

    def release(self) -> None:
        """Let another process lead; idempotent."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)
