"""Opening SQLite files, and keeping a unit from ending what it shares with others."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Literal, NoReturn, TypeAlias
from urllib.parse import quote

from cortex.storage.errors import StorageError
from cortex.storage.options import (
    CACHE_KIB,
    READER_CACHE_KIB,
    WAL_CHECKPOINT_PAGES,
    WAL_KEPT_BYTES,
    DatabaseOptions,
)

Connection: TypeAlias = sqlite3.Connection

_STATEMENTS_CACHED = 512
"""Prepared statements kept per connection: more than all rooms' queries together."""


class UnitConnection(sqlite3.Connection):
    """A connection as a unit sees it: it reads and writes, but ends no transaction.

    Many units share one commit. A unit that committed by itself would make half a
    group durable before anyone was told.
    """

    def commit(self) -> None:
        """Refuse."""
        _refuse("commit")

    def rollback(self) -> None:
        """Refuse: raise an error from the unit instead."""
        _refuse("rollback")

    def close(self) -> None:
        """Refuse: the connection belongs to the database."""
        _refuse("close")

    def executescript(self, sql_script: str, /) -> sqlite3.Cursor:
        """Refuse: SQLite's Python binding commits before a script."""
        _refuse(f"executescript with {len(sql_script)} characters")

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
        /,
    ) -> Literal[False]:
        """Refuse: ``with connection`` commits."""
        _refuse("with connection")


def _refuse(what: str) -> NoReturn:
    raise StorageError(
        f"a unit may not call {what}: the database commits whole groups",
        hint="Raise an error from the unit to undo its changes.",
    )


def open_writer(path: Path, options: DatabaseOptions) -> UnitConnection:
    """Open the file for writing, making it readable by its owner only if it is new."""
    _create_private(path)
    connection = _connect(f"file:{quote(str(path))}?mode=rw", options)
    with _closed_on_error(connection):
        if connection.execute("PRAGMA page_count").fetchone()[0] == 0:
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {options.synchronous}")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute(f"PRAGMA secure_delete = {int(options.secure_delete)}")
        connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        connection.execute(f"PRAGMA wal_autocheckpoint = {WAL_CHECKPOINT_PAGES}")
        connection.execute(f"PRAGMA journal_size_limit = {WAL_KEPT_BYTES}")
        if options.page_count_max:
            connection.execute(f"PRAGMA max_page_count = {options.page_count_max}")
    return connection


def open_reader(path: Path, options: DatabaseOptions) -> UnitConnection:
    """Open the file so that no statement can change it."""
    connection = _connect(f"file:{quote(str(path))}?mode=ro", options)
    with _closed_on_error(connection):
        connection.execute("PRAGMA query_only = ON")
        connection.execute(f"PRAGMA cache_size = -{READER_CACHE_KIB}")
    return connection


def close(connection: sqlite3.Connection) -> None:
    """Close for good, past the guard of ``UnitConnection``."""
    sqlite3.Connection.close(connection)


@contextmanager
def _closed_on_error(connection: UnitConnection) -> Iterator[None]:
    try:
        yield
    except BaseException:
        close(connection)
        raise


def _connect(uri: str, options: DatabaseOptions) -> UnitConnection:
    connection = sqlite3.connect(
        uri,
        uri=True,
        timeout=options.busy_timeout_ms / 1000,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=_STATEMENTS_CACHED,
        factory=UnitConnection,
    )
    # Memory-mapped pages would turn a disk error into SIGBUS; temporary tables on
    # disk would leave copies of content that no forget could find.
    with _closed_on_error(connection):
        connection.execute("PRAGMA mmap_size = 0")
        connection.execute("PRAGMA temp_store = MEMORY")
    return connection


def _create_private(path: Path) -> None:
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
    except FileExistsError:
        return
    os.close(descriptor)
    sync_directory(path.parent)


def sync_directory(folder: Path) -> None:
    """Make names created or renamed in the folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
