"""Groups of errors in SQLite: a row each, the last seen of a bounded number."""

from collections.abc import Sequence
from dataclasses import fields

import orjson

from cortex.storage.queries import Queries
from cortex.storage.sqlite import Connection, Database
from cortex.telemetry.errors import ErrorGroup

GROUPS_KEPT = 2_000
"""Groups kept: a server with more has other worries than the oldest of them."""

_SQL = Queries.load("cortex.storage.observations", "errors")
_COLUMNS = [field.name for field in fields(ErrorGroup)]


class SqliteErrors:
    """Keeps groups in a database with this package's migrations."""

    def __init__(self, database: Database) -> None:
        """Keep groups in an open database."""
        self._database = database

    async def add(self, groups: Sequence[ErrorGroup]) -> None:
        """Add occurrences to their groups."""
        rows = [_row(group) for group in groups]

        def unit(connection: Connection) -> None:
            connection.executemany(_SQL["add"], rows)
            connection.execute(_SQL["prune"], {"kept": GROUPS_KEPT})

        await self._database.write(unit)

    async def page(self, since: float, limit: int) -> list[ErrorGroup]:
        """Return groups seen since then, the last seen first."""
        asked = {"since": since, "limit": limit}
        rows = await self._database.read(
            lambda c: c.execute(_SQL["page"], asked).fetchall()
        )
        return [_group(row) for row in rows]


def _row(group: ErrorGroup) -> dict[str, object]:
    row: dict[str, object] = {name: getattr(group, name) for name in _COLUMNS}
    row["frames"] = orjson.dumps(group.frames).decode()
    return row


def _group(row: Sequence[object]) -> ErrorGroup:
    values = dict(zip(_COLUMNS, row, strict=True))
    values["frames"] = tuple(orjson.loads(str(values["frames"])))
    return ErrorGroup(**values)  # type: ignore[arg-type]
