"""A read-only look into any SQLite file: its tables, and rows of one."""

import asyncio
import base64
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from cortex.foundation.canonical import JsonValue
from cortex.foundation.errors import NotFound, Unavailable

CELL_CHARACTERS_MAX = 2_000
"""Characters of one sampled value; longer ones are cut."""

BUSY_TIMEOUT_SECONDS = 1.0
"""How long a look waits for a writer before it gives up."""


class SqliteInspector:
    """Opens the file anew for each look, so that it never holds a lock."""

    engine = "sqlite"

    def __init__(self, path: Path) -> None:
        """Take the file's path; it need not exist yet."""
        self._path = path

    async def tables(self) -> Mapping[str, tuple[tuple[str, str, bool, bool], ...]]:
        """Return (name, type, nullable, primary key) of each table's columns."""
        return await asyncio.to_thread(self._tables)

    async def rows(self, table: str, limit: int) -> list[dict[str, JsonValue]]:
        """Return at most ``limit`` rows; ``NotFound`` when there is no such table."""
        return await asyncio.to_thread(self._rows, table, limit)

    def _connect(self) -> sqlite3.Connection:
        try:
            return sqlite3.connect(
                f"file:{quote(str(self._path))}?mode=ro",
                uri=True,
                timeout=BUSY_TIMEOUT_SECONDS,
            )
        except sqlite3.Error as error:
            raise Unavailable("the database file cannot be opened") from error

    def _tables(self) -> dict[str, tuple[tuple[str, str, bool, bool], ...]]:
        with closing(self._connect()) as connection:
            try:
                names = connection.execute(
                    "SELECT name FROM sqlite_schema WHERE type = 'table' "
                    "AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name"
                ).fetchall()
                return {name: _columns(connection, name) for (name,) in names}
            except sqlite3.Error as error:
                raise Unavailable("the database file cannot be read") from error

    def _rows(self, table: str, limit: int) -> list[dict[str, JsonValue]]:
        if table not in self._tables():
            raise NotFound("no such table in that database")
        # The name is one of the file's own tables, and quoted: not the caller's SQL.
        quoted = '"' + table.replace('"', '""') + '"'
        with closing(self._connect()) as connection:
            try:
                cursor = connection.execute(f"SELECT * FROM {quoted} LIMIT ?", (limit,))
                names = [column[0] for column in cursor.description]
                found = cursor.fetchall()
            except sqlite3.Error as error:
                raise Unavailable("the table cannot be read") from error
        return [dict(zip(names, map(_cell, row), strict=True)) for row in found]


def _columns(
    connection: sqlite3.Connection, table: str
) -> tuple[tuple[str, str, bool, bool], ...]:
    found = connection.execute(
        'SELECT name, type, "notnull", pk FROM pragma_table_info(?)', (table,)
    )
    return tuple(
        (name, kind, not strict, bool(key)) for name, kind, strict, key in found
    )


def _cell(value: str | bytes | float | None) -> JsonValue:
    if isinstance(value, bytes):
        return base64.b64encode(value[:CELL_CHARACTERS_MAX]).decode("ascii")
    if isinstance(value, str):
        return value[:CELL_CHARACTERS_MAX]
    return value
