"""Data keys of all tenants, wrapped, in SQLite; unwrapped ones in memory, bounded.

For stores that encrypt what they keep::

    key = await keys.current(tenant, "memory")
    sealed = key.seal(content, b"memories/" + memory_id)     # in the transaction
    ...
    key = await keys.opener(tenant, sealed)
    content = key.open(sealed, b"memories/" + memory_id)
"""

import threading
from collections import OrderedDict
from dataclasses import asdict, dataclass

from cortex.foundation.clock import Clock
from cortex.security.envelope import DataKey, Keyring, WrappedKey, key_id_of
from cortex.security.errors import DecryptionFailed
from cortex.storage.queries import Queries
from cortex.storage.sqlite import Connection, Database

KEYS_IN_MEMORY_MAX = 4_096
"""Unwrapped keys kept: about 1 KB each; the longest unused goes first."""

REWRAP_BATCH_KEYS = 500
"""Keys wrapped anew in one transaction: a few milliseconds of the writer."""

_SQL = Queries.load("cortex.security", "data_keys")


@dataclass(frozen=True, slots=True)
class KeyCount:
    """How many data keys of one purpose a tenant has under one master key."""

    tenant: str
    purpose: str
    master_id: str
    keys: int

    def told(self) -> dict[str, object]:
        """Return it by field name."""
        return asdict(self)


class DataKeys:
    """Hands out data keys; for any thread."""

    def __init__(self, database: Database, keyring: Keyring, *, clock: Clock) -> None:
        """Use an opened database with the security migrations."""
        self._database = database
        self._keyring = keyring
        self._clock = clock
        self._open: OrderedDict[tuple[str, bytes], DataKey] = OrderedDict()
        self._lock = threading.Lock()

    async def current(self, tenant: str, purpose: str) -> DataKey:
        """Return the key that new content is sealed by; makes the first one.

        Raises:
            DecryptionFailed: its master key is not configured.
        """

        found = self._database.read_inline(lambda c: self.find(c, tenant, purpose))
        if found is None:
            return await self._database.write(
                lambda c: self.find_or_make(c, tenant, purpose)
            )
        return found

    def find(self, connection: Connection, tenant: str, purpose: str) -> DataKey | None:
        """Return the current key inside a query; None before the first."""
        row = connection.execute(_SQL["current"], (tenant, purpose)).fetchone()
        return None if row is None else self._ready(WrappedKey(*row))

    def find_or_make(
        self, connection: Connection, tenant: str, purpose: str
    ) -> DataKey:
        """Return the current key inside a unit; one that was made goes with it."""
        found = self.find(connection, tenant, purpose)
        if found is not None:
            return found
        made = self._keyring.make(tenant, purpose)
        self._insert(connection, made)
        return self._keyring.unwrap(made)

    async def opener(self, tenant: str, sealed: bytes) -> DataKey:
        """Return the key that opens something of this tenant.

        Raises:
            DecryptionFailed: the key was destroyed, is another tenant's, or its
                master key is not configured.
        """
        return self._database.read_inline(
            lambda connection: self.find_opener(connection, tenant, sealed)
        )

    def find_opener(
        self, connection: Connection, tenant: str, sealed: bytes
    ) -> DataKey:
        """Return the key that opens something, inside a query; see ``opener``."""
        key_id = key_id_of(sealed)
        row = connection.execute(_SQL["by_id"], (tenant, key_id)).fetchone()
        if row is None:
            with self._lock:
                self._open.pop((tenant, key_id), None)
            raise DecryptionFailed(
                "the key of this content is gone",
                hint="It was destroyed to forget the content, or never this tenant's.",
            )
        return self._ready(WrappedKey(*row))

    async def rotate(self, tenant: str, purpose: str) -> DataKey:
        """Seal new content by a fresh key; older keys go on opening theirs."""
        made = self._keyring.make(tenant, purpose)

        def unit(connection: Connection) -> None:
            connection.execute(_SQL["retire"], (tenant, purpose))
            self._insert(connection, made)

        await self._database.write(unit)
        return self._ready(made)

    async def rewrap(self) -> int:
        """Wrap all keys by the current master key; return how many it were.

        Afterwards the older master keys are no longer needed. Can be interrupted and
        called again.

        Raises:
            DecryptionFailed: a key's master key is not configured.
        """
        done = 0
        master = self._keyring.current.id

        def batch(connection: Connection) -> int:
            asked = (master, REWRAP_BATCH_KEYS)
            rows = connection.execute(_SQL["under_other_master"], asked).fetchall()
            for row in rows:
                key = self._keyring.rewrap(WrappedKey(*row))
                values = (key.master_id, key.wrapped, key.id)
                connection.execute(_SQL["rewrap"], values)
            return len(rows)

        while number := await self._database.write(batch):
            done += number
        return done

    async def destroy(self, tenant: str, purpose: str | None = None) -> int:
        """Delete a tenant's keys, for one purpose or all; return how many.

        What they sealed can never be opened again, wherever it was copied. Call
        ``Database.scrub`` afterwards, so that no file holds the wrapped keys, and
        remember that backups do.
        """

        def unit(connection: Connection) -> int:
            if purpose is None:
                cursor = connection.execute(_SQL["destroy_of_tenant"], (tenant,))
            else:
                cursor = connection.execute(_SQL["destroy"], (tenant, purpose))
            return int(cursor.rowcount)

        gone = await self._database.write(unit)
        with self._lock:
            for key in [key for key in self._open if key[0] == tenant]:
                del self._open[key]
        return gone

    async def census(self) -> list[KeyCount]:
        """Return how many keys there are, by tenant, purpose and master key."""
        rows = await self._database.read(lambda c: c.execute(_SQL["census"]).fetchall())
        return [KeyCount(*row) for row in rows]

    async def tenants(self, purpose: str) -> tuple[str, ...]:
        """Return the tenants that have a key for a purpose, sorted."""
        rows = await self._database.read(
            lambda connection: connection.execute(
                _SQL["tenants"], (purpose,)
            ).fetchall()
        )
        return tuple(row[0] for row in rows)

    async def foreign(self) -> tuple[str, ...]:
        """Return the ids of master keys that wrapped something and are not at hand."""
        known = self._keyring.ids
        rows = await self._database.read(
            lambda connection: connection.execute(_SQL["masters"]).fetchall()
        )
        return tuple(row[0] for row in rows if row[0] not in known)

    def _insert(self, connection: Connection, key: WrappedKey) -> None:
        row = (key.id, key.tenant, key.purpose, key.master_id, key.wrapped)
        connection.execute(_SQL["insert"], (*row, self._clock.now()))

    def _ready(self, key: WrappedKey) -> DataKey:
        place = (key.tenant, key.id)
        with self._lock:
            ready = self._open.get(place)
            if ready is None:
                ready = self._open[place] = self._keyring.unwrap(key)
                if len(self._open) > KEYS_IN_MEMORY_MAX:
                    self._open.popitem(last=False)
            self._open.move_to_end(place)
        return ready
