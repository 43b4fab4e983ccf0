"""Schema steps: numbered SQL files per room, applied in order, all or nothing.

``<package>/sql/migrations/0001_name.sql`` holds one step. A released step is never
edited: a later one changes what it made.
"""

import re
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files

from cortex.foundation.errors import Unavailable
from cortex.storage.errors import MigrationFailed, SchemaTooNew, StorageError, translate
from cortex.storage.queries import Queries

_FILE = re.compile(r"^(\d{4})_([a-z0-9_]+)\.sql$")
_SQL = Queries.load("cortex.storage", "migrations")


@dataclass(frozen=True, slots=True)
class Migration:
    """One step of one room's schema.

    Attributes:
        room: whose tables it touches, such as ``memory``.
        number: position within the room, from 1 without gaps.
        name: what it does, for people.
        sql: one or more statements without transaction control.
    """

    room: str
    number: int
    name: str
    sql: str


def load_migrations(package: str) -> tuple[Migration, ...]:
    """Read the steps of a package, in order; the room is its last name.

    Raises:
        StorageError: a file name is malformed, or a number is missing or doubled.
    """
    room = package.rpartition(".")[2]
    folder = files(package).joinpath("sql", "migrations")
    found = []
    for entry in sorted(folder.iterdir(), key=lambda item: item.name):
        if not entry.name.endswith(".sql"):
            continue
        match = _FILE.match(entry.name)
        if match is None:
            message = f"{package}: {entry.name} is not named like 0001_add_table.sql"
            raise StorageError(message)
        text = entry.read_text(encoding="utf-8")
        found.append(Migration(room, int(match.group(1)), match.group(2), text))
    check_numbers(found)
    return tuple(found)


def check_numbers(migrations: Sequence[Migration]) -> None:
    """Raise ``StorageError`` unless each room counts 1, 2, 3 … in the order given."""
    last: dict[str, int] = {}
    for step in migrations:
        expected = last.get(step.room, 0) + 1
        if step.number != expected:
            message = (
                f"migration {step.number:04}_{step.name} of {step.room!r} should "
                f"have the number {expected:04}"
            )
            raise StorageError(message)
        last[step.room] = step.number


def missing(
    connection: sqlite3.Connection, migrations: Sequence[Migration]
) -> tuple[Migration, ...]:
    """Return the steps that the file does not have yet.

    Raises:
        SchemaTooNew: the file has steps of a known room that this release lacks.
    """
    check_numbers(migrations)
    known: dict[str, int] = {}
    for step in migrations:
        known[step.room] = max(step.number, known.get(step.room, 0))
    applied = applied_numbers(connection)
    for room, number in applied.items():
        if room in known and number > known[room]:
            message = (
                f"the database was written by a newer release: its {room!r} schema "
                f"is at step {number}, this release knows {known[room]}"
            )
            raise SchemaTooNew(
                message,
                hint="Install that release, or restore the backup made before it.",
                room=room,
                found=number,
                known=known[room],
            )
    return tuple(s for s in migrations if s.number > applied.get(s.room, 0))


def applied_numbers(connection: sqlite3.Connection) -> dict[str, int]:
    """Return the last applied step of each room; empty for a fresh file."""
    if connection.execute(_SQL["ledger_exists"]).fetchone() is None:
        return {}
    return dict(connection.execute(_SQL["applied_numbers"]).fetchall())


def is_empty(connection: sqlite3.Connection) -> bool:
    """Return whether the file has no table at all."""
    return connection.execute(_SQL["any_table"]).fetchone() is None


def apply(
    connection: sqlite3.Connection, steps: Sequence[Migration], *, now: float
) -> None:
    """Apply the steps in one transaction and record them with the time ``now``.

    Raises:
        MigrationFailed: a statement failed; the file is as it was.
        StorageFull: the disk is full; the file is as it was.
    """
    connection.execute("BEGIN IMMEDIATE")
    current = None
    try:
        connection.execute(_SQL["create_ledger"])
        for current in steps:
            for statement in statements(current.sql):
                connection.execute(statement)
            record = (current.room, current.number, current.name, now)
            connection.execute(_SQL["record_migration"], record)
        connection.execute("COMMIT")
    except sqlite3.Error as error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        named = translate(error)
        if isinstance(named, Unavailable):
            raise named from error
        where = f"{current.room} {current.number:04}" if current else "its record"
        raise MigrationFailed(
            f"migration {where} failed: {error}",
            hint="Nothing was changed; report this with the release's version.",
        ) from error


def statements(sql: str) -> Iterator[str]:
    """Split a script at the semicolons that end a statement (triggers kept whole)."""
    pending = ""
    for line in sql.splitlines(keepends=True):
        pending += line
        if sqlite3.complete_statement(pending):
            yield pending.strip()
            pending = ""
    if any(not _is_comment(line) for line in pending.splitlines()):
        yield pending.strip()


def _is_comment(line: str) -> bool:
    text = line.strip()
    return not text or text.startswith("--")
