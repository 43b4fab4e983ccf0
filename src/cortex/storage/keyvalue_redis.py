"""Key-values in Redis or Valkey: shared by processes and hosts, for hot state only.

Every change is one Lua script, hence atomic. The keys of a namespace share a hash tag,
so that a cluster keeps them in one slot. Expiry is decided by the caller's clock, as in
the other keepers; the server's own expiry only frees the memory.
"""

import math
from collections.abc import Awaitable, Iterable
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, cast
from urllib.parse import quote

from cortex.foundation.clock import Clock
from cortex.foundation.ids import IdSource
from cortex.foundation.tenancy import Namespace
from cortex.storage.errors import (
    STORAGE_BUSY_RETRY_SECONDS,
    StorageError,
    StorageUnreachable,
)
from cortex.storage.keyvalue import (
    ENTRIES_PER_NAMESPACE_MAX,
    KeyValueEntry,
    SteadyClock,
    check_key,
    check_limit,
    check_put,
    precondition_failed,
    prefix_end,
)

try:
    from redis.asyncio import Redis
    from redis.exceptions import ConnectionError as RedisConnectionError
    from redis.exceptions import RedisError
    from redis.exceptions import TimeoutError as RedisTimeoutError
except ImportError as error:
    message = "hot state in Redis needs the extra: pip install 'cortex-context[redis]'"
    raise ImportError(message) from error

SOCKET_TIMEOUT_SECONDS = 5.0
"""Seconds to wait for the server: hot state that takes longer is of no use."""

_SCRIPTS = ("get", "put", "delete", "scan", "clear")


@dataclass(frozen=True, slots=True)
class _Keys:
    """The Redis keys of one namespace; braces make them one cluster slot."""

    prefix: str

    @classmethod
    def of(cls, namespace: Namespace) -> "_Keys":
        tenant, name = quote(namespace.tenant, safe=""), quote(namespace.name, safe="")
        return cls(f"{{cortex:{tenant}|{name}}}")

    @property
    def items(self) -> str:
        return f"{self.prefix}:v:"

    @property
    def names(self) -> str:
        return f"{self.prefix}:names"

    @property
    def uses(self) -> str:
        return f"{self.prefix}:uses"

    @property
    def counter(self) -> str:
        return f"{self.prefix}:counter"


class RedisKeyValue:
    """Keeps values on a server; how durable they are is the server's setting."""

    def __init__(
        self,
        client: "Redis",
        *,
        clock: Clock,
        ids: IdSource,
        entries_max: int = ENTRIES_PER_NAMESPACE_MAX,
    ) -> None:
        """Use a client that returns bytes; ``entries_max`` bounds each namespace."""
        self._client = client
        self._time = SteadyClock(clock)
        self._ids = ids
        self._entries_max = entries_max
        folder = files("cortex.storage").joinpath("lua")
        self._scripts = {
            name: client.register_script(folder.joinpath(f"{name}.lua").read_text())
            for name in _SCRIPTS
        }

    @classmethod
    def from_url(cls, url: str, *, clock: Clock, ids: IdSource) -> "RedisKeyValue":
        """Connect lazily to ``redis://…``, ``rediss://…`` or ``unix://…``."""
        client = Redis.from_url(
            url,
            socket_timeout=SOCKET_TIMEOUT_SECONDS,
            socket_connect_timeout=SOCKET_TIMEOUT_SECONDS,
        )
        return cls(client, clock=clock, ids=ids)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def ping(self) -> None:
        """Raise ``StorageUnreachable`` unless the server answers."""
        await _named(cast("Awaitable[object]", self._client.ping()))

    async def get(self, namespace: Namespace, key: str) -> KeyValueEntry | None:
        """Return the value unless it is absent or expired; counts as a use."""
        check_key(key)
        keys = _Keys.of(namespace)
        stored = await self._call(
            "get",
            (keys.items + key, keys.names, keys.uses, keys.counter),
            (key, repr(self._time.now())),
        )
        return None if stored is None else _entry(key, *stored)

    async def put(
        self,
        namespace: Namespace,
        key: str,
        value: bytes,
        *,
        ttl_seconds: float | None = None,
        expected_etag: str | None = None,
    ) -> KeyValueEntry:
        """Store a value on the server; see ``KeyValue.put``."""
        check_put(key, value, ttl_seconds)
        keys = _Keys.of(namespace)
        expires_at = self._time.expiry(ttl_seconds)
        entry = KeyValueEntry(key, value, self._ids.new(), expires_at)
        done, found = await self._call(
            "put",
            (keys.items + key, keys.names, keys.uses, keys.counter),
            (
                key,
                value,
                entry.etag,
                "" if expires_at is None else repr(expires_at),
                "" if ttl_seconds is None else math.ceil(ttl_seconds * 1000),
                repr(self._time.now()),
                *_expectation(expected_etag),
                self._entries_max,
                keys.items,
            ),
        )
        if not done:
            raise precondition_failed(found.decode())
        return entry

    async def delete(
        self, namespace: Namespace, key: str, *, expected_etag: str | None = None
    ) -> bool:
        """Remove a value; see ``KeyValue.delete``."""
        check_key(key)
        keys = _Keys.of(namespace)
        done, found = await self._call(
            "delete",
            (keys.items + key, keys.names, keys.uses),
            (key, repr(self._time.now()), *_expectation(expected_etag)),
        )
        if not done:
            raise precondition_failed(found.decode())
        return bool(found)

    async def scan(
        self, namespace: Namespace, *, prefix: str = "", after: str = "", limit: int
    ) -> list[KeyValueEntry]:
        """Return entries in order of their keys; see ``KeyValue.scan``."""
        check_limit(limit)
        keys = _Keys.of(namespace)
        first = f"({after}" if after and after >= prefix else f"[{prefix}"
        end = prefix_end(prefix)
        rows = await self._call(
            "scan",
            (keys.names,),
            (
                first,
                "+" if end is None else f"({end}",
                limit,
                repr(self._time.now()),
                keys.items,
            ),
        )
        return [_entry(name.decode(), *stored) for name, *stored in rows]

    async def clear(self, namespace: Namespace) -> int:
        """Remove everything in a namespace."""
        keys = _Keys.of(namespace)
        count = await self._call(
            "clear",
            (keys.names, keys.uses, keys.counter),
            (repr(self._time.now()), keys.items),
        )
        return int(count)

    async def _call(
        self, script: str, keys: Iterable[str], arguments: Iterable[str | bytes | int]
    ) -> Any:
        reply = self._scripts[script](keys=list(keys), args=list(arguments))
        return await _named(cast("Awaitable[Any]", reply))


async def _named(reply: Awaitable[Any]) -> Any:
    """Await a reply, turning the driver's errors into named ones."""
    try:
        return await reply
    except (RedisConnectionError, RedisTimeoutError) as error:
        raise StorageUnreachable(
            "the Redis server of the hot state does not answer",
            hint="Check that it runs and that its URL is right.",
            retry_after_seconds=STORAGE_BUSY_RETRY_SECONDS,
        ) from error
    except RedisError as error:
        raise StorageError(f"the Redis server refused: {error}") from error


def _expectation(expected_etag: str | None) -> tuple[str, str]:
    return ("", "") if expected_etag is None else ("if", expected_etag)


def _entry(key: str, value: bytes, etag: bytes, expires_at: bytes) -> KeyValueEntry:
    expiry = float(expires_at) if expires_at else None
    return KeyValueEntry(key, value, etag.decode(), expiry)
