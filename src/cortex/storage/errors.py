"""What storage can answer instead of a result.

The leaves of this room::

    CortexError
    ├── StorageError          the file or its content is at fault
    │   ├── StorageCorrupt    SQLite cannot read the file
    │   ├── SchemaTooNew      a newer release wrote it
    │   └── MigrationFailed   a schema step did not apply; nothing was changed
    ├── Conflict
    │   └── ConstraintViolated  a UNIQUE, CHECK or FOREIGN KEY rule said no
    └── Unavailable
        ├── StorageFull       (foundation) the disk took no more bytes
        ├── StorageBusy       another process held the file for too long
        ├── StorageUnreachable  the key-value server does not answer
        └── StorageClosed     the database is not open

``translate`` turns what the driver raises into one of these, so that no other room
has to know the driver.
"""

import errno
import sqlite3

from cortex.foundation.errors import Conflict, CortexError, StorageFull, Unavailable

STORAGE_FULL_RETRY_SECONDS = 30.0
"""Seconds to wait before writing again to a full disk: someone has to make room."""

STORAGE_BUSY_RETRY_SECONDS = 1.0
"""Seconds to wait when another process holds the file: groups take milliseconds."""

_PRIMARY_CODE_MASK = 0xFF


class StorageError(CortexError):
    """The database file failed a read or a write."""

    code = "STORAGE_ERROR"


class StorageCorrupt(StorageError):
    """The file is not a database, or parts of it are damaged."""

    code = "STORAGE_CORRUPT"


class SchemaTooNew(StorageError):
    """The file was written by a newer release than this one."""

    code = "SCHEMA_TOO_NEW"


class MigrationFailed(StorageError):
    """A migration could not be applied; the file is as it was before."""

    code = "MIGRATION_FAILED"


class ConstraintViolated(Conflict):
    """The change breaks a rule that the schema states."""

    code = "CONSTRAINT_VIOLATED"


class StorageBusy(Unavailable):
    """Another process held the file longer than a caller should wait."""

    code = "STORAGE_BUSY"


class StorageUnreachable(Unavailable):
    """The server that keeps shared state does not answer."""

    code = "STORAGE_UNREACHABLE"


class StorageClosed(Unavailable):
    """The database is not open: not yet, or no longer."""

    code = "STORAGE_CLOSED"


def is_busy(error: BaseException) -> bool:
    """Return whether SQLite gave up waiting for a lock."""
    return _primary_code(error) in {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_PROTOCOL,
    }


def is_io_error(error: BaseException) -> bool:
    """Return whether the operating system failed a read, write or sync."""
    return _primary_code(error) == sqlite3.SQLITE_IOERR


def translate(error: BaseException) -> BaseException:
    """Return the named error for a driver error; any other error unchanged."""
    if _is_full(error):
        return StorageFull(
            "the disk is full; nothing of this write was kept",
            hint="Free space on the volume of CORTEX_HOME; reads still work.",
            retry_after_seconds=STORAGE_FULL_RETRY_SECONDS,
        )
    if isinstance(error, OSError):
        return StorageError(
            f"the database file cannot be used: {error}",
            hint="Look at the path and at the rights on CORTEX_HOME.",
        )
    return _from_driver(error) if isinstance(error, sqlite3.Error) else error


def _from_driver(error: sqlite3.Error) -> CortexError:
    if is_busy(error):
        return StorageBusy(
            "another process holds the database file",
            hint="Try again; if it lasts, look for a stuck cortex process.",
            retry_after_seconds=STORAGE_BUSY_RETRY_SECONDS,
        )
    if isinstance(error, sqlite3.IntegrityError):
        return ConstraintViolated(f"the change breaks a rule of the schema: {error}")
    if _primary_code(error) in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}:
        return StorageCorrupt(
            f"the database file cannot be read: {error}",
            hint="Restore a backup with 'cortex restore'.",
        )
    return StorageError(
        f"the database failed: {error}",
        hint="Look at the disk and at the rights on CORTEX_HOME.",
        sqlite_code=getattr(error, "sqlite_errorname", None),
    )


def _is_full(error: BaseException) -> bool:
    if isinstance(error, OSError):
        return error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
    return _primary_code(error) == sqlite3.SQLITE_FULL


def _primary_code(error: BaseException) -> int:
    code = getattr(error, "sqlite_errorcode", None)
    return int(code) & _PRIMARY_CODE_MASK if code is not None else 0
