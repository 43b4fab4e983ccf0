"""Queries of memory: each runs inside one read snapshot and returns plain values."""

from collections.abc import Callable, Mapping, Sequence

import orjson

from cortex.foundation.canonical import JsonValue
from cortex.foundation.tenancy import Namespace
from cortex.memory.listing import ROWS_EXAMINED_MAX
from cortex.memory.model import MemoryStats
from cortex.memory.ports import Changes, Exported, Found, Head, Pending
from cortex.memory.rows import (
    RecordRow,
    SqlValue,
    decode_spans,
    load_object,
    to_memory,
)
from cortex.memory.sealing import (
    Seal,
    Seals,
    blinded,
    opened_projection,
    opened_record,
    opening,
)
from cortex.memory.writes import SQL, find_space
from cortex.storage.sqlite import Connection


def record(
    connection: Connection, ns_id: int, memory_id: str, seal: Seal | None
) -> RecordRow | None:
    """Return one row by id."""
    row = connection.execute(SQL["record"], (ns_id, memory_id)).fetchone()
    return None if row is None else opened_record(seal, RecordRow._make(row))


def list_page(
    connection: Connection,
    query: str,
    values: Mapping[str, SqlValue],
    limit: int,
    passes: Callable[[Mapping[str, JsonValue]], bool] | None,
    seal: Seal | None,
) -> tuple[list[RecordRow], int | None]:
    """Return up to ``limit`` rows, and the last row looked at if there may be more.

    ``values`` holds the starting row as both ``before`` and ``after``.
    """
    rows: list[RecordRow] = []
    last: int | None = None
    fetch = {**values, "limit": limit + 1 if passes is None else ROWS_EXAMINED_MAX}
    examined = 0
    named = blinded(seal, fetch)
    for row in map(opening(seal), connection.execute(SQL[query], named)):
        if len(rows) == limit:
            return rows, last
        last = row.seq
        examined += 1
        if passes is None or passes(load_object(row.metadata)):
            rows.append(row)
    return rows, last if examined == ROWS_EXAMINED_MAX else None


def found(
    connection: Connection,
    ns: Namespace,
    ns_id: int,
    seqs: Sequence[int],
    seal: Seal | None,
) -> tuple[Found, ...]:
    """Return rows by number, with their spans."""
    if not seqs:
        return ()
    numbers = orjson.dumps(list(seqs)).decode()
    rows = connection.execute(SQL["records_by_seq"], (ns_id, numbers))
    return tuple(
        Found(
            seq=row[0],
            memory=to_memory(opened_record(seal, RecordRow._make(row[:-1])), ns),
            spans=decode_spans(row[-1]),
        )
        for row in rows
    )


def found_by_id(
    connection: Connection,
    ns: Namespace,
    ns_id: int,
    memory_id: str,
    seal: Seal | None,
) -> Found | None:
    """Return one row by id, with its spans."""
    row = connection.execute(SQL["seq_of"], (ns_id, memory_id)).fetchone()
    return None if row is None else found(connection, ns, ns_id, row, seal)[0]


def exported(
    connection: Connection,
    ns: Namespace,
    where: tuple[int, int, float, int, bool],
    seal: Seal | None,
) -> Sequence[Exported]:
    """Return rows for an export.

    ``where`` is (ns_id, after, now, limit, whether quarantined ones are wanted).
    """
    rows = map(opening(seal), connection.execute(SQL["exported_after"], where))
    return [Exported(row.seq, to_memory(row, ns), row.dedupe) for row in rows]


def head(connection: Connection, ns_id: int) -> Head:
    """Return the last row and the last change of a namespace."""
    seq, version, oldest = connection.execute(SQL["head"], (ns_id,)).fetchone()
    return Head(seq or 0, version or 0, (oldest or 1) - 1)


def changes(
    connection: Connection, ns_id: int, since: Head, limit: int, seal: Seal | None
) -> Changes:
    """Return new rows, changed rows and forgotten ones after a head.

    From the very beginning (``Head()``) rows are read as they are now, and the change
    log counts from here on.
    """
    oldest, newest = connection.execute(SQL["change_range"]).fetchone()
    floor, newest = (oldest or 1) - 1, newest or 0
    fresh = since.seq == 0
    if not fresh and since.version < floor:
        return Changes((), (), since, stale=True)
    after = newest if fresh else since.version
    logged = connection.execute(SQL["changes_after"], (ns_id, after, limit)).fetchall()
    new = connection.execute(
        SQL["projected_after"], (ns_id, since.seq, limit)
    ).fetchall()
    gone = {seq for _, seq, is_gone in logged if is_gone and seq <= since.seq}
    again = {seq for _, seq, _ in logged if seq <= since.seq} - gone
    changed: list[tuple[object, ...]] = []
    if again:
        numbers = orjson.dumps(sorted(again)).decode()
        changed = connection.execute(
            SQL["projected_by_seq"], (ns_id, numbers)
        ).fetchall()
    more_logged = len(logged) == limit
    return Changes(
        rows=tuple(opened_projection(seal, row) for row in (*changed, *new)),
        gone=tuple(sorted(gone)),
        head=Head(
            new[-1][0] if new else since.seq,
            logged[-1][0] if more_logged else newest,
            floor,
        ),
        more=len(new) == limit or more_logged,
    )


def namespaces(connection: Connection, tenant: str) -> tuple[str, ...]:
    """Return the names of a tenant's namespaces."""
    rows = connection.execute(SQL["namespaces_of_tenant"], (tenant,))
    return tuple(name for _, name in rows)


def stats(connection: Connection, tenant: str, name: str | None) -> MemoryStats:
    """Return a tenant's counts and bytes, of one namespace or all."""
    by_tier: dict[str, int] = {}
    bytes_by_tier: dict[str, int] = {}
    by_kind: dict[str, int] = {}
    by_namespace: dict[str, int] = {}
    pending = 0
    for space_name, tier, kind, space_id, items, size in connection.execute(
        SQL["stats"], {"tenant": tenant, "name": name}
    ):
        by_tier[tier] = by_tier.get(tier, 0) + items
        bytes_by_tier[tier] = bytes_by_tier.get(tier, 0) + size
        by_kind[kind] = by_kind.get(kind, 0) + items
        by_namespace[space_name] = by_namespace.get(space_name, 0) + items
        pending += 0 if space_id else items
    return MemoryStats(
        total=sum(by_tier.values()),
        bytes_total=sum(bytes_by_tier.values()),
        by_tier=by_tier,
        bytes_by_tier=bytes_by_tier,
        by_kind=by_kind,
        by_namespace=by_namespace,
        pending_embeddings=pending,
    )


def pending(
    connection: Connection, space: str, after: int, limit: int, seals: Seals
) -> tuple[Pending, ...]:
    """Return rows without a vector in a space, of all tenants, after a row number."""
    space_id = find_space(connection, space) or 0
    without, elsewhere = connection.execute(
        SQL["items_in_other_spaces"], (space_id,)
    ).fetchone()
    if elsewhere:
        query = "in_other_spaces"
    elif without:
        query = "without_space"
    else:
        return ()
    values = {"space_id": space_id, "after": after, "limit": limit}
    rows = map(RecordRow._make, connection.execute(SQL[query], values).fetchall())
    owners: dict[int, Namespace] = {}
    answer = []
    for row in rows:
        ns = owners.get(row.ns_id)
        if ns is None:
            named = connection.execute(SQL["namespace_by_id"], (row.ns_id,)).fetchone()
            ns = owners[row.ns_id] = Namespace(*named)
        opened = opened_record(seals.reading(connection, ns.tenant), row)
        answer.append(Pending(row.seq, ns, to_memory(opened, ns)))
    return tuple(answer)
