"""Small values by key: hot state with a time to live and compare-and-set.

One port, three keepers: in memory, in the SQLite file (survives a restart), and in
Redis or Valkey (shared by processes; ``cortex.storage.keyvalue_redis``). All pass the
same contract suite.
"""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Protocol

from cortex.foundation.clock import Clock
from cortex.foundation.errors import (
    PayloadTooLarge,
    PreconditionFailed,
    ValidationError,
)
from cortex.foundation.ids import IdSource
from cortex.foundation.limits import STATE_VALUE_BYTES_MAX
from cortex.foundation.tenancy import Namespace

ABSENT = ""
"""As ``expected_etag``: the key must not exist."""

KEY_CHARACTERS_MAX = 512
"""Characters of a key: a path-like name, not a document."""

ENTRIES_PER_NAMESPACE_MAX = 10_000
"""Entries of one namespace; the least recently used go first."""

NAMESPACES_IN_MEMORY_MAX = 1_000
"""Namespaces the in-memory keeper holds; the least recently used goes first."""

SCAN_ENTRIES_MAX = 1_000
"""Entries of one scan: with values of 256 KiB the most a caller can want at once."""

SEALED_MARK = b"\x00sealed\x00"
"""Begins a value that was encrypted on its way here; no JSON begins so."""

SEAL_BYTES_MAX = 128
"""Bytes that encryption may add to a value, its mark included."""

TTL_SECONDS_MAX = 10 * 365 * 86_400.0
"""Seconds a value may live: ten years, so that adding it to a time stays exact."""

_FIRST_PRINTABLE = " "
_SURROGATES_BEGIN = 0xD800
_SURROGATES_END = 0xE000
_LAST_CODE_POINT = 0x10FFFF


@dataclass(frozen=True, slots=True)
class KeyValueEntry:
    """One stored value.

    Attributes:
        etag: changes with every put, even of an equal value.
        expires_at: epoch seconds, or None when it stays.
    """

    key: str
    value: bytes
    etag: str
    expires_at: float | None = None


class KeyValue(Protocol):
    """A keeper of small values; all methods are per namespace.

    Every method raises ``ValidationError`` for a malformed key and
    ``StorageUnreachable`` or a ``StorageError`` when the keeper fails.
    """

    async def get(self, namespace: Namespace, key: str) -> KeyValueEntry | None:
        """Return the value unless it is absent or expired; counts as a use."""
        ...

    async def put(
        self,
        namespace: Namespace,
        key: str,
        value: bytes,
        *,
        ttl_seconds: float | None = None,
        expected_etag: str | None = None,
    ) -> KeyValueEntry:
        """Store a value, durably if the keeper is durable.

        Args:
            namespace: whose key it is.
            key: 1 to ``KEY_CHARACTERS_MAX`` characters without control characters.
            value: at most ``STATE_VALUE_BYTES_MAX`` bytes.
            ttl_seconds: how long it lives; None ends an earlier limit.
            expected_etag: store only over this version; ``ABSENT`` only if there is
                none; None in any case.

        Raises:
            PreconditionFailed: the stored version is another one.
            PayloadTooLarge: the value is over its limit.
        """
        ...

    async def delete(
        self, namespace: Namespace, key: str, *, expected_etag: str | None = None
    ) -> bool:
        """Remove a value; return whether there was one.

        Raises:
            PreconditionFailed: an etag was expected and the stored one differs.
        """
        ...

    async def scan(
        self, namespace: Namespace, *, prefix: str = "", after: str = "", limit: int
    ) -> list[KeyValueEntry]:
        """Return entries in code-point order of their keys, for paging.

        Args:
            namespace: whose keys.
            prefix: only keys that begin so.
            after: only keys greater than this one.
            limit: 1 to ``SCAN_ENTRIES_MAX`` entries.
        """
        ...

    async def clear(self, namespace: Namespace) -> int:
        """Remove everything in a namespace; return how many entries there were."""
        ...


class SteadyClock:
    """Wall time that never steps back, so that what has expired stays expired.

    While the wall clock is behind where it was, time goes on at the pace of the
    monotonic one: it never stands still either, so that values go on to expire.
    """

    def __init__(self, clock: Clock) -> None:
        """Follow the given clock."""
        self._clock = clock
        self._ahead = clock.now() - clock.monotonic()

    def now(self) -> float:
        """Return epoch seconds, never below an earlier answer."""
        # In this order: a pause between the two must not push the answer forward.
        wall, elapsed = self._clock.now(), self._clock.monotonic()
        self._ahead = max(self._ahead, wall - elapsed)
        return max(wall, elapsed + self._ahead)

    def expiry(self, ttl_seconds: float | None) -> float | None:
        """Return when a value put now expires."""
        return None if ttl_seconds is None else self.now() + ttl_seconds


class MemoryKeyValue:
    """Keeps values in this process; all is gone when it ends.

    For one event loop. Bounded twice: entries in a namespace, and namespaces.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        ids: IdSource,
        entries_max: int = ENTRIES_PER_NAMESPACE_MAX,
        namespaces_max: int = NAMESPACES_IN_MEMORY_MAX,
    ) -> None:
        """Start empty; ``entries_max`` bounds each namespace."""
        self._time = SteadyClock(clock)
        self._ids = ids
        self._entries_max = entries_max
        self._namespaces_max = namespaces_max
        self._spaces: OrderedDict[Namespace, OrderedDict[str, KeyValueEntry]]
        self._spaces = OrderedDict()

    async def get(self, namespace: Namespace, key: str) -> KeyValueEntry | None:
        """Return the value unless it is absent or expired; counts as a use."""
        check_key(key)
        entry = self._live(namespace, key)
        if entry is not None:
            self._spaces[namespace].move_to_end(key)
            self._spaces.move_to_end(namespace)
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
        """Store a value in memory; see ``KeyValue.put``."""
        check_put(key, value, ttl_seconds)
        check_etag(self._live(namespace, key), expected_etag)
        entry = KeyValueEntry(
            key, value, self._ids.new(), self._time.expiry(ttl_seconds)
        )
        space = self._spaces.setdefault(namespace, OrderedDict())
        space[key] = entry
        space.move_to_end(key)
        self._spaces.move_to_end(namespace)
        while len(space) > self._entries_max:
            space.popitem(last=False)
        while len(self._spaces) > self._namespaces_max:
            self._spaces.popitem(last=False)
        return entry

    async def delete(
        self, namespace: Namespace, key: str, *, expected_etag: str | None = None
    ) -> bool:
        """Remove a value; see ``KeyValue.delete``."""
        check_key(key)
        entry = self._live(namespace, key)
        check_etag(entry, expected_etag)
        if entry is not None:
            self._drop(namespace, key)
        return entry is not None

    async def scan(
        self, namespace: Namespace, *, prefix: str = "", after: str = "", limit: int
    ) -> list[KeyValueEntry]:
        """Return entries in order of their keys; see ``KeyValue.scan``."""
        check_limit(limit)
        keys = sorted(self._spaces.get(namespace, ()))
        wanted = (key for key in keys if key > after and key.startswith(prefix))
        found: list[KeyValueEntry] = []
        for key in wanted:
            entry = self._live(namespace, key)
            if entry is not None:
                found.append(entry)
            if len(found) == limit:
                break
        return found

    async def clear(self, namespace: Namespace) -> int:
        """Remove everything in a namespace."""
        live = [k for k in self._spaces.get(namespace, ()) if self._live(namespace, k)]
        self._spaces.pop(namespace, None)
        return len(live)

    def _live(self, namespace: Namespace, key: str) -> KeyValueEntry | None:
        now = self._time.now()
        space = self._spaces.get(namespace)
        entry = None if space is None else space.get(key)
        if entry is None or entry.expires_at is None:
            return entry
        return entry if entry.expires_at > now else None

    def _drop(self, namespace: Namespace, key: str) -> None:
        space = self._spaces[namespace]
        del space[key]
        if not space:
            del self._spaces[namespace]


def check_key(key: str) -> None:
    """Raise ``ValidationError`` unless ``key`` can name a value."""
    bad = not key or len(key) > KEY_CHARACTERS_MAX
    if bad or any(c < _FIRST_PRINTABLE or _is_surrogate(c) for c in key):
        message = (
            f"a key is 1 to {KEY_CHARACTERS_MAX} characters without control characters"
        )
        raise ValidationError(message, field="key", limit=KEY_CHARACTERS_MAX)


def check_put(key: str, value: bytes, ttl_seconds: float | None) -> None:
    """Raise ``ValidationError`` unless this can be stored."""
    check_key(key)
    sealed = value.startswith(SEALED_MARK)
    if len(value) > STATE_VALUE_BYTES_MAX + sealed * SEAL_BYTES_MAX:
        message = (
            f"a value is at most {STATE_VALUE_BYTES_MAX} bytes, this has {len(value)}"
        )
        raise PayloadTooLarge(message, field="value", limit=STATE_VALUE_BYTES_MAX)
    if ttl_seconds is not None and not 0 < ttl_seconds <= TTL_SECONDS_MAX:
        message = f"ttl_seconds is above 0 and at most {TTL_SECONDS_MAX:.0f}"
        raise ValidationError(message, field="ttl_seconds", limit=TTL_SECONDS_MAX)


def check_limit(limit: int) -> None:
    """Raise ``ValidationError`` unless a scan may return so many entries."""
    if not 1 <= limit <= SCAN_ENTRIES_MAX:
        message = f"limit is 1 to {SCAN_ENTRIES_MAX}"
        raise ValidationError(message, field="limit", limit=SCAN_ENTRIES_MAX)


def check_etag(current: KeyValueEntry | None, expected: str | None) -> None:
    """Raise ``PreconditionFailed`` unless the stored version is the expected one."""
    found = ABSENT if current is None else current.etag
    if expected is not None and found != expected:
        raise precondition_failed(found)


def precondition_failed(found: str) -> PreconditionFailed:
    """Return the error that says which version is stored instead."""
    return PreconditionFailed(
        "the value changed since it was read" if found else "there is no such value",
        hint="Read it again and repeat the change on what is there now.",
        etag=found or None,
    )


def prefix_end(prefix: str) -> str | None:
    """Return the least text greater than all that begin with ``prefix``.

    None when there is none: for the empty prefix, or one of last code points.
    """
    for length in range(len(prefix), 0, -1):
        code = ord(prefix[length - 1]) + 1
        if code == _SURROGATES_BEGIN:
            code = _SURROGATES_END
        if code <= _LAST_CODE_POINT:
            return prefix[: length - 1] + chr(code)
    return None


def _is_surrogate(character: str) -> bool:
    return _SURROGATES_BEGIN <= ord(character) < _SURROGATES_END
