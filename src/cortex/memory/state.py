"""Hot state: small JSON values by key, with a time to live and compare-and-set."""

from collections.abc import Sequence
from dataclasses import dataclass

import orjson

from cortex.foundation.canonical import JsonValue
from cortex.foundation.errors import NotFound, ValidationError
from cortex.foundation.tenancy import Namespace
from cortex.storage.keyvalue import KeyValue, KeyValueEntry


@dataclass(frozen=True, slots=True)
class StateValue:
    """One value of hot state.

    Attributes:
        etag: changes with every put; send it back in ``If-Match``.
        expires_at: epoch seconds, None when it stays.
    """

    key: str
    value: JsonValue
    etag: str
    expires_at: float | None


class HotState:
    """JSON over a keeper of bytes; see ``KeyValue`` for limits and errors."""

    def __init__(self, keeper: KeyValue) -> None:
        """Keep values in ``keeper``: in memory, in the database, or in Redis."""
        self._keeper = keeper

    async def get(self, ns: Namespace, key: str) -> StateValue:
        """Return a value.

        Raises:
            NotFound: there is none, or its time is over.
        """
        entry = await self._keeper.get(ns, key)
        if entry is None:
            raise NotFound("no state under this key", key=key)
        return _value(entry)

    async def put(
        self,
        ns: Namespace,
        key: str,
        value: JsonValue,
        *,
        ttl_seconds: float | None = None,
        expected_etag: str | None = None,
    ) -> StateValue:
        """Store a value and return it with its new etag.

        ``expected_etag`` stores only over that version, and over nothing when it is
        ``cortex.storage.keyvalue.ABSENT``.

        Raises:
            PreconditionFailed: the stored version is another one.
            PayloadTooLarge: the value is over its limit.
            ValidationError: JSON cannot carry the value.
        """
        try:
            body = orjson.dumps(value)
        except TypeError as error:
            message = f"the value is not JSON: {error}"
            raise ValidationError(message, field="value") from error
        entry = await self._keeper.put(
            ns, key, body, ttl_seconds=ttl_seconds, expected_etag=expected_etag
        )
        return _value(entry)

    async def delete(
        self, ns: Namespace, key: str, *, expected_etag: str | None = None
    ) -> None:
        """Remove a value.

        Raises:
            NotFound: there is none.
            PreconditionFailed: the stored version is another one.
        """
        if not await self._keeper.delete(ns, key, expected_etag=expected_etag):
            raise NotFound("no state under this key", key=key)

    async def scan(
        self, ns: Namespace, *, prefix: str = "", after: str = "", limit: int
    ) -> Sequence[StateValue]:
        """Return values in order of their keys, for paging."""
        found = await self._keeper.scan(ns, prefix=prefix, after=after, limit=limit)
        return [_value(entry) for entry in found]

    async def clear(self, ns: Namespace) -> int:
        """Remove all state of a namespace; part of forgetting it."""
        return await self._keeper.clear(ns)


def _value(entry: KeyValueEntry) -> StateValue:
    value: JsonValue = orjson.loads(entry.value)
    return StateValue(entry.key, value, entry.etag, entry.expires_at)
