"""A ledger on disk as one log: hot rows, then bundles, then the archive."""

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, TypeVar

from cortex.foundation.errors import CortexError
from cortex.ledger import store
from cortex.ledger.archive import Archive, Bundle
from cortex.ledger.errors import ArchiveUnreachable, ObjectMissing, ProofInvalid
from cortex.ledger.tiles import TILE_WIDTH, Tile, bundle, decode_bundle
from cortex.ledger.tilestore import TileStore
from cortex.ledger.verdicts import Finding, Reason
from cortex.ledger.walk import BodyMissing, Indexed, Row
from cortex.storage.sqlite import Connection

T = TypeVar("T")

ROWS_AT_ONCE = 4096
"""Rows read in one query: about 4 MB of entries."""


class Read(Protocol):
    """Runs a query on the calling thread (a database, or a read-only pool)."""

    def __call__(self, query: Callable[[Connection], T], /) -> T:
        """Return what the query returns."""
        ...


class StoredLedger:
    """Implements ``walk.StoredLog`` over a ledger's folder; trusts nothing in it."""

    def __init__(
        self, read: Read, tiles: TileStore, archive: Archive | None = None
    ) -> None:
        """Take the three places; without an archive its entries are incomplete."""
        self._read = read
        self._tiles = tiles
        self._archive = archive

    def rows(self, start: int) -> Iterator[Sequence[Row]]:
        """Yield (index, leaf) from ``start`` on, in groups."""
        index = start
        try:
            hot_from = min(self.hot_from(), self._read(store.size))
            while index < hot_from:
                number, place = divmod(index, TILE_WIDTH)
                entries = self.bundle(number).entries
                yield [
                    (number * TILE_WIDTH + at, body)
                    for at, body in enumerate(entries)
                    if at >= place
                ]
                index = (number + 1) * TILE_WIDTH
            while rows := self._read(_hot(index)):
                yield rows
                index = max(rows[-1][0], index) + 1
        except CortexError as error:
            finding = Finding(Reason.STORE_UNREADABLE, index, error.message)
            raise BodyMissing(finding) from error

    def bundle(self, number: int) -> Bundle:
        """Return a full bundle from disk, or else from the archive.

        Raises:
            BodyMissing: it is in neither, or damaged.
        """
        start = number * TILE_WIDTH
        data = self._tiles.read(bundle(number))
        if data is not None:
            try:
                return Bundle(decode_bundle(data, TILE_WIDTH))
            except ProofInvalid as error:
                finding = Finding(Reason.BUNDLE_MISMATCH, start, error.message)
                raise BodyMissing(finding) from error
        if start >= self._read(_marker(store.ARCHIVED_TO)):
            detail = f"the bundle of the entries from {start} on is missing"
            raise BodyMissing(Finding(Reason.BUNDLE_MISSING, start, detail))
        return self._archived(number)

    def tile(self, tile: Tile) -> bytes | None:
        """Return a tile or bundle as stored, or None."""
        return self._tiles.read(tile)

    def checkpoint(self) -> bytes | None:
        """Return the published checkpoint, or None."""
        return self._tiles.checkpoint()

    def heads(self) -> Sequence[bytes]:
        """Return the notes of all heads that are kept."""
        return self._read(store.head_notes)

    def synced(self) -> int:
        """Return below which entry tiles were said to survive a power cut."""
        return self._read(_marker(store.SYNCED))

    def hot_from(self) -> int:
        """Return below which entry bodies lie in bundles only.

        The mark may have been forged: rows below it are read all the same, and rows
        that are missing above it are missed.
        """
        marked = self._read(_marker(store.HOT_FROM))
        first, end = self._read(store.hot_bounds)
        return min(marked, first) if end else marked

    def blobs(self, start: int, stop: int) -> Sequence[tuple[int, str, bytes]]:
        """Return the bodies beside these entries, from the archive if they moved."""
        found = list(
            self._read(lambda connection: store.blobs_between(connection, start, stop))
        )
        archived = min(stop, self._read(_marker(store.ARCHIVED_TO)))
        if self._archive is not None and start < archived:
            for number in range(start // TILE_WIDTH, -(-archived // TILE_WIDTH)):
                found += self._archived(number).blobs
        return found

    def indexed(self, start: int, stop: int) -> Sequence[Indexed]:
        """Return what the search index says of these entries."""
        return self._read(lambda connection: store.indexed(connection, start, stop))

    def leaf(self, index: int) -> bytes:
        """Return one entry's leaf.

        Raises:
            BodyMissing: it is not where it should be.
        """
        rows = self._read(lambda connection: store.leaves(connection, index, index + 1))
        if rows:
            return rows[0][1]
        number, place = divmod(index, TILE_WIDTH)
        return self.bundle(number).entries[place]

    def _archived(self, number: int) -> Bundle:
        start = number * TILE_WIDTH
        if self._archive is None:
            detail = f"entries from {start} on are in an archive that was not given"
            raise BodyMissing(Finding(Reason.OBJECT_MISSING, start, detail))
        try:
            return self._archive.get(number)
        except ObjectMissing as error:
            finding = Finding(Reason.OBJECT_MISSING, start, error.message)
            raise BodyMissing(finding) from error
        except ProofInvalid as error:
            finding = Finding(Reason.OBJECT_MISMATCH, start, error.message)
            raise BodyMissing(finding) from error
        except ArchiveUnreachable as error:
            finding = Finding(Reason.ARCHIVE_UNREACHABLE, start, error.message)
            raise BodyMissing(finding) from error


def _hot(index: int) -> Callable[[Connection], list[Row]]:
    return lambda connection: store.leaves_from(connection, index, ROWS_AT_ONCE)


def _marker(name: str) -> Callable[[Connection], int]:
    return lambda connection: store.mark(connection, name)
