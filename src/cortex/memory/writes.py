"""Units of work on the tables of memory: each runs inside one transaction.

A unit takes a connection and plain values, does no I/O beside SQL, and reads no clock.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from cortex.foundation.tenancy import Namespace
from cortex.memory.cold import compress, decompress
from cortex.memory.model import Stored, Tier
from cortex.memory.rows import PENDING, READY, NewRow, SqlValue
from cortex.memory.sealing import (
    Seal,
    blinded_digest,
    blinded_key,
    opened_digest,
    opened_words,
    sealed_fields,
    sealed_row,
    sealed_vectors,
    sealed_words,
)
from cortex.storage.queries import Queries
from cortex.storage.sqlite import Connection

SQL: Final[Mapping[str, str]] = dict(Queries.load("cortex.memory", "queries"))
"""The room's queries by name, in a plain dictionary: one add asks for six of them."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where and when a unit writes.

    Attributes:
        spaces: numbers of the vector spaces that the rows name.
        now: epoch seconds; a row whose time to live ended before is not there.
        seal: the tenant's keys where rows are encrypted.
    """

    ns_id: int
    spaces: Mapping[str, int]
    now: float
    seal: Seal | None = None


@dataclass(frozen=True, slots=True)
class Removed:
    """One row that was taken out."""

    seq: int
    id: str
    content_sha256: str


@dataclass(frozen=True, slots=True)
class VectorRow:
    """Vectors of one row in stored form; see ``ports.Embedded``."""

    seq: int
    content_sha256: bytes
    spans: bytes
    vectors: bytes


def find_namespace(connection: Connection, ns: Namespace) -> int | None:
    """Return the number of a namespace, None before its first memory."""
    found = connection.execute(SQL["namespace_id"], (ns.tenant, ns.name)).fetchone()
    return None if found is None else int(found[0])


def make_namespace(connection: Connection, ns: Namespace) -> int:
    """Return the number of a namespace, given now if it had none."""
    found = find_namespace(connection, ns)
    if found is None:
        row = connection.execute(SQL["insert_namespace"], (ns.tenant, ns.name))
        found = int(row.fetchone()[0])
    return found


def find_space(connection: Connection, space: str) -> int | None:
    """Return the number of a vector space, None if it was never used."""
    found = connection.execute(SQL["space_id"], (space,)).fetchone()
    return None if found is None else int(found[0])


def make_space(connection: Connection, space: str) -> int:
    """Return the number of a vector space, given now if it had none."""
    found = find_space(connection, space)
    if found is None:
        found = int(connection.execute(SQL["insert_space"], (space,)).fetchone()[0])
    return found


class Counts:
    """Differences to the counts of one namespace, written once at the end of a unit."""

    __slots__ = ("_sums",)

    def __init__(self) -> None:
        """Start with no difference."""
        self._sums: dict[tuple[str, str, int], tuple[int, int]] = {}

    def came(self, key: tuple[str, str, int], size: int) -> None:
        """Note one more row of this (tier, kind, space number) and its bytes."""
        items, total = self._sums.get(key, (0, 0))
        self._sums[key] = (items + 1, total + size)

    def went(self, key: tuple[str, str, int], size: int) -> None:
        """Note one row less of this (tier, kind, space number) and its bytes."""
        items, total = self._sums.get(key, (0, 0))
        self._sums[key] = (items - 1, total - size)

    def write(self, connection: Connection, ns_id: int) -> None:
        """Apply the differences."""
        for key, (items, size) in self._sums.items():
            if items or size:
                connection.execute(SQL["count"], (ns_id, *key, items, size))


def insert(
    connection: Connection, place: Place, rows: Sequence[NewRow]
) -> list[Stored]:
    """Store rows in order; one that is there already is answered with its id."""
    counts = Counts()
    stored = [_insert_one(connection, place, row, counts) for row in rows]
    counts.write(connection, place.ns_id)
    return stored


def _insert_one(
    connection: Connection, place: Place, row: NewRow, counts: Counts
) -> Stored:
    space_id = None if row.space is None else place.spaces[row.space]
    values: dict[str, SqlValue] = {
        **row.values,
        "ns_id": place.ns_id,
        "space_id": space_id,
    }
    kept = sealed_row(place.seal, values)
    for former in row.former:
        same = _same_before(connection, place, kept, former)
        if same is not None:
            return same
    cursor = connection.execute(SQL["insert_memory"], kept)
    if not cursor.rowcount and _set_aside(connection, place, kept, row.aside):
        cursor = connection.execute(SQL["insert_memory"], kept)
    if not cursor.rowcount:
        same = _same(connection, place, kept)
        if same is not None:
            return same
        if connection.execute(SQL["id_taken"], (values["id"],)).fetchone():
            values["id"] = row.spare_id
        kept = sealed_row(place.seal, values)
        cursor = connection.execute(SQL["insert_memory"], kept)
    seq = cursor.lastrowid or 0
    if space_id is not None:
        _insert_vectors(connection, place, seq, (row.spans, row.vectors))
    if row.usage is not None:
        connection.execute(SQL["insert_usage"], (seq, *row.usage))
    key = (str(values["tier"]), str(values["kind"]), space_id or 0)
    counts.came(key, int(values["bytes"] or 0))
    state = PENDING if space_id is None else READY
    reason = str(values["quarantine_reason"])
    return Stored(str(values["id"]), created=True, embedding=state, quarantined=reason)


def _same(
    connection: Connection, place: Place, values: Mapping[str, SqlValue]
) -> Stored | None:
    """Return the row that stands in the way, if it is this memory and still lives."""
    parameters = (place.ns_id, values["dedupe"], values["id"])
    found = connection.execute(SQL["same_memory"], parameters).fetchall()
    return _alive(connection, place, found)


def _same_before(
    connection: Connection, place: Place, values: Mapping[str, SqlValue], key: bytes
) -> Stored | None:
    """Return the row that a release before stored of this memory, if it still lives."""
    parameters = {**values, "dedupe": blinded_key(place.seal, key)}
    found = connection.execute(SQL["same_before"], parameters).fetchall()
    return _alive(connection, place, found)


def _set_aside(
    connection: Connection,
    place: Place,
    values: Mapping[str, SqlValue],
    key: bytes | None,
) -> bool:
    """Give a row of someone's another key if it has that of what is nobody's.

    Keys of releases before did not tell them apart.
    """
    if key is None:
        return False
    parameters = {**values, "aside": blinded_key(place.seal, key)}
    return bool(connection.execute(SQL["set_aside"], parameters).rowcount)


def _alive(
    connection: Connection, place: Place, found: Iterable[tuple[Any, ...]]
) -> Stored | None:
    """Return the first row whose time is not over; those before it are taken out."""
    for memory_id, space_id, expires_at, reason in found:
        if expires_at is None or expires_at > place.now:
            state = PENDING if space_id is None else READY
            return Stored(memory_id, False, state, quarantined=reason)
        delete(connection, place.ns_id, [memory_id], place.seal)
    return None


def delete(
    connection: Connection, ns_id: int, ids: Iterable[str], seal: Seal | None = None
) -> list[Removed]:
    """Take rows out with all that hangs on them; ids that are not here are skipped."""
    counts = Counts()
    removed: list[Removed] = []
    for memory_id in ids:
        row = connection.execute(SQL["forgettable"], (ns_id, memory_id)).fetchone()
        if row is None:
            continue
        seq, tier, kind, space_id, size, stored_digest, sealed = row
        digest = opened_digest(seal, memory_id, (stored_digest, sealed))
        connection.execute(SQL["delete_memory"], (ns_id, seq))
        connection.execute(SQL["delete_vectors"], (seq,))
        connection.execute(SQL["delete_usage"], (seq,))
        connection.execute(SQL["insert_change"], (ns_id, seq, 1))
        counts.went((tier, kind, space_id), size)
        removed.append(Removed(seq, memory_id, digest))
    counts.write(connection, ns_id)
    return removed


def update(
    connection: Connection,
    place: Place,
    seq: int,
    values: Mapping[str, SqlValue],
    content: NewRow | None,
) -> None:
    """Write changed fields of one row, and a new content with its terms and vectors.

    ``values`` are the parameters of ``update_memory`` and the row's ``id``; ``content``
    is None when the content stays.
    """
    key = {"ns_id": place.ns_id, "seq": seq}
    before = connection.execute(SQL["counted"], key).fetchone()
    fields = dict(values)
    if content is not None:
        fields["content_sha256"] = content.values["content_sha256"]
    fields |= sealed_fields(place.seal, str(values["id"]), fields)
    connection.execute(SQL["update_memory"], {**fields, **key})
    if content is not None:
        kept = {**key, "tier": before[0], "sealed": fields["sealed"]}
        _replace_content(connection, place, content, kept)
    after = connection.execute(SQL["counted"], key).fetchone()
    counts = Counts()
    counts.went(before[:3], before[3])
    counts.came(after[:3], after[3])
    counts.write(connection, place.ns_id)
    connection.execute(SQL["insert_change"], (place.ns_id, seq, 0))


def free_key(
    connection: Connection, place: Place, seq: int, key: bytes | None
) -> bytes | None:
    """Return a row's dedupe key; None where another row has it: both stay."""
    stored = blinded_key(place.seal, key)
    taken = connection.execute(SQL["key_taken"], (place.ns_id, stored, seq)).fetchone()
    return None if taken else key


def _replace_content(
    connection: Connection,
    place: Place,
    content: NewRow,
    key: Mapping[str, SqlValue],
) -> None:
    space_id = None if content.space is None else place.spaces[content.space]
    tier = Tier.WARM if key["tier"] == Tier.COLD else key["tier"]
    values = {**sealed_row(place.seal, content.values), **key}
    values |= {"space_id": space_id, "tier": tier}
    connection.execute(SQL["update_content"], values)
    connection.execute(SQL["delete_vectors"], (key["seq"],))
    if space_id is not None:
        vectors = (content.spans, content.vectors)
        _insert_vectors(connection, place, int(key["seq"] or 0), vectors)


def _insert_vectors(
    connection: Connection, place: Place, seq: int, stored: tuple[bytes, bytes]
) -> None:
    """Write a row's vectors; ``stored`` are (spans, vectors)."""
    spans, vectors = stored
    row = (seq, spans, sealed_vectors(place.seal, seq, vectors))
    connection.execute(SQL["insert_vectors"], row)


def quarantine(
    connection: Connection, place: Place, ids: Iterable[str], reason: str
) -> list[str]:
    """Keep rows out of answers; return the ids of those that were not before."""
    values: dict[str, SqlValue] = {
        "ns_id": place.ns_id,
        "now": place.now,
        "reason": reason,
    }
    return [
        memory_id
        for memory_id in ids
        if _moved(connection, "quarantine", {**values, "id": memory_id})
    ]


def release(connection: Connection, ns_id: int, memory_id: str) -> bool:
    """Let a row into answers again; false when it was in no quarantine."""
    return _moved(connection, "release", {"ns_id": ns_id, "id": memory_id})


def _moved(connection: Connection, query: str, values: Mapping[str, SqlValue]) -> bool:
    row = connection.execute(SQL[query], values).fetchone()
    if row is not None:
        # Projections and caches hear of it as of any other change.
        connection.execute(SQL["insert_change"], (values["ns_id"], row[0], 0))
    return row is not None


def set_vectors(
    connection: Connection, place: Place, space: str, rows: Iterable[VectorRow]
) -> int:
    """Give rows their vectors; a row whose content changed meanwhile takes none."""
    counts = Counts()
    taken = 0
    space_id = place.spaces[space]
    for row in rows:
        key = {"ns_id": place.ns_id, "seq": row.seq}
        before = connection.execute(SQL["counted"], key).fetchone()
        digest = blinded_digest(place.seal, row.content_sha256)
        cursor = connection.execute(
            SQL["set_space"],
            {**key, "space_id": space_id, "content_sha256": digest},
        )
        if not cursor.rowcount:
            continue
        _insert_vectors(connection, place, row.seq, (row.spans, row.vectors))
        connection.execute(SQL["insert_change"], (place.ns_id, row.seq, 0))
        counts.went(before[:3], before[3])
        counts.came((before[0], before[1], space_id), before[3])
        taken += 1
    counts.write(connection, place.ns_id)
    return taken


def move_tier(
    connection: Connection, row: tuple[int, int], target: Tier, seal: Seal | None = None
) -> bool:
    """Bring one row, (ns_id, seq), to another tier; false when it is there or gone.

    Cold content is kept as a zstd frame, hot and warm content plain.
    """
    ns_id, seq = row
    key = {"ns_id": ns_id, "seq": seq}
    before = connection.execute(SQL["counted"], key).fetchone()
    if before is None or before[0] == target.value:
        return False
    memory_id, *stored = connection.execute(SQL["content"], key).fetchone()
    content, frame = opened_words(seal, memory_id, *stored)
    if target is Tier.COLD:
        frame = compress(content or "")
        content, size = None, len(frame)
    else:
        content = content or "" if frame is None else decompress(frame)
        frame, size = None, len(content.encode())
    words = sealed_words(seal, memory_id, content, frame)
    values = {"tier": target.value, **words}
    connection.execute(SQL["move_tier"], {**key, **values, "bytes": size})
    connection.execute(SQL["insert_change"], (ns_id, seq, 0))
    counts = Counts()
    counts.went(before[:3], before[3])
    counts.came((target.value, *before[1:3]), size)
    counts.write(connection, ns_id)
    return True
