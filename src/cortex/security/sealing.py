"""Data keys in the form that stores take: one tenant's, inside a unit or a query."""

from cortex.foundation.tenancy import Namespace
from cortex.security.data_keys import DataKeys
from cortex.security.envelope import DataKey, key_id_of
from cortex.storage.keyvalue import SEALED_MARK, KeyValue, KeyValueEntry
from cortex.storage.sqlite import Connection

STORE_PURPOSE = "store"
"""Seals memories, conversations and hot state; may be rotated."""

BLIND_PURPOSE = "store-blind"
"""Makes keyed hashes; never rotated, or what was stored would not be found."""


class TenantSeal:
    """A tenant's keys for as long as its connection is lent."""

    __slots__ = ("_blind", "_connection", "_current", "_keys", "_openers", "_tenant")

    def __init__(
        self,
        keys: DataKeys,
        connection: Connection,
        tenant: str,
        current: tuple[DataKey, DataKey] | None,
    ) -> None:
        """``current`` are the keys that seal and that blind; None before the first."""
        self._keys = keys
        self._connection = connection
        self._tenant = tenant
        self._current = None if current is None else current[0]
        self._blind = None if current is None else current[1]
        self._openers: dict[bytes, DataKey] = {}
        if self._current is not None:
            self._openers[self._current.id] = self._current

    def seal(self, plain: bytes, context: bytes) -> bytes:
        """Return ciphertext that opens in this context only."""
        if self._current is None:
            message = "a query does not seal"
            raise RuntimeError(message)
        return self._current.seal(plain, context)

    def open(self, sealed: bytes, context: bytes) -> bytes:
        """Return what was sealed.

        Raises:
            DecryptionFailed: it was changed or moved, or its key is gone.
        """
        key_id = key_id_of(sealed)
        opener = self._openers.get(key_id)
        if opener is None:
            opener = self._keys.find_opener(self._connection, self._tenant, sealed)
            self._openers[key_id] = opener
        return opener.open(sealed, context)

    def blind(self, plain: bytes) -> bytes:
        """Return a keyed hash, the same each time; nothing is found before a key."""
        return b"" if self._blind is None else self._blind.blind(plain)


class TenantSeals:
    """Finds and makes the keys of tenants where they are needed."""

    def __init__(self, keys: DataKeys) -> None:
        """Take the keys of the database that the connections belong to."""
        self._keys = keys

    def reading(self, connection: Connection, tenant: str) -> TenantSeal:
        """Return the seal for a query."""
        current = self._keys.find(connection, tenant, STORE_PURPOSE)
        blind = self._keys.find(connection, tenant, BLIND_PURPOSE)
        both = None if current is None or blind is None else (current, blind)
        return TenantSeal(self._keys, connection, tenant, both)

    def writing(self, connection: Connection, tenant: str) -> TenantSeal:
        """Return the seal for a unit, its keys made in the same transaction."""
        current = self._keys.find_or_make(connection, tenant, STORE_PURPOSE)
        blind = self._keys.find_or_make(connection, tenant, BLIND_PURPOSE)
        return TenantSeal(self._keys, connection, tenant, (current, blind))


class SealedValues:
    """Key-values sealed on their way into another keeper; see ``KeyValue``.

    Keys stay readable, as they are ordered and searched by prefix. A value that was put
    before encryption was turned on is answered as it is, until it is put again.
    """

    def __init__(self, keeper: KeyValue, keys: DataKeys) -> None:
        """Seal what ``keeper`` keeps."""
        self._keeper = keeper
        self._keys = keys

    async def get(self, namespace: Namespace, key: str) -> KeyValueEntry | None:
        """Return the value unless it is absent or expired; counts as a use."""
        entry = await self._keeper.get(namespace, key)
        return None if entry is None else await self._opened(namespace, entry)

    async def put(
        self,
        namespace: Namespace,
        key: str,
        value: bytes,
        *,
        ttl_seconds: float | None = None,
        expected_etag: str | None = None,
    ) -> KeyValueEntry:
        """Seal and store a value; see ``KeyValue.put``."""
        data_key = await self._keys.current(namespace.tenant, STORE_PURPOSE)
        entry = await self._keeper.put(
            namespace,
            key,
            SEALED_MARK + data_key.seal(value, _place(namespace, key)),
            ttl_seconds=ttl_seconds,
            expected_etag=expected_etag,
        )
        return KeyValueEntry(entry.key, value, entry.etag, entry.expires_at)

    async def delete(
        self, namespace: Namespace, key: str, *, expected_etag: str | None = None
    ) -> bool:
        """Remove a value; see ``KeyValue.delete``."""
        return await self._keeper.delete(namespace, key, expected_etag=expected_etag)

    async def scan(
        self, namespace: Namespace, *, prefix: str = "", after: str = "", limit: int
    ) -> list[KeyValueEntry]:
        """Return entries in order of their keys; see ``KeyValue.scan``."""
        found = await self._keeper.scan(
            namespace, prefix=prefix, after=after, limit=limit
        )
        return [await self._opened(namespace, entry) for entry in found]

    async def clear(self, namespace: Namespace) -> int:
        """Remove everything in a namespace."""
        return await self._keeper.clear(namespace)

    async def _opened(
        self, namespace: Namespace, entry: KeyValueEntry
    ) -> KeyValueEntry:
        if not entry.value.startswith(SEALED_MARK):
            return entry
        sealed = entry.value[len(SEALED_MARK) :]
        opener = await self._keys.opener(namespace.tenant, sealed)
        value = opener.open(sealed, _place(namespace, entry.key))
        return KeyValueEntry(entry.key, value, entry.etag, entry.expires_at)


def sealed_value(
    keys: DataKeys, connection: Connection, entry: tuple[Namespace, str, bytes]
) -> bytes | None:
    """Return a value as ``SealedValues`` would have put it; None if it did."""
    namespace, key, value = entry
    if value.startswith(SEALED_MARK):
        return None
    data_key = keys.find_or_make(connection, namespace.tenant, STORE_PURPOSE)
    return SEALED_MARK + data_key.seal(value, _place(namespace, key))


def _place(namespace: Namespace, key: str) -> bytes:
    return b"values/" + namespace.name.encode() + b"\0" + key.encode()
