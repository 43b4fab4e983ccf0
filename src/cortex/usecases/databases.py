"""Registered databases: their tables and, where allowed, a few rows."""

from collections.abc import Mapping
from typing import Protocol

from cortex.foundation.canonical import JsonValue, canonical_json, sha256_hex
from cortex.foundation.clock import Clock
from cortex.foundation.errors import NotFound, PermissionDenied
from cortex.usecases.model import (
    Column,
    DatabaseInfo,
    DatabaseSample,
    DatabaseSchema,
    Table,
)


class Inspector(Protocol):
    """Looks into one database, read-only."""

    @property
    def engine(self) -> str:
        """Return the kind of database, such as ``sqlite``."""
        ...

    async def tables(self) -> Mapping[str, tuple[tuple[str, str, bool, bool], ...]]:
        """Return (name, type, nullable, primary key) of each table's columns."""
        ...

    async def rows(self, table: str, limit: int) -> list[dict[str, JsonValue]]:
        """Return at most ``limit`` rows of a table that exists."""
        ...


class Databases:
    """The databases an operator registered, and Cortex's own by schema alone.

    Rows of Cortex's own files belong to tenants and are never sampled here.
    """

    def __init__(
        self,
        inspectors: Mapping[str, Inspector],
        *,
        schema_only: frozenset[str],
        clock: Clock,
    ) -> None:
        """Take the inspectors by database name."""
        self._inspectors = dict(inspectors)
        self._schema_only = schema_only
        self._clock = clock

    async def list(self) -> list[DatabaseInfo]:
        """Return every registered database."""
        return [
            DatabaseInfo(name, inspector.engine, len(await inspector.tables()))
            for name, inspector in self._inspectors.items()
        ]

    async def schema(self, name: str) -> DatabaseSchema:
        """Return the tables of one database, with a hash that tells changes.

        Raises:
            NotFound: no database of that name is registered.
        """
        found = await self._inspector(name).tables()
        shape = {
            table: [list(column) for column in columns]
            for table, columns in found.items()
        }
        tables = tuple(
            Table(table, tuple(Column(*column) for column in columns))
            for table, columns in sorted(found.items())
        )
        digest = sha256_hex(canonical_json(shape))
        return DatabaseSchema(name, tables, digest, self._clock.now())

    async def sample(self, name: str, table: str, limit: int) -> DatabaseSample:
        """Return the first rows of a table.

        Raises:
            NotFound: no such database or table.
            PermissionDenied: the rows belong to tenants.
        """
        inspector = self._inspector(name)
        if table not in await inspector.tables():
            raise NotFound("no such table in that database", database=name)
        if name in self._schema_only:
            message = "rows of Cortex's own database are not sampled"
            hint = "Read memories through /memory, which keeps tenants apart."
            raise PermissionDenied(message, hint=hint, database=name)
        rows = await inspector.rows(table, limit + 1)
        kept = tuple(rows[:limit])
        return DatabaseSample(name, table, limit, kept, len(rows) > limit)

    def _inspector(self, name: str) -> Inspector:
        if name not in self._inspectors:
            raise NotFound("no database of that name is registered", database=name)
        return self._inspectors[name]
