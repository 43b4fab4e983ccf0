"""Copies of a database that appear whole or not at all, however many are made at once.

Each is written under a name of its own, ``TARGET.RANDOM.partial``, and gets its name
when it is on disk: of two copies to one place the later one stays, whole. The file is
locked (``flock``) while it is being written. One that nobody holds was left by a crash;
it may hold what is to be forgotten, so that whoever comes next removes it.
"""

import fcntl
import glob
import os
import tempfile
from pathlib import Path
from typing import Final

from cortex.storage.connections import Connection, sync_directory

SUFFIX: Final = ".partial"
"""End of the name of a copy that is being written."""


def copy_whole(connection: Connection, target: Path) -> None:
    """Write a compact copy for its owner only, sync it, and give it its name.

    Raises:
        sqlite3.Error, OSError: it could not be written; nothing of it remains.
    """
    remove_abandoned(target.parent, glob.escape(target.name))
    partial, descriptor = _created(target)
    try:
        connection.execute("VACUUM INTO ?", (str(partial),))
        os.fsync(descriptor)
        partial.replace(target)
        sync_directory(target.parent)
    finally:
        partial.unlink(missing_ok=True)
        os.close(descriptor)


def remove_abandoned(folder: Path, pattern: str) -> None:
    """Remove the half-written copies of targets, by their pattern, that nobody holds.

    Releases before called them ``TARGET.partial``: these go, too.
    """
    for partial in folder.glob(f"{pattern}.*{SUFFIX.removeprefix('.')}"):
        try:
            descriptor = os.open(partial, os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            continue  # it is gone, or another user's
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            partial.unlink(missing_ok=True)
            partial.with_name(f"{partial.name}-journal").unlink(missing_ok=True)
        except BlockingIOError:
            continue
        finally:
            os.close(descriptor)


def _created(target: Path) -> tuple[Path, int]:
    """Return a new empty file of its own name, and the descriptor that locks it."""
    while True:
        descriptor, name = tempfile.mkstemp(
            prefix=f"{target.name}.", suffix=SUFFIX, dir=target.parent
        )
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        if os.fstat(descriptor).st_nlink:
            return Path(name), descriptor
        # Removed as abandoned, between making and locking it.
        os.close(descriptor)
