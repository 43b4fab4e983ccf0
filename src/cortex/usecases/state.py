"""Hot state for callers: ``If-Match`` conditions over etags."""

from dataclasses import dataclass

from cortex.foundation.canonical import JsonValue
from cortex.foundation.errors import NotFound, PreconditionFailed
from cortex.foundation.tenancy import Namespace
from cortex.memory.state import HotState, StateValue
from cortex.usecases.build_context import Announce
from cortex.usecases.model import CallContext, StateEntry

ANY_VERSION = "*"
"""``If-Match: *``: the key must exist, whatever its version (RFC 9110, 13.1.1)."""


@dataclass(frozen=True, slots=True)
class State:
    """Reads, writes and removes values."""

    values: HotState
    announce: Announce

    async def get(self, namespace: Namespace, key: str, /) -> StateEntry:
        """Return an entry; ``NotFound`` when there is none or its time is over."""
        return _entry(await self.values.get(namespace, key))

    async def put(
        self,
        namespace: Namespace,
        key: str,
        value: JsonValue,
        /,
        *,
        ttl_seconds: float | None,
        if_match: str | None,
        context: CallContext,
    ) -> StateEntry:
        """Write a value and return its entry with the new etag.

        Raises:
            PreconditionFailed: ``if_match`` does not hold.
        """
        expected = await self._expected(namespace, key, if_match)
        stored = await self.values.put(
            namespace, key, value, ttl_seconds=ttl_seconds, expected_etag=expected
        )
        self.announce(
            "state.updated", namespace, {"key": key, "etag": stored.etag}, context
        )
        return _entry(stored)

    async def delete(
        self,
        namespace: Namespace,
        key: str,
        /,
        *,
        if_match: str | None,
        context: CallContext,
    ) -> None:
        """Remove a key; ``NotFound`` when there is none."""
        expected = await self._expected(namespace, key, if_match)
        await self.values.delete(namespace, key, expected_etag=expected)
        self.announce(
            "state.updated", namespace, {"key": key, "deleted": True}, context
        )

    async def _expected(
        self, namespace: Namespace, key: str, if_match: str | None
    ) -> str | None:
        if if_match != ANY_VERSION:
            return if_match
        try:
            return (await self.values.get(namespace, key)).etag
        except NotFound as error:
            message = "the key does not exist, and If-Match: * asks that it does"
            raise PreconditionFailed(message, key=key) from error


def _entry(stored: StateValue) -> StateEntry:
    return StateEntry(stored.key, stored.value, stored.etag, stored.expires_at)
