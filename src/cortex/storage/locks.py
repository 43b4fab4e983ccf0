"""Taking turns at one database file among processes.

SQLite alone lets a busy process starve another: whoever does not hold the lock polls
with growing pauses. Here each commit first takes two advisory locks (``flock``): the
turn, then the write lock, and gives the turn back at once. Whoever waits for the write
lock holds the turn, so the process that has just finished queues behind it.

The same locks keep a checkpoint of one process apart from a commit of another, and
let only one of several starting workers apply migrations.
"""

import fcntl
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cortex.storage.errors import STORAGE_BUSY_RETRY_SECONDS, StorageBusy

_POLL_SECONDS = 0.0005
"""Pause between tries: an eighth of a commit on a disk that syncs in 4 ms."""


class FileTurns:
    """The two lock files beside a database: ``<name>.turn`` and ``<name>.lock``."""

    def __init__(self, path: Path, *, wait_seconds: float) -> None:
        """Open the lock files; they hold no data and may be deleted while stopped."""
        self._tries = max(1, int(wait_seconds / _POLL_SECONDS))
        self._pause = threading.Event()
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._turn = _open(path.with_name(path.name + ".turn"))
        try:
            self._lock = _open(path.with_name(path.name + ".lock"))
        except OSError:
            os.close(self._turn)
            raise

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the write lock of the file.

        Raises:
            StorageBusy: other processes kept it for longer than ``wait_seconds``.
        """
        self._acquire(self._turn)
        try:
            self._acquire(self._lock)
        finally:
            fcntl.flock(self._turn, fcntl.LOCK_UN)
        try:
            yield
        finally:
            fcntl.flock(self._lock, fcntl.LOCK_UN)

    def close(self) -> None:
        """Give back both descriptors."""
        os.close(self._turn)
        os.close(self._lock)

    def _acquire(self, descriptor: int) -> None:
        # Polling, because flock has no time limit and this thread must stay killable.
        for _ in range(self._tries):
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self._pause.wait(_POLL_SECONDS)
            else:
                return
        raise StorageBusy(
            "another process holds the database file",
            hint="Look for a stuck cortex process that has the same CORTEX_HOME.",
            retry_after_seconds=STORAGE_BUSY_RETRY_SECONDS,
        )


def _open(path: Path) -> int:
    return os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
