"""Making deleted content vanish from every file, not only from every answer.

Three places keep deleted bytes after ``secure_delete`` has zeroed the rows: the
write-ahead log (old page versions), the gaps inside pages (``cortex.storage.pages``),
and the automatic backup from before a migration. ``Eraser`` clears all three.
"""

import glob
import os
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

from cortex.storage.connections import UnitConnection, close, open_writer
from cortex.storage.copies import remove_abandoned
from cortex.storage.options import DatabaseOptions
from cortex.storage.pages import HEADER_BYTES, Layout, is_dirty, wiped

SCRUB_BUSY_MS = 50
"""Milliseconds one try waits for readers while it holds up the writer."""

SCAN_BYTES = 1024 * 1024
"""Bytes read at once while looking for dirty pages."""

_USER_VERSION_SPAN = 1 << 30


class Eraser:
    """Clears what is left of deleted content in one database.

    Its methods that take a connection run on the writer thread, under the file's lock
    and outside any transaction.

    The raw descriptor stays open until ``close``: closing any descriptor of the file
    would silently drop the locks that SQLite holds on it in this process (POSIX).
    """

    def __init__(self, path: Path, options: DatabaseOptions) -> None:
        """Prepare; the file is opened at the first scan."""
        self._path = path
        self._options = options
        self._guard = threading.Lock()
        self._descriptor = -1

    def close(self) -> None:
        """Close the raw descriptor; only after the last connection."""
        with self._guard:
            if self._descriptor >= 0:
                os.close(self._descriptor)
            self._descriptor = -1

    def shrink(self, connection: UnitConnection) -> None:
        """Give free pages back to the file system."""
        connection.execute("PRAGMA incremental_vacuum").fetchall()

    def rewrite(self, connection: UnitConnection) -> None:
        """Write the whole file anew, without gaps."""
        connection.execute("VACUUM")

    def empty_log(self, connection: UnitConnection) -> bool:
        """Copy the log into the file and empty it; false when readers kept it."""
        connection.execute(f"PRAGMA busy_timeout = {SCRUB_BUSY_MS}")
        try:
            row = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        finally:
            timeout = self._options.busy_timeout_ms
            connection.execute(f"PRAGMA busy_timeout = {timeout}")
        return bool(row[0] == 0)

    def dirty_pages(self) -> tuple[int, ...]:
        """Return the numbers of pages with something in their gaps.

        Needs no lock, once the log was emptied after the deletion: what is deleted
        gets into no further page, and the pages found are looked at again.
        """
        descriptor = self._open()
        layout = Layout.of(os.pread(descriptor, HEADER_BYTES, 0))
        if layout is None:
            return ()
        return tuple(
            number
            for number, page in _pages(descriptor, layout)
            if is_dirty(page, number, layout)
        )

    def wipe(self, connection: UnitConnection, numbers: Sequence[int]) -> bool:
        """Zero the gaps of these pages in the file; false when readers kept the log.

        Only bytes that nobody reads are written, so a crash or a reader in between
        does no harm.
        """
        if not self.empty_log(connection):
            return False
        connection.execute("BEGIN IMMEDIATE")
        try:
            self._wipe_pages(numbers)
        finally:
            connection.execute("ROLLBACK")
        self._drop_page_caches()
        return True

    def delete_backups(self) -> None:
        """Delete the automatic copies made before migrations, half-written ones too."""
        name = glob.escape(self._path.name)
        remove_abandoned(self._path.parent, f"{name}.before-*.bak")
        for copy in self._path.parent.glob(f"{name}.before-*.bak"):
            copy.unlink(missing_ok=True)

    def _wipe_pages(self, numbers: Sequence[int]) -> None:
        descriptor = self._open()
        layout = Layout.of(os.pread(descriptor, HEADER_BYTES, 0))
        if layout is None:
            return
        for number in numbers:
            offset = (number - 1) * layout.page_bytes
            page = os.pread(descriptor, layout.page_bytes, offset)
            if len(page) == layout.page_bytes:
                os.pwrite(descriptor, wiped(page, number, layout), offset)
        os.fsync(descriptor)

    def _drop_page_caches(self) -> None:
        """Commit something from elsewhere: every writer then reads pages anew.

        A writer that kept its cached page would write the old gap back with its
        next change to that page.
        """
        other = open_writer(self._path, self._options)
        try:
            version = other.execute("PRAGMA user_version").fetchone()[0]
            following = (int(version) + 1) % _USER_VERSION_SPAN
            other.execute(f"PRAGMA user_version = {following}")
        finally:
            close(other)

    def _open(self) -> int:
        with self._guard:
            if self._descriptor < 0:
                self._descriptor = os.open(self._path, os.O_RDWR | os.O_CLOEXEC)
            return self._descriptor


def _pages(descriptor: int, layout: Layout) -> Iterator[tuple[int, bytes]]:
    per_read = max(1, SCAN_BYTES // layout.page_bytes)
    first = 1
    while True:
        offset = (first - 1) * layout.page_bytes
        chunk = os.pread(descriptor, per_read * layout.page_bytes, offset)
        count = len(chunk) // layout.page_bytes
        for index in range(count):
            start = index * layout.page_bytes
            yield first + index, chunk[start : start + layout.page_bytes]
        if count < per_read:
            return
        first += count
