"""The ids that a selection names, in batches, for what is done to all of them."""

from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Final

from cortex.foundation.tenancy import Namespace
from cortex.memory import listing, reads
from cortex.memory.filters import compile_filter
from cortex.memory.model import Selection
from cortex.memory.numbers import Numbers
from cortex.memory.rows import RecordRow
from cortex.storage.sqlite import Connection, Database

_LONG_AGO: Final = -1e300
"""A time before all: what has expired and was not swept yet is found too."""


async def selected(
    database: Database,
    numbers: Numbers,
    ns: Namespace,
    selection: Selection,
    *,
    batch: int,
) -> AsyncIterator[list[str]]:
    """Yield the selected ids, oldest first; rows may be changed between batches.

    Raises:
        InvalidFilter: the selection's ``where`` is malformed.
    """
    passes = None if selection.where is None else compile_filter(selection.where)
    query = listing.query_name(selection, oldest_first=True)
    ns_id = numbers.namespace(ns)
    values = {**listing.parameters(selection), "ns_id": ns_id, "now": _LONG_AGO}

    def page(connection: Connection, after: int) -> tuple[list[RecordRow], int | None]:
        seal = numbers.seals.reading(connection, ns.tenant)
        fetch = {**values, "after": after}
        return reads.list_page(connection, query, fetch, batch, passes, seal)

    after: int | None = 0
    while after is not None:
        rows, after = await database.read(
            lambda c, after=after: page(c, after)  # type: ignore[misc]
        )
        if rows:
            yield [row.id for row in rows]


def batches(ids: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    """Yield the ids in parts of at most ``size``."""
    for start in range(0, len(ids), size):
        yield ids[start : start + size]
