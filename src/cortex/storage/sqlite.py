"""One SQLite file: durable group-committed writes and snapshot reads, from asyncio."""

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar, cast

from cortex.foundation.clock import Clock
from cortex.storage import migrations as schema
from cortex.storage.connections import (
    Connection,
    UnitConnection,
    close,
    open_reader,
)
from cortex.storage.copies import copy_whole
from cortex.storage.erasure import Eraser
from cortex.storage.errors import (
    STORAGE_BUSY_RETRY_SECONDS,
    StorageBusy,
    StorageClosed,
    translate,
)
from cortex.storage.migrations import Migration
from cortex.storage.options import DatabaseOptions
from cortex.storage.readers import ReaderPool
from cortex.storage.writer import Listener, Writer
from cortex.telemetry.tracing import span

__all__ = ["Connection", "Database", "DatabaseOptions", "DatabaseStatus"]

T = TypeVar("T")

SCRUB_TRIES_MAX = 200
"""Tries to empty the WAL: at ``SCRUB_PAUSE_SECONDS`` each, ten seconds of readers."""

SCRUB_PAUSE_SECONDS = 0.05
"""Seconds between tries, in which writes go on."""


@dataclass(frozen=True, slots=True)
class DatabaseStatus:
    """What the file and its writer look like now.

    Attributes:
        queued_units: units waiting for the writer.
        groups: commits since the start.
        units: units in those commits.
        failed_units: units that failed alone.
        failed_groups: commits that failed with everything in them.
        commit_seconds: time spent in COMMIT, syncs included.
        file_bytes: size of the database file.
        wal_bytes: size of its write-ahead log.
    """

    queued_units: int
    groups: int
    units: int
    failed_units: int
    failed_groups: int
    commit_seconds: float
    file_bytes: int
    wal_bytes: int


class Database:
    """One file, one writer thread, any number of readers.

    Several processes may open the same file; they take turns at writing.
    """

    def __init__(
        self,
        path: Path,
        *,
        clock: Clock,
        options: DatabaseOptions | None = None,
        migrations: Sequence[Migration] = (),
    ) -> None:
        """Name the file and the schema it shall have; nothing is opened yet."""
        self.path = path
        self._clock = clock
        self._options = options or DatabaseOptions()
        self._migrations = tuple(migrations)
        self._writer: Writer | None = None
        self._readers: ReaderPool | None = None
        self._eraser = Eraser(path, self._options)

    async def open(self) -> None:
        """Open or create the file and apply missing migrations; idempotent.

        A file with content is copied beside itself before its schema changes
        (``<name>.before-<time>.bak``); the next ``scrub`` deletes that copy.

        Raises:
            SchemaTooNew: a newer release wrote the file.
            MigrationFailed: a step failed; the file is unchanged.
            StorageCorrupt: it is not a database.
            StorageFull: no room for the file or its backup.
        """
        if self._writer is not None:
            return
        writer = Writer(self.path, self._clock, self._options, self._prepare)
        await asyncio.wrap_future(writer.start())
        self._readers = ReaderPool(self.path, self._options)
        self._writer = writer

    async def close(self) -> None:
        """Write what is queued, wait for reads and close all; idempotent."""
        writer, readers = self._writer, self._readers
        self._writer = self._readers = None
        if readers is not None:
            await asyncio.to_thread(readers.close)
        if writer is not None:
            await asyncio.to_thread(writer.stop)
            self._eraser.close()

    async def write(self, unit: Callable[[Connection], T]) -> T:
        """Run ``unit`` in the writer and return its value once it is durable.

        The unit runs on another thread, in a savepoint of a shared transaction: what
        it raises undoes its own changes only and is raised here. It must be short,
        must not wait for anything, and must not keep the connection.

        A cancelled caller gives up waiting, not the write: a unit that has been
        taken up may still be committed.

        Raises:
            Overloaded: too many units wait; ``retry_after_seconds`` is set.
            StorageFull: no room; nothing of the unit's group was kept.
            ConstraintViolated: a rule of the schema said no.
            StorageBusy, StorageError, StorageClosed: it was not written.
        """
        with span("store.write", file=self.path.name):
            return cast("T", await self._open_writer().submit(unit))

    def submit(self, unit: Callable[[Connection], T]) -> "asyncio.Future[T]":
        """Queue ``unit`` as ``write`` does; the future resolves when it is durable.

        Raises:
            Overloaded, StorageClosed: it was not queued.
        """
        return self._open_writer().submit(unit)

    async def read(self, query: Callable[[Connection], T]) -> T:
        """Run ``query`` on a read thread, in one snapshot; return what it returns.

        It must return values, not a cursor.

        Raises:
            Overloaded: too many reads wait.
            StorageError, StorageBusy, StorageClosed: it could not be read.
        """
        with span("store.read", file=self.path.name):
            return await self._open_readers().submit(query)

    def read_inline(self, query: Callable[[Connection], T]) -> T:
        """Run a short indexed ``query`` on the calling thread, in one snapshot.

        For reads below 100 µs, where handing over to a thread would cost more than
        the read. Safe from any thread.
        """
        return self._open_readers().run(query)

    def on_commit(self, listener: Listener) -> Listener:
        """Call ``listener`` after each commit of this process; returns an undo.

        It is called on the writer thread, must return at once and must not raise.
        """
        return self._open_writer().listen(listener)

    async def ping(self) -> None:
        """Prove that the file can be read and the writer's thread answers."""
        await self.read(_select_one)
        await self._open_writer().submit(_select_one, alone=True)

    async def checkpoint_truncate(self) -> bool:
        """Copy the WAL into the file and empty it; false when readers kept it."""
        return cast(
            "bool",
            await self._open_writer().submit(self._eraser.empty_log, alone=True),
        )

    async def scrub(self, *, vacuum: bool = False) -> None:
        """Leave no deleted byte in any file that Cortex made.

        Deleted rows were overwritten in place (``secure_delete``); this gives free
        pages back, empties the log with its old pages, zeroes the gaps inside pages
        and deletes automatic backups. It reads the file once; writes go on meanwhile.

        Args:
            vacuum: rewrite the whole file as well, to make it small; takes time,
                memory and disk in proportion to it.

        Raises:
            StorageBusy: readers held old pages all along; try again later.
        """
        writer = self._open_writer()
        eraser = self._eraser
        await writer.submit(eraser.rewrite if vacuum else eraser.shrink, alone=True)
        await asyncio.to_thread(eraser.delete_backups)
        await self._insist(eraser.empty_log)
        dirty = await asyncio.to_thread(eraser.dirty_pages)
        if dirty:
            await self._insist(lambda connection: eraser.wipe(connection, dirty))

    async def _insist(self, work: Callable[[UnitConnection], bool]) -> None:
        """Repeat a job of the writer until no reader is in its way."""
        for _ in range(SCRUB_TRIES_MAX):
            if await self._open_writer().submit(work, alone=True):
                return
            await self._clock.sleep(SCRUB_PAUSE_SECONDS)
        raise StorageBusy(
            "readers held old pages; deleted content may still be in the log",
            hint="Repeat the call when no export or backup is running.",
            retry_after_seconds=STORAGE_BUSY_RETRY_SECONDS,
        )

    async def backup(self, target: Path) -> None:
        """Write a consistent copy to ``target`` while reads and writes go on.

        The copy appears whole or not at all, is readable by its owner only, and
        holds no deleted content. An existing file is replaced; of copies made at
        once to one place the last one stays.

        Raises:
            StorageFull: no room for the copy.
        """
        self._open_readers()
        await asyncio.to_thread(self._copy_from_reader, target)

    def status(self) -> DatabaseStatus:
        """Return counts and sizes, without touching the database."""
        writer = self._open_writer()
        counts = writer.counts
        return DatabaseStatus(
            queued_units=writer.queued(),
            groups=counts.groups,
            units=counts.units,
            failed_units=counts.failed_units,
            failed_groups=counts.failed_groups,
            commit_seconds=counts.commit_seconds,
            file_bytes=_size(self.path),
            wal_bytes=_size(self.path.with_name(self.path.name + "-wal")),
        )

    def _open_writer(self) -> Writer:
        if self._writer is None:
            raise StorageClosed("the database is not open")
        return self._writer

    def _open_readers(self) -> ReaderPool:
        if self._readers is None:
            raise StorageClosed("the database is not open")
        return self._readers

    def _prepare(self, connection: UnitConnection) -> None:
        missing = schema.missing(connection, self._migrations)
        if not missing:
            return
        now = self._clock.now()
        if not schema.is_empty(connection):
            stamp = f"{now:.0f}"
            name = f"{self.path.name}.before-{stamp}.bak"
            copy_whole(connection, self.path.with_name(name))
        schema.apply(connection, missing, now=now)

    def _copy_from_reader(self, target: Path) -> None:
        try:
            connection = open_reader(self.path, self._options)
            try:
                # VACUUM counts as a write for query_only; it only writes the copy.
                connection.execute("PRAGMA query_only = OFF")
                copy_whole(connection, target)
            finally:
                close(connection)
        except (sqlite3.Error, OSError) as error:
            raise translate(error) from error


def _select_one(connection: Connection) -> None:
    connection.execute("SELECT 1").fetchone()


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
