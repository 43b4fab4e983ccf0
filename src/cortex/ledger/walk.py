"""Reads a log from start to end, checking the chain and building the tree (pure)."""

from collections.abc import Iterator, Sequence
from typing import Protocol, TypeAlias

from cortex.foundation.errors import ValidationError
from cortex.ledger.entry import (
    CHAIN_END,
    NO_PREVIOUS,
    TIME_CHARACTERS,
    chain_prefix,
    is_canonical,
    parse_leaf,
)
from cortex.ledger.merkle import leaf_hash
from cortex.ledger.tiles import Tile, TileEdge
from cortex.ledger.verdicts import Finding, Reason

Row: TypeAlias = tuple[int, bytes]
"""An entry's index and its leaf."""

Indexed: TypeAlias = tuple[int, bytes, str, str, str, str, str, str, str]
"""Index, leaf hash, id, tenant, kind, correlation id, run, agent and outcome."""


class StoredLog(Protocol):
    """A log as a verifier reads it: nothing in it is trusted."""

    def rows(self, start: int) -> Iterator[Sequence[Row]]:
        """Yield (index, leaf) from ``start`` on, ascending, in groups.

        Raises:
            BodyMissing: an entry's body is not where it should be.
        """
        ...

    def tile(self, tile: Tile) -> bytes | None:
        """Return a tile or bundle as stored, or None."""
        ...

    def checkpoint(self) -> bytes | None:
        """Return the published checkpoint, or None."""
        ...

    def heads(self) -> Sequence[bytes]:
        """Return the notes of all heads that are kept, the smallest first."""
        ...

    def synced(self) -> int:
        """Return below which entry tiles were said to survive a power cut."""
        ...

    def hot_from(self) -> int:
        """Return below which entry bodies lie in bundles only."""
        ...

    def blobs(self, start: int, stop: int) -> Sequence[tuple[int, str, bytes]]:
        """Return (index, SHA-256, body) of the bodies kept beside these entries."""
        ...

    def indexed(self, start: int, stop: int) -> Sequence[Indexed]:
        """Return what the search index says of these entries."""
        ...


class BodyMissing(Exception):
    """A body is not where it should be; carries the finding."""

    def __init__(self, finding: Finding) -> None:
        """Keep the finding."""
        super().__init__(finding.detail)
        self.finding = finding


class Walk:
    """Follows the chain and grows the tree, one group of rows at a time."""

    __slots__ = ("_full", "_prev", "_time", "canonical_from", "edge", "last")

    def __init__(
        self,
        edge: TileEdge | None = None,
        *,
        prev: str = NO_PREVIOUS,
        canonical_from: int = 0,
    ) -> None:
        """Begin at the start, or behind a tree that is known to be good.

        Args:
            edge: the right edge of that tree.
            prev: the hash of its last leaf.
            canonical_from: entries from here on must be canonical JSON; earlier
                ones are bound by a signed root, byte for byte.
        """
        self.edge = edge or TileEdge()
        self.canonical_from = canonical_from
        self._prev = prev
        self._time = b""
        self._full: list[tuple[Tile, bytes]] = []
        self.last = b""

    @property
    def size(self) -> int:
        """Return how many entries the tree holds by now."""
        return self.edge.size

    def take_full(self) -> list[tuple[Tile, bytes]]:
        """Return the tiles that became full since the last call."""
        full, self._full = self._full, []
        return full

    def feed(self, rows: Sequence[Row]) -> Finding | None:
        """Take rows in order; return what is wrong with the first bad one."""
        expected, prev, time = self.edge.size, self._prev, self._time
        hashes: list[bytes] = []
        finding = None
        for index, body in rows:
            prefix = chain_prefix(expected, prev)
            start = len(prefix)
            stamp = body[start : start + TIME_CHARACTERS]
            if (
                index != expected
                or not body.startswith(prefix)
                or stamp < time
                or not body.startswith(CHAIN_END, start + TIME_CHARACTERS)
                or (expected >= self.canonical_from and not is_canonical(body))
            ):
                finding = self._diagnose(expected, (index, body), prev, time)
                break
            time = stamp
            digest = leaf_hash(body)
            hashes.append(digest)
            prev = digest.hex()
            expected += 1
        self._full += self.edge.extend(hashes)
        self._prev, self._time = prev, time
        if hashes:
            self.last = hashes[-1]
        return finding

    def _diagnose(self, expected: int, row: Row, prev: str, time: bytes) -> Finding:
        index, body = row
        if index != expected:
            detail = f"entry {expected} is missing; entry {index} comes next"
            return Finding(Reason.ENTRY_MISSING, expected, detail)
        try:
            entry = parse_leaf(body)
        except ValidationError as error:
            return Finding(Reason.ENTRY_MALFORMED, index, error.message)
        if entry.index != index:
            detail = f"at place {index} lies an entry that says it is {entry.index}"
            return Finding(Reason.CHAIN_BROKEN, index, detail)
        if entry.prev != prev:
            detail = f"entry {index} does not follow from entry {index - 1}"
            return Finding(Reason.CHAIN_BROKEN, index, detail)
        if entry.time.encode() < time:
            detail = f"entry {index} is dated before the entry it follows"
            return Finding(Reason.TIME_WENT_BACK, index, detail)
        return Finding(Reason.ENTRY_MALFORMED, index, "the entry is malformed")
