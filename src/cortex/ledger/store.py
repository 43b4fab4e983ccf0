"""Where entries are kept: the SQL of the hot store, as functions over a connection."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cortex.ledger.entry import NO_PREVIOUS, Draft, leaf_bytes, time_text
from cortex.ledger.merkle import leaf_hash
from cortex.ledger.model import EntryQuery
from cortex.ledger.walk import Indexed
from cortex.storage.queries import Queries
from cortex.storage.sqlite import Connection

_SQL = Queries.load("cortex.ledger", "ledger")

SYNCED = "synced"
"""Mark: entries below it lie in tiles and bundles that survive a power cut."""

HOT_FROM = "hot_from"
"""Mark: entries below it have left the hot store and live in bundles."""

ARCHIVED_TO = "archived_to"
"""Mark: bundles below this entry have left the disk for the archive."""

COSIGNED = "cosigned"
"""Mark: size of the newest head that a witness cosigned."""


@dataclass(frozen=True, slots=True)
class Placed:
    """Where an entry came to lie.

    Attributes:
        index: its place.
        hash: its leaf hash.
        time_us: epoch microseconds.
    """

    index: int
    hash: bytes
    time_us: int


@dataclass(frozen=True, slots=True)
class StoredHead:
    """A signed head as it is kept.

    Attributes:
        size: leaves in the tree.
        root: the tree's hash.
        note: the signed note.
        signed_us: when it was signed, epoch microseconds.
    """

    size: int
    root: bytes
    note: bytes
    signed_us: int


def tail(connection: Connection) -> Placed | None:
    """Return the last entry's place, or None while there is none."""
    row = connection.execute(_SQL["tail"]).fetchone()
    return None if row is None else Placed(*row)


def size(connection: Connection) -> int:
    """Return how many entries there are."""
    last = tail(connection)
    return 0 if last is None else last.index + 1


def append(
    connection: Connection, drafts: Sequence[Draft], now_us: int
) -> list[Placed]:
    """Give drafts their places at the end and store them.

    The last entry is read from the file each time: another process may have written,
    or a group of writes may have been undone. Time never goes back.
    """
    last = tail(connection)
    index, prev = (
        (0, NO_PREVIOUS) if last is None else (last.index + 1, last.hash.hex())
    )
    time_us = now_us if last is None else max(now_us, last.time_us)
    time = time_text(time_us)
    leaves, entries, blobs, placed = [], [], [], []
    for draft in drafts:
        body = leaf_bytes(index, prev, time, draft.event)
        digest = leaf_hash(body)
        leaves.append((index, body))
        entries.append((index, digest, time_us, *draft.indexed))
        blobs += [(index, name, blob) for name, blob in draft.blobs]
        placed.append(Placed(index, digest, time_us))
        index, prev = index + 1, digest.hex()
    connection.executemany(_SQL["insert_leaf"], leaves)
    connection.executemany(_SQL["insert_entry"], entries)
    connection.executemany(_SQL["insert_blob"], blobs)
    return placed


def find(connection: Connection, entry_id: str) -> tuple[Placed, str] | None:
    """Return the entry of that id and its tenant, if it was recorded before."""
    row = connection.execute(_SQL["find_id"], (entry_id,)).fetchone()
    return None if row is None else (Placed(*row[:3]), str(row[3]))


def leaves(connection: Connection, start: int, stop: int) -> list[tuple[int, bytes]]:
    """Return (index, leaf) of the hot entries in ``[start, stop)``."""
    return connection.execute(_SQL["leaves_between"], (start, stop)).fetchall()


def leaves_from(
    connection: Connection, start: int, limit: int
) -> list[tuple[int, bytes]]:
    """Return up to ``limit`` hot entries from ``start`` on, over any gap."""
    return connection.execute(_SQL["leaves_from"], (start, limit)).fetchall()


def hot_bounds(connection: Connection) -> tuple[int, int]:
    """Return the lowest hot index and the one after the highest."""
    first = connection.execute(_SQL["first_leaf"]).fetchone()
    last = connection.execute(_SQL["last_leaf"]).fetchone()
    return (0, 0) if first is None else (int(first[0]), int(last[0]) + 1)


def hot_bytes(connection: Connection, start: int, stop: int) -> tuple[int, int]:
    """Return count and bytes of the hot leaves in ``[start, stop)``."""
    row = connection.execute(_SQL["leaf_bytes_between"], (start, stop)).fetchone()
    return int(row[0]), int(row[1])


def drop_leaves(connection: Connection, start: int, stop: int) -> None:
    """Delete hot leaves that lie in bundles by now."""
    connection.execute(_SQL["delete_leaves"], (start, stop))


def blobs(connection: Connection, index: int) -> Mapping[str, bytes]:
    """Return the bodies kept beside one entry, by SHA-256."""
    return dict(connection.execute(_SQL["blobs_of"], (index,)).fetchall())


def blobs_between(
    connection: Connection, start: int, stop: int
) -> list[tuple[int, str, bytes]]:
    """Return (index, SHA-256, body) of all blobs in ``[start, stop)``."""
    return connection.execute(_SQL["blobs_between"], (start, stop)).fetchall()


def restore_blobs(
    connection: Connection, found: Sequence[tuple[int, str, bytes]]
) -> None:
    """Put blobs back beside their entries; those already there stay."""
    connection.executemany(_SQL["insert_blob"], found)


def drop_blobs(connection: Connection, start: int, stop: int) -> None:
    """Delete blobs that lie in the archive by now."""
    connection.execute(_SQL["delete_blobs"], (start, stop))


def newest_head(connection: Connection) -> StoredHead | None:
    """Return the head signed last, or None before the first."""
    row = connection.execute(_SQL["newest_head"]).fetchone()
    return None if row is None else StoredHead(*row)


def head_notes(connection: Connection) -> list[bytes]:
    """Return the notes of all heads that are kept, the smallest first."""
    return [row[1] for row in connection.execute(_SQL["all_heads"])]


def head_root(connection: Connection, size: int) -> bytes | None:
    """Return the root of the head of that size, or None if none was signed or kept."""
    row = connection.execute(_SQL["head_root"], (size,)).fetchone()
    return None if row is None else bytes(row[0])


def head_at(connection: Connection, size: int) -> StoredHead | None:
    """Return the head of that size, or None if none was signed or kept."""
    row = connection.execute(_SQL["head_at"], (size,)).fetchone()
    return None if row is None else StoredHead(*row)


def insert_head(connection: Connection, head: StoredHead) -> None:
    """Keep a signed head.

    Raises:
        ConstraintViolated: a head of that size was signed before.
    """
    connection.execute(
        _SQL["insert_head"], (head.size, head.root, head.note, head.signed_us)
    )


def replace_note(connection: Connection, head: StoredHead) -> None:
    """Keep a head's note with further signatures; size and root stay."""
    connection.execute(_SQL["update_head_note"], (head.note, head.size, head.root))


def thin_heads(connection: Connection, before_us: int, every: int) -> None:
    """Delete old heads but those whose size is a multiple of ``every``."""
    connection.execute(_SQL["thin_heads"], (before_us, every))


def mark(connection: Connection, name: str) -> int:
    """Return a progress mark, 0 before it was set."""
    row = connection.execute(_SQL["mark"], (name,)).fetchone()
    return 0 if row is None else int(row[0])


def set_mark(connection: Connection, name: str, value: int) -> None:
    """Set a progress mark."""
    connection.execute(_SQL["set_mark"], (name, value))


def subject_slot(connection: Connection, tenant: str, name: str) -> int | None:
    """Return which key is the subject's, or None if it has none."""
    row = connection.execute(_SQL["find_subject"], (tenant, name)).fetchone()
    return None if row is None else int(row[0])


def assign_slot(connection: Connection, tenant: str, name: str) -> int:
    """Give a subject the next unused key; return its number."""
    slot = int(connection.execute(_SQL["next_slot"]).fetchone()[0])
    connection.execute(_SQL["insert_subject"], (slot, tenant, name))
    return slot


def release_slot(connection: Connection, slot: int, now_us: int) -> None:
    """Take a subject's name off its key; the key itself is to be destroyed."""
    connection.execute(_SQL["forget_subject"], (now_us, slot))


def undestroyed(connection: Connection) -> list[int]:
    """Return the keys that were given up but not yet destroyed."""
    return [int(row[0]) for row in connection.execute(_SQL["undestroyed_slots"])]


def mark_destroyed(connection: Connection, slot: int) -> None:
    """Note that a key is gone."""
    connection.execute(_SQL["mark_destroyed"], (slot,))


def search(connection: Connection, query: EntryQuery) -> list[Placed]:
    """Return places of matching entries, newest first, each search by an index."""
    high = size(connection)
    if query.until is not None:
        high = min(high, first_at(connection, query.until, high))
    if query.before is not None:
        high = min(high, query.before)
    low = 0 if query.since is None else first_at(connection, query.since, high)
    parameters = {
        "tenant": query.tenant,
        "run_id": query.run_id,
        "correlation_id": query.correlation_id,
        "agent": query.agent_name,
        "kind": query.kind,
        "outcome": query.outcome,
        "low": low,
        "high": high,
        "limit": query.limit,
    }
    rows = connection.execute(_SQL[_search_name(query)], parameters)
    return [Placed(*row) for row in rows]


def stats(
    connection: Connection, start: int, stop: int
) -> list[tuple[str, bool, str, int, int, int, float]]:
    """Return counts of the entries in ``[start, stop)``.

    Each row: tenant, whether calls, agent, count, failed, timed, latency sum in ms.
    """
    rows = connection.execute(_SQL["stats_between"], (start, stop))
    return [(row[0], bool(row[1]), *row[2:]) for row in rows]


def indexed(connection: Connection, start: int, stop: int) -> list[Indexed]:
    """Return what the search index says of the entries in ``[start, stop)``."""
    return connection.execute(_SQL["indexed_between"], (start, stop)).fetchall()


def entry_at(
    connection: Connection, index: int
) -> tuple[int, bytes, int, str, str, str] | None:
    """Return index, hash, time_us, id, tenant and kind of an entry."""
    row: tuple[int, bytes, int, str, str, str] | None = connection.execute(
        _SQL["entry_at"], (index,)
    ).fetchone()
    return row


def _search_name(query: EntryQuery) -> str:
    """Return the query that uses the most selective index."""
    if query.run_id:
        return "search_run"
    if query.correlation_id:
        return "search_correlation"
    if query.agent_name:
        return "search_agent"
    if query.outcome:
        return "search_outcome"
    return "search_kind" if query.kind else "search_all"


def first_at(connection: Connection, seconds: float, high: int) -> int:
    """Return the first index recorded at or after a time, ``high`` if none below it.

    Times never go back, so a binary search finds it.
    """
    wanted = int(seconds * 1_000_000)
    low = 0
    while low < high:
        middle = (low + high) // 2
        row = connection.execute(_SQL["first_at_or_after"], (middle,)).fetchone()
        if row is None or row[1] >= wanted:
            high = middle
        else:
            low = row[0] + 1
    return low
