"""Key-values in the SQLite file: durable when acknowledged, there after a restart."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from cortex.foundation.clock import Clock
from cortex.foundation.ids import IdSource
from cortex.foundation.tenancy import Namespace
from cortex.storage.keyvalue import (
    ENTRIES_PER_NAMESPACE_MAX,
    KeyValueEntry,
    SteadyClock,
    check_etag,
    check_key,
    check_limit,
    check_put,
    prefix_end,
)
from cortex.storage.queries import Queries
from cortex.storage.sqlite import Connection, Database

SWEPT_ENTRIES_MAX = 100
"""Expired entries deleted along with one put: more than puts can add."""

TOUCHES_MAX = 1_000
"""Uses remembered until the next put writes them down."""

REWRITE_BATCH = 100
"""Values rewritten in one transaction: up to 25 MB, mostly far less."""

Change: TypeAlias = Callable[[Connection, Namespace, str, bytes], bytes | None]
"""Takes connection, namespace, key and value; returns the new value or None."""

_SQL = Queries.load("cortex.storage", "key_values")


@dataclass(frozen=True, slots=True)
class _Address:
    tenant: str
    namespace: str
    key: str


class SqliteKeyValue:
    """Keeps values in ``Database``, whose migrations must include this package's.

    Reads are indexed and run on the calling thread. The order of use is exact for
    puts; uses by ``get`` are written with the next put, and lost by a crash.
    """

    def __init__(
        self,
        database: Database,
        *,
        clock: Clock,
        ids: IdSource,
        entries_max: int = ENTRIES_PER_NAMESPACE_MAX,
    ) -> None:
        """Keep values in an open database; ``entries_max`` bounds each namespace."""
        self._database = database
        self._time = SteadyClock(clock)
        self._ids = ids
        self._entries_max = entries_max
        self._touched: OrderedDict[_Address, None] = OrderedDict()

    async def get(self, namespace: Namespace, key: str) -> KeyValueEntry | None:
        """Return the value unless it is absent or expired; counts as a use."""
        check_key(key)
        address = _Address(namespace.tenant, namespace.name, key)
        now = self._time.now()
        entry = self._database.read_inline(lambda c: _get(c, address, now))
        if entry is not None:
            self._touched[address] = None
            self._touched.move_to_end(address)
            if len(self._touched) > TOUCHES_MAX:
                self._touched.popitem(last=False)
        return entry

    async def put(
        self,
        namespace: Namespace,
        key: str,
        value: bytes,
        *,
        ttl_seconds: float | None = None,
        expected_etag: str | None = None,
    ) -> KeyValueEntry:
        """Store a value; durable when this returns; see ``KeyValue.put``."""
        check_put(key, value, ttl_seconds)
        address = _Address(namespace.tenant, namespace.name, key)
        now = self._time.now()
        entry = KeyValueEntry(
            key, value, self._ids.new(), self._time.expiry(ttl_seconds)
        )
        touched, self._touched = tuple(self._touched), OrderedDict()

        def unit(connection: Connection) -> None:
            check_etag(_get(connection, address, now), expected_etag)
            for used in touched:
                connection.execute(_SQL["touch"], _named(used))
            swept = {"now": now, "limit": SWEPT_ENTRIES_MAX}
            connection.execute(_SQL["sweep"], swept)
            connection.execute(_SQL["put"], _named(address) | _columns(entry))
            kept = _named(address) | {"kept": self._entries_max}
            connection.execute(_SQL["evict"], kept)

        await self._database.write(unit)
        return entry

    async def delete(
        self, namespace: Namespace, key: str, *, expected_etag: str | None = None
    ) -> bool:
        """Remove a value, durably; see ``KeyValue.delete``."""
        check_key(key)
        address = _Address(namespace.tenant, namespace.name, key)
        now = self._time.now()

        def unit(connection: Connection) -> bool:
            entry = _get(connection, address, now)
            check_etag(entry, expected_etag)
            connection.execute(_SQL["delete"], _named(address))
            return entry is not None

        return await self._database.write(unit)

    async def scan(
        self, namespace: Namespace, *, prefix: str = "", after: str = "", limit: int
    ) -> list[KeyValueEntry]:
        """Return entries in order of their keys; see ``KeyValue.scan``."""
        check_limit(limit)
        bounds = {
            "tenant": namespace.tenant,
            "namespace": namespace.name,
            "after": after,
            "first": prefix,
            "end": prefix_end(prefix),
            "now": self._time.now(),
            "limit": limit,
        }

        def query(connection: Connection) -> list[KeyValueEntry]:
            rows = connection.execute(_SQL["scan"], bounds)
            return [KeyValueEntry(*row) for row in rows]

        return await self._database.read(query)

    async def clear(self, namespace: Namespace) -> int:
        """Remove everything in a namespace, durably."""
        space = {"tenant": namespace.tenant, "namespace": namespace.name}
        now = self._time.now()

        def unit(connection: Connection) -> int:
            expired = {"now": now, "limit": -1}
            connection.execute(_SQL["sweep"], expired)
            return int(connection.execute(_SQL["clear"], space).rowcount)

        return await self._database.write(unit)

    async def rewrite(self, change: Change) -> int:
        """Put what ``change`` makes of each value in its place; return how many.

        In bounded batches; a value that it answers with None stays as it is.
        """
        after, changed = 0, 0
        while True:
            last, number = await self._database.write(
                lambda c, after=after: _rewrite(c, change, after)  # type: ignore[misc]
            )
            if last is None:
                return changed
            after, changed = last, changed + number

    async def sweep(self) -> int:
        """Delete all expired values; return how many."""
        expired = {"now": self._time.now(), "limit": -1}
        return await self._database.write(
            lambda c: int(c.execute(_SQL["sweep"], expired).rowcount)
        )


def _rewrite(
    connection: Connection, change: Change, after: int
) -> tuple[int | None, int]:
    rows = connection.execute(_SQL["values_after"], (after, REWRITE_BATCH)).fetchall()
    changed = 0
    for rowid, tenant, namespace, key, value in rows:
        fresh = change(connection, Namespace(tenant, namespace), key, value)
        if fresh is not None:
            connection.execute(_SQL["replace_value"], (fresh, rowid))
            changed += 1
    return (rows[-1][0] if rows else None), changed


def _get(connection: Connection, address: _Address, now: float) -> KeyValueEntry | None:
    wanted = _named(address) | {"now": now}
    row = connection.execute(_SQL["get"], wanted).fetchone()
    return None if row is None else KeyValueEntry(address.key, *row)


def _named(address: _Address) -> dict[str, object]:
    return {
        "tenant": address.tenant,
        "namespace": address.namespace,
        "key": address.key,
    }


def _columns(entry: KeyValueEntry) -> dict[str, object]:
    return {
        "value": entry.value,
        "etag": entry.etag,
        "expires_at": entry.expires_at,
    }
