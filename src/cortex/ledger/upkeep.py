"""Moves entries outwards as they age: database, bundles on disk, archive.

The tree never changes by it and no chain is restarted. Each step first makes sure that
what it is about to remove lies whole in the next place.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from cortex.foundation.clock import Clock
from cortex.ledger import store
from cortex.ledger.archive import Archive, Bundle
from cortex.ledger.errors import LedgerTampered, NoteInvalid, ObjectMissing
from cortex.ledger.keys import SigningKeys
from cortex.ledger.merkle import leaf_hash
from cortex.ledger.model import LedgerStats
from cortex.ledger.options import HEADS_KEPT_EVERY, LedgerOptions
from cortex.ledger.publisher import Publisher
from cortex.ledger.snapshots import SnapshotFolder, Tally
from cortex.ledger.stored import StoredLedger
from cortex.ledger.tiles import TILE_WIDTH, Tile, bundle, encode_bundle
from cortex.ledger.tilestore import TileStore
from cortex.ledger.walk import BodyMissing
from cortex.storage.sqlite import Connection, Database

BUNDLES_AT_ONCE = 16
"""Bundles removed in one transaction, so that appending is not held up."""


@dataclass(frozen=True, slots=True)
class Moved:
    """What one round of upkeep did.

    Attributes:
        rotated: entries that left the database for bundles.
        archived: entries that left the disk for the archive.
        snapshot: size of the snapshot made, 0 for none.
        rotated_to: entries below it have left the database.
        archived_to: entries below it have left the disk.
    """

    rotated: int = 0
    archived: int = 0
    snapshot: int = 0
    rotated_to: int = 0
    archived_to: int = 0


@dataclass(frozen=True, slots=True)
class UpkeepParts:
    """What upkeep works with.

    Attributes:
        database: the hot store.
        tiles: the published files.
        publisher: settles tiles before anything is removed.
        snapshots: where snapshots lie.
        clock: tells ages.
        forget: finishes what was to be forgotten and still is there.
        archive: cold storage, if any.
    """

    database: Database
    tiles: TileStore
    publisher: Publisher
    snapshots: SnapshotFolder
    clock: Clock
    forget: Callable[[], Awaitable[None]]
    archive: Archive | None = None


class Upkeep:
    """Rotates, archives, restores and takes snapshots; one round at a time."""

    def __init__(self, parts: UpkeepParts, options: LedgerOptions) -> None:
        """Take the parts; nothing is done yet."""
        self._parts = parts
        self._options = options
        self._turn = asyncio.Lock()
        self.tally = Tally()
        self._snapshot_size = 0
        self._snapshot_at = parts.clock.now()

    @property
    def stored(self) -> StoredLedger:
        """Return the ledger as one log."""
        parts = self._parts
        return StoredLedger(parts.database.read_inline, parts.tiles, parts.archive)

    async def run(self) -> Moved:
        """Do what is due."""
        async with self._turn:
            # First: what was forgotten must go, whatever becomes of the rest.
            await self._parts.forget()
            await self._parts.publisher.settle()
            rotated = await self._rotate()
            snapshot = await self._snapshot()
            await self._thin_heads()
            # Last, for it may meet a store that does not answer.
            archived = await self._archive()
        marks = self._parts.database.read_inline(_moved_to)
        return Moved(rotated, archived, snapshot, *marks)

    async def restore(self, start: int, stop: int) -> int:
        """Bring archived bundles that cover ``[start, stop)`` back; return entries.

        Raises:
            ObjectMissing: the archive lacks one, or there is no archive.
            ProofInvalid, LedgerTampered: what it gave is not what was published.
        """
        parts = self._parts
        archive = parts.archive
        if archive is None:
            raise ObjectMissing("no archive is configured to restore from")
        stop = min(stop, parts.database.read_inline(_archived_to))
        restored = 0
        for number in range(start // TILE_WIDTH, -(-stop // TILE_WIDTH)):
            found = await asyncio.to_thread(archive.get, number)
            self._compare(number, found)
            data = encode_bundle(found.entries)
            await asyncio.to_thread(parts.tiles.write, bundle(number), data)
            await parts.database.write(_restorer(found))
            restored += len(found.entries)
        await asyncio.to_thread(parts.tiles.settle, start, stop)
        return restored

    def load_snapshot(self, keys: SigningKeys) -> int:
        """Start counting from the newest good snapshot; return its size."""
        folder, database = self._parts.snapshots, self._parts.database
        for size in reversed(folder.sizes()):
            try:
                snapshot = folder.read(size, keys.verifier_keys)
            except NoteInvalid:
                continue
            root = database.read_inline(_head_root_reader(size))
            if root == snapshot.root:
                self.tally = snapshot.tally
                self._snapshot_size = size
                return size
        return 0

    async def stats(self, tenant: str) -> LedgerStats:
        """Return a tenant's numbers, counting only what is new since the last call."""
        async with self._turn:
            await self._count()
            return self.tally.of(tenant)

    async def _count(self, stop: int | None = None) -> None:
        start = self.tally.size

        def count(
            connection: Connection,
        ) -> tuple[list[tuple[str, bool, str, int, int, int, float]], int]:
            end = store.size(connection) if stop is None else stop
            return store.stats(connection, start, end), end

        rows, end = await self._parts.database.read(count)
        if end > start:
            self.tally.add(rows, end)

    async def _snapshot(self) -> int:
        """Take a snapshot at the newest head when it is due."""
        now = self._parts.clock.now()
        head = self._parts.database.read_inline(store.newest_head)
        if head is None or head.size <= self._snapshot_size:
            return 0
        new = head.size - self._snapshot_size
        waited = now - self._snapshot_at
        options = self._options
        if new < options.snapshot_entries and waited < options.snapshot_seconds:
            return 0
        if self.tally.size > head.size:
            # Counted past the head already: count afresh, once.
            self.tally = Tally()
        await self._count(head.size)
        signers = self._parts.publisher.keys.signers
        folder, tally = self._parts.snapshots, self.tally
        await asyncio.to_thread(folder.write, tally, head.root, signers)
        self._snapshot_size, self._snapshot_at = head.size, now
        return head.size

    async def _rotate(self) -> int:
        """Remove old entries from the database once they lie in synced bundles."""
        database = self._parts.database
        first, stop = await database.read(self._rotation_bounds)
        for start in range(first, stop, BUNDLES_AT_ONCE * TILE_WIDTH):
            end = min(start + BUNDLES_AT_ONCE * TILE_WIDTH, stop)
            await asyncio.to_thread(self._check_bundles, start, end)
            await database.write(_leaf_remover(start, end))
        return max(0, stop - first)

    def _rotation_bounds(self, connection: Connection) -> tuple[int, int]:
        first, end = store.hot_bounds(connection)
        synced = store.mark(connection, store.SYNCED)
        oldest = self._parts.clock.now() - self._options.hot_seconds
        stop = store.first_at(connection, oldest, end)
        count, size = store.hot_bytes(connection, first, end)
        excess = size - self._options.hot_bytes_max
        if excess > 0:
            # Entries are of a kind, so their mean tells how many have to go.
            stop = max(stop, first + -(-excess * count // size))
        stop = min(stop, synced) // TILE_WIDTH * TILE_WIDTH
        return first, max(first, stop)

    def _check_bundles(self, start: int, stop: int) -> None:
        rows = self._parts.database.read_inline(
            lambda connection: store.leaves(connection, start, stop)
        )
        for number in range(start // TILE_WIDTH, stop // TILE_WIDTH):
            at = number * TILE_WIDTH
            bodies = [body for index, body in rows if at <= index < at + TILE_WIDTH]
            if self._parts.tiles.read(bundle(number)) != encode_bundle(bodies):
                message = f"the bundle of entries from {at} on differs from the store"
                raise LedgerTampered(message, hint="Run: cortex ledger verify")

    async def _archive(self) -> int:
        """Put old bundles into the archive, then remove them from disk."""
        archive, database = self._parts.archive, self._parts.database
        if archive is None:
            return 0
        first, stop = await database.read(self._archive_bounds)
        for number in range(first // TILE_WIDTH, stop // TILE_WIDTH):
            start = number * TILE_WIDTH
            await asyncio.to_thread(self._put, archive, number)
            await database.write(_blob_remover(start, start + TILE_WIDTH))
            await asyncio.to_thread(self._parts.tiles.drop_bundle, number)
        return max(0, stop - first)

    def _archive_bounds(self, connection: Connection) -> tuple[int, int]:
        first = store.mark(connection, store.ARCHIVED_TO)
        hot_from = store.mark(connection, store.HOT_FROM)
        oldest = self._parts.clock.now() - self._options.warm_seconds
        stop = min(store.first_at(connection, oldest, hot_from), hot_from)
        return first, max(first, stop // TILE_WIDTH * TILE_WIDTH)

    def _put(self, archive: Archive, number: int) -> None:
        start = number * TILE_WIDTH
        try:
            entries = self.stored.bundle(number).entries
        except BodyMissing as error:
            raise LedgerTampered(error.finding.detail) from error
        blobs = self._parts.database.read_inline(
            lambda connection: store.blobs_between(
                connection, start, start + TILE_WIDTH
            )
        )
        found = Bundle(entries, blobs)
        self._compare(number, found)
        archive.put(number, found)

    def _compare(self, number: int, found: Bundle) -> None:
        hashes = self._parts.tiles.hashes(Tile(0, number))
        if [leaf_hash(entry) for entry in found.entries] != hashes:
            start = number * TILE_WIDTH
            message = f"the entries from {start} on are not those that were published"
            raise LedgerTampered(message, hint="Run: cortex ledger verify")

    async def _thin_heads(self) -> None:
        before = int((self._parts.clock.now() - self._options.hot_seconds) * 1_000_000)
        await self._parts.database.write(
            lambda connection: store.thin_heads(connection, before, HEADS_KEPT_EVERY)
        )


def _leaf_remover(start: int, stop: int) -> Callable[[Connection], None]:
    def unit(connection: Connection) -> None:
        store.drop_leaves(connection, start, stop)
        store.set_mark(connection, store.HOT_FROM, stop)

    return unit


def _blob_remover(start: int, stop: int) -> Callable[[Connection], None]:
    def unit(connection: Connection) -> None:
        store.drop_blobs(connection, start, stop)
        store.set_mark(connection, store.ARCHIVED_TO, stop)

    return unit


def _restorer(found: Bundle) -> Callable[[Connection], None]:
    return lambda connection: store.restore_blobs(connection, found.blobs)


def _archived_to(connection: Connection) -> int:
    return store.mark(connection, store.ARCHIVED_TO)


def _moved_to(connection: Connection) -> tuple[int, int]:
    return store.mark(connection, store.HOT_FROM), _archived_to(connection)


def _head_root_reader(size: int) -> Callable[[Connection], bytes | None]:
    return lambda connection: store.head_root(connection, size)
