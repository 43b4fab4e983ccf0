"""The ids that a selection names, in batches, for what is done to all of them."""

from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from typing import Final

from cortex.memory import listing, reads
from cortex.memory.filters import Predicate, compile_filter
from cortex.memory.model import Selection
from cortex.memory.rows import RecordRow, SqlValue
from cortex.storage.sqlite import Connection, Database

_LONG_AGO: Final = -1e300
"""A time before all: what has expired and was not swept yet is found too."""


async def selected(
    database: Database, ns_id: int, selection: Selection, *, batch: int
) -> AsyncIterator[list[str]]:
    """Yield the selected ids, oldest first; rows may be changed between batches.

    Raises:
        InvalidFilter: the selection's ``where`` is malformed.
    """
    passes = None if selection.where is None else compile_filter(selection.where)
    query = listing.query_name(selection, oldest_first=True)
    values = {**listing.parameters(selection), "ns_id": ns_id, "now": _LONG_AGO}
    after: int | None = 0
    while after is not None:
        rows, after = await database.read(
            _page(query, {**values, "after": after}, batch, passes)
        )
        if rows:
            yield [row.id for row in rows]


def _page(
    query: str, values: Mapping[str, SqlValue], limit: int, passes: Predicate | None
) -> Callable[[Connection], tuple[list[RecordRow], int | None]]:
    return lambda c: reads.list_page(c, query, values, limit, passes)


def batches(ids: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    """Yield the ids in parts of at most ``size``."""
    for start in range(0, len(ids), size):
        yield ids[start : start + size]
