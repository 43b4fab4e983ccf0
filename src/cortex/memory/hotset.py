"""Hot memories as they are read, kept in process so that a read needs no row.

Kept true by the change log: before each read the cache drops what was changed or
forgotten since, by this process or another. Only the counts of use in a cached memory
may be some seconds old.
"""

from collections.abc import Iterable
from typing import Final

from cortex.foundation.cache import Cache
from cortex.memory.model import Tier
from cortex.memory.ports import Found
from cortex.memory.writes import SQL
from cortex.storage.sqlite import Connection

HOT_BYTES_MAX: Final = 8 * 1024 * 1024
"""Characters and overhead of hot memories in process: about 10 000 messages."""

IDS_MAX: Final = 20_000
"""Ids whose row number is remembered."""

CHANGES_FOLLOWED_MAX: Final = 1_000
"""Changes followed one by one; after more of them all is read again."""

_OVERHEAD_BYTES: Final = 700


class HotRecords:
    """A cache of hot rows; one thread only (the event loop's)."""

    __slots__ = ("_ids", "_records", "_seen")

    def __init__(self, bytes_max: int = HOT_BYTES_MAX) -> None:
        """Start empty."""
        self._records: Cache[tuple[int, int], Found] = Cache(bytes_max, weigh=_weigh)
        self._ids: Cache[tuple[int, str], int] = Cache(IDS_MAX)
        self._seen: dict[int, int] = {}

    def refresh(self, connection: Connection, ns_id: int) -> None:
        """Drop what was changed in a namespace since the last look."""
        oldest, newest = connection.execute(SQL["change_range"]).fetchone()
        newest = newest or 0
        seen = self._seen.get(ns_id, newest)
        self._seen[ns_id] = newest
        if seen == newest:
            return
        parameters = (ns_id, seen, CHANGES_FOLLOWED_MAX)
        changed = connection.execute(SQL["changes_after"], parameters).fetchall()
        if len(changed) == CHANGES_FOLLOWED_MAX or seen < (oldest or 1) - 1:
            self._records.clear()
            self._ids.clear()
        for _, seq, _ in changed:
            self._records.discard((ns_id, seq))

    def by_id(self, ns_id: int, memory_id: str) -> Found | None:
        """Return a cached memory by id."""
        seq = self._ids.get((ns_id, memory_id))
        return None if seq is None else self._records.get((ns_id, seq))

    def by_seq(self, ns_id: int, seq: int) -> Found | None:
        """Return a cached memory by row number."""
        return self._records.get((ns_id, seq))

    def offer(self, ns_id: int, found: Iterable[Found]) -> None:
        """Keep those of the memories that are hot and in no quarantine."""
        for one in found:
            if one.memory.tier is Tier.HOT and not one.memory.quarantined:
                self._records.put((ns_id, one.seq), one)
                self._ids.put((ns_id, one.memory.id), one.seq)

    def __len__(self) -> int:
        """Return how many memories are held."""
        return len(self._records)


def _weigh(found: Found) -> int:
    return len(found.memory.content) + _OVERHEAD_BYTES
