"""One namespace in memory: columns, words and vectors of its live memories.

A shard is a projection of the store. Documents are numbered by ordinal, in the order in
which the shard heard of them; a forgotten one leaves a hole, and a memory with a new
content takes a new ordinal in the old one's place in its session.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from cortex.memory.columns import NONE
from cortex.memory.lexical import LexicalIndex, decode_terms
from cortex.memory.ports import Changes, Head, ProjectedRow
from cortex.memory.ranking import Columns, neighbour_links
from cortex.memory.table import NEVER, ShardNames, ShardTable, content_key_number
from cortex.memory.terms import AuthorDirectory, TermAnalyser
from cortex.memory.vectors import Mask, Rows, VectorIndex

COMPACT_SHARE: Final = 4
"""A shard is loaded afresh when one part in this many of its ordinals is holes."""

COMPACT_MIN: Final = 2_048
"""Holes below which that is not worth it."""


class Shard:
    """Not thread-safe: whoever holds its lock (see ``shards``) uses it."""

    def __init__(
        self,
        space: str,
        *,
        analyser: TermAnalyser,
        vectors: Callable[[int], VectorIndex],
    ) -> None:
        """Start empty; vectors of other spaces than ``space`` count as missing."""
        self.space = space
        self.head = Head()
        self.words = LexicalIndex()
        self.authors = AuthorDirectory(analyser)
        self.names = ShardNames()
        self.table = ShardTable()
        self.vectors: VectorIndex | None = None
        self.earliest_expiry = NEVER
        self._make_vectors = vectors
        self._terms_loading: list[bytes] = []
        self._last_of_session: dict[int, int] = {}
        self._loading = True
        self.dead_rows = 0
        self._row_mask: Mask | None = None
        self._has_quarantined: bool | None = None

    def __len__(self) -> int:
        """Return how many ordinals were given out, holes included."""
        return len(self.table.seq)

    @property
    def live(self) -> int:
        """Return how many memories are here."""
        return int(np.count_nonzero(self.table.alive.view))

    @property
    def pending(self) -> int:
        """Return how many live memories have no vector in the shard's space."""
        table = self.table
        return int(np.count_nonzero(table.alive.view & (table.chunks.view == 0)))

    @property
    def has_quarantined(self) -> bool:
        """Return whether any memory here is kept out of answers."""
        if self._has_quarantined is None:
            held = self.table.quarantined.view & self.table.alive.view
            self._has_quarantined = bool(held.any())
        return self._has_quarantined

    @property
    def wants_compaction(self) -> bool:
        """Return whether holes take more room than they should."""
        holes = len(self) - self.live
        return holes > max(COMPACT_MIN, len(self) // COMPACT_SHARE)

    @property
    def bytes_held(self) -> int:
        """Return about how much memory the shard takes."""
        held = self.words.bytes_held + self.table.bytes_held + self.names.bytes_held
        return held + (0 if self.vectors is None else self.vectors.bytes_held)

    def apply(self, changes: Changes) -> None:
        """Take over changes that follow this shard's head."""
        known = self.head.seq
        self._has_quarantined = None
        again = [row for row in changes.rows if row.seq <= known]
        for ordinal in self.table.ordinals_of(changes.gone):
            self._remove(ordinal)
        for row in again:
            self._renew(row)
        self._append(changes.rows[len(again) :])
        self.head = changes.head

    def finish_loading(self) -> None:
        """Build what is cheaper to build at once, after the last bulk of rows."""
        table = self.table
        self.words = LexicalIndex.load(self._terms_loading)
        self._terms_loading = []
        for hole in np.flatnonzero(~table.alive.view).tolist():
            self.words.remove(hole)
        everything = np.arange(len(self), dtype=np.intp)
        table.words.view[:] = self.words.lengths(everything)
        sessions = np.where(table.alive.view, table.session.view, NONE)
        previous, following = neighbour_links(sessions, everything)
        table.previous.view[:] = previous
        table.following.view[:] = following
        last = np.flatnonzero((sessions != NONE) & (following == NONE))
        self._last_of_session = dict(
            zip(sessions[last].tolist(), last.tolist(), strict=True)
        )
        self._loading = False

    def ranking_columns(self) -> Columns:
        """Return views of the columns for ranking, valid until the next change."""
        table = self.table
        return Columns(
            previous=table.previous.view,
            following=table.following.view,
            words=table.words.view,
            chunks=table.chunks.view,
            authors=table.author.view,
            occurred_at=table.occurred_at.view,
            importance=table.importance.view,
        )

    def chunk_rows(self, ordinals: NDArray[np.integer]) -> tuple[Rows, Rows]:
        """Return the vector rows of ordinals, and the position each belongs to.

        The second array indexes into ``ordinals``, in rising order.
        """
        counts = self.table.chunks.view[ordinals]
        if len(counts) and counts.min() == counts.max() == 1:
            return self.table.first_row.view[ordinals], np.arange(len(ordinals))
        positions = np.repeat(np.arange(len(ordinals)), counts)
        ends = np.cumsum(counts)
        within = np.arange(len(positions)) - np.repeat(ends - counts, counts)
        starts = self.table.first_row.view[ordinals]
        return starts[positions] + within, positions

    def row_mask(self, documents: Mask | None) -> Mask | None:
        """Return which vector rows are searched, None for all.

        ``documents`` says which ordinals are wanted, None for all live ones.
        """
        if documents is None and not self.dead_rows:
            return None
        if self._row_mask is None:
            self._row_mask = self.table.row_live.view.copy()
        if documents is None:
            return self._row_mask
        return documents[self.table.row_document.view] & self._row_mask

    def _append(self, rows: Sequence[ProjectedRow]) -> None:
        if not rows:
            return
        first = len(self)
        self.table.extend(rows, self.names, self.authors)
        earliest = float(self.table.expires_at.view[first:].min())
        self.earliest_expiry = min(self.earliest_expiry, earliest)
        if self._loading:
            self._terms_loading.extend(row.terms for row in rows)
        else:
            for ordinal, row in enumerate(rows, first):
                self._enter(ordinal, row)
        self._add_vectors(range(first, len(self)), rows)

    def _enter(self, ordinal: int, row: ProjectedRow) -> None:
        """Index the words of one appended row and put it at its session's end."""
        self.words.add(decode_terms(row.terms))
        length = self.words.lengths(np.array([ordinal]))[0]
        self.table.words.view[ordinal] = length
        session = int(self.table.session.view[ordinal])
        if session != NONE:
            last = self._last_of_session.get(session, NONE)
            self.table.link(last, ordinal)
            self._last_of_session[session] = ordinal

    def _add_vectors(
        self, ordinals: Iterable[int], rows: Sequence[ProjectedRow]
    ) -> None:
        """Append the vectors of rows that have them in this space."""
        taken = [
            (ordinal, row.chunks, row.vectors)
            for ordinal, row in zip(ordinals, rows, strict=True)
            if row.space == self.space and row.vectors
        ]
        if not taken:
            return
        documents = [ordinal for ordinal, _, _ in taken]
        counts = np.array([chunks for _, chunks, _ in taken])
        flat = np.frombuffer(b"".join(part for _, _, part in taken), "<f2")
        dimensions = len(flat) // int(counts.sum())
        if self.vectors is None:
            self.vectors = self._make_vectors(dimensions)
        start = len(self.vectors)
        self.vectors.add(flat.reshape(-1, dimensions).astype(np.float32))
        self.table.chunks.view[documents] = counts
        self.table.first_row.view[documents] = start + np.cumsum(counts) - counts
        self.table.row_document.extend(np.repeat(documents, counts))
        self.table.row_live.extend(np.ones(int(counts.sum()), bool))
        self._row_mask = None

    def _renew(self, row: ProjectedRow) -> None:
        """Take over a row that was changed since the shard heard of it."""
        found = self.table.ordinals_of((row.seq,))
        if not found:
            return
        (ordinal,) = found
        author = self.names.author.find(row.author) if row.author else NONE
        same = (
            self.table.terms_key.view[ordinal] == hash(row.terms)
            and self.table.content_key.view[ordinal]
            == content_key_number(row.content_key)
            and self.table.author.view[ordinal] == author
        )
        if same:
            self._change_in_place(ordinal, row)
        else:
            self._replace(ordinal, row)

    def _change_in_place(self, ordinal: int, row: ProjectedRow) -> None:
        table = self.table
        table.set(ordinal, row, self.names)
        expires_at = float(table.expires_at.view[ordinal])
        self.earliest_expiry = min(self.earliest_expiry, expires_at)
        has_vectors = bool(table.chunks.view[ordinal])
        if has_vectors and row.space != self.space:
            self._drop_vectors(ordinal)
        elif not has_vectors:
            self._add_vectors((ordinal,), (row,))

    def _replace(self, old: int, row: ProjectedRow) -> None:
        """Give a changed content a new ordinal, in the old one's place in a session."""
        table = self.table
        before, after = int(table.previous.view[old]), int(table.following.view[old])
        was_last = self._last_of_session.get(int(table.session.view[old])) == old
        self._remove(old)
        self._append((row,))
        new = len(self) - 1
        if table.session.view[new] == NONE or was_last:
            return
        # `_append` put it at the session's end; its place is between its neighbours.
        last = int(table.previous.view[new])
        table.link(last, NONE)
        self._last_of_session[int(table.session.view[new])] = last
        table.link(before, new)
        table.link(new, after)

    def _remove(self, ordinal: int) -> None:
        table = self.table
        table.alive.view[ordinal] = False
        if table.chunks.view[ordinal]:
            self._drop_vectors(ordinal)
        if self._loading:
            self._terms_loading[ordinal] = b""
            return
        self.words.remove(ordinal)
        before = int(table.previous.view[ordinal])
        after = int(table.following.view[ordinal])
        session = int(table.session.view[ordinal])
        if self._last_of_session.get(session) == ordinal:
            self._last_of_session[session] = before
        table.link(before, after)
        table.previous.view[ordinal] = table.following.view[ordinal] = NONE

    def _drop_vectors(self, ordinal: int) -> None:
        table = self.table
        start, count = table.first_row.view[ordinal], table.chunks.view[ordinal]
        table.row_live.view[start : start + count] = False
        table.chunks.view[ordinal] = 0
        self.dead_rows += int(count)
        self._row_mask = None
