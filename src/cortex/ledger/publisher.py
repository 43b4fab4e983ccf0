"""Turns durable entries into tiles and a signed head.

Order matters: tiles are written, the new tree is proved to extend the last signed one,
the head is signed, stored durably, and only then shown and pinned. A crash between two
steps leaves nothing that contradicts a head that was shown.
"""

import asyncio
import fcntl
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cortex.foundation.clock import Clock
from cortex.ledger import store
from cortex.ledger.checkpoint import (
    Checkpoint,
    SignedCheckpoint,
    parse_checkpoint,
    sign_checkpoint,
)
from cortex.ledger.entry import NO_PREVIOUS, chain_prefix
from cortex.ledger.errors import LedgerTampered, ProofInvalid
from cortex.ledger.keys import SigningKeys
from cortex.ledger.merkle import (
    consistency_proof,
    leaf_hash,
    tree_root,
    verify_consistency,
)
from cortex.ledger.notes import Note
from cortex.ledger.pins import PinFolder
from cortex.ledger.store import StoredHead
from cortex.ledger.tiles import (
    TILE_WIDTH,
    Tile,
    TileEdge,
    bundle,
    encode_bundle,
)
from cortex.ledger.tilestore import TileStore
from cortex.storage.sqlite import Connection, Database

CHUNK_ENTRIES = 16 * TILE_WIDTH
"""Entries turned into tiles at a time: bounds memory while catching up."""

SETTLE_ENTRIES = 128 * TILE_WIDTH
"""Entries whose tiles may await their sync: bounds what a power cut costs to redo."""

SETTLE_SECONDS = 30.0
"""Seconds after which tile files are synced at the latest."""


@dataclass(frozen=True, slots=True)
class PublisherParts:
    """What a publisher works with.

    Attributes:
        database: the hot store.
        tiles: the published files.
        lock: a file that lets one process publish at a time.
        clock: stamps heads.
        pins: the second place, if any.
    """

    database: Database
    tiles: TileStore
    lock: Path
    clock: Clock
    pins: PinFolder | None = None


class Publisher:
    """Publishes heads, one at a time, in one process at a time."""

    def __init__(self, parts: PublisherParts, keys: SigningKeys) -> None:
        """Take the parts and the keys that sign."""
        self._parts = parts
        self.keys = keys
        self.is_started = False
        self._turn = asyncio.Lock()
        self._edge: TileEdge | None = None
        self._recovered = False
        self._shown: SignedCheckpoint | None = None
        self._settled_at = parts.clock.monotonic()

    async def publish(self) -> SignedCheckpoint:
        """Sign and show a head over all durable entries; return it.

        Does nothing but return the last head when it covers everything.

        Raises:
            LedgerTampered: what is stored contradicts the last signed head.
            OSError, CortexError: the disk failed; nothing was shown.
        """
        async with self._turn:
            descriptor = await self._locked()
            try:
                return await self._publish()
            finally:
                os.close(descriptor)

    async def attach(self, signed: SignedCheckpoint) -> bool:
        """Keep further signatures of a head; show it if it is still the newest."""
        async with self._turn:
            descriptor = await self._locked()
            try:
                return await self._attach(signed)
            finally:
                os.close(descriptor)

    async def settle(self) -> None:
        """Make published tiles survive a power cut and note how far they do."""
        async with self._turn:
            await self._settle()

    async def _publish(self) -> SignedCheckpoint:
        database = self._parts.database
        last = database.read_inline(store.newest_head)
        size = database.read_inline(store.size)
        if last is not None and last.size == size:
            return await self._show_again(last)
        if last is not None and last.size > size:
            raise _contradiction(f"{last.size} entries were signed, {size} are stored")
        edge, self._edge = self._edge, None
        edge = await asyncio.to_thread(self._extend, edge, last, size)
        signed = self._sign(Checkpoint(self.keys.origin, size, edge.root()))
        head = StoredHead(size, signed.root, signed.encode(), self._now_us())
        await database.write(lambda connection: store.insert_head(connection, head))
        self._edge = edge
        await asyncio.to_thread(self._show, signed)
        if self._is_settling_due(size):
            await self._settle()
        return signed

    async def _attach(self, signed: SignedCheckpoint) -> bool:
        database = self._parts.database
        known = database.read_inline(_head_reader(signed.size))
        if known is None or known.root != signed.root:
            return False
        merged = _merged(parse_checkpoint(known.note), signed)
        head = StoredHead(known.size, known.root, merged.encode(), known.signed_us)

        def unit(connection: Connection) -> bool:
            store.replace_note(connection, head)
            if store.mark(connection, store.COSIGNED) < head.size:
                store.set_mark(connection, store.COSIGNED, head.size)
            newest = store.newest_head(connection)
            return newest is not None and newest.size == head.size

        is_newest = await database.write(unit)
        if is_newest:
            await asyncio.to_thread(self._show, merged)
        return is_newest

    async def _show_again(self, last: StoredHead) -> SignedCheckpoint:
        shown = self._shown
        if shown is None or (shown.size, shown.root) != (last.size, last.root):
            if self._edge is None:
                self._edge = await asyncio.to_thread(self._load_edge, last)
            shown = parse_checkpoint(last.note)
            await asyncio.to_thread(self._show, shown)
        return shown

    def _sign(self, checkpoint: Checkpoint) -> SignedCheckpoint:
        signed = sign_checkpoint(checkpoint, self.keys.signers)
        cosigner = self.keys.cosigner
        if cosigner is None:
            return signed
        line = cosigner.cosign(signed, int(self._parts.clock.now()))
        note = Note(signed.note.text, (*signed.note.signatures, line))
        return SignedCheckpoint(checkpoint, note)

    def _show(self, signed: SignedCheckpoint) -> None:
        self._parts.tiles.show_checkpoint(signed.encode())
        if self._parts.pins is not None:
            self._parts.pins.pin_head(signed)
        self._shown = signed

    def _extend(
        self, edge: TileEdge | None, last: StoredHead | None, size: int
    ) -> TileEdge:
        """Write the tiles up to ``size`` and prove that they extend the last head."""
        known = last or StoredHead(0, b"", b"", 0)
        if edge is None or edge.size != known.size or edge.root() != known.root:
            edge = self._load_edge(last)
        self._append(edge, size)
        if known.size:
            tiles = self._parts.tiles
            path = consistency_proof(
                known.size, size, lambda level, index: tiles.node(size, level, index)
            )
            try:
                verify_consistency(known.size, size, known.root, edge.root(), path)
            except ProofInvalid as error:
                raise _contradiction(error.message) from error
        return edge

    def _load_edge(self, last: StoredHead | None) -> TileEdge:
        """Return the edge of the last signed tree, making torn tiles again."""
        if last is None:
            return TileEdge()
        tiles = self._parts.tiles
        if self._recovered:
            # Another process published meanwhile; its tiles are read, not made again.
            edge = _try_edge(last.size, tiles)
            if edge is not None and edge.root() == last.root:
                return edge
        synced = self._parts.database.read_inline(_reader(store.SYNCED))
        start = min(synced, last.size) // TILE_WIDTH * TILE_WIDTH
        edge = _edge_of_full_tiles(start, tiles)
        self._append(edge, last.size)
        if edge.root() != last.root:
            message = f"the tree of {last.size} entries is not the one that was signed"
            raise _contradiction(message)
        self._recovered = True
        return edge

    def _append(self, edge: TileEdge, size: int) -> None:
        """Add the entries up to ``size``, checking that each follows the one before."""
        database, tiles = self._parts.database, self._parts.tiles
        first = edge.size // TILE_WIDTH * TILE_WIDTH
        prev = self._hash_before(first)
        rest: list[bytes] = []
        for start in range(first, size, CHUNK_ENTRIES):
            stop = min(start + CHUNK_ENTRIES, size)
            rows = database.read_inline(_range_reader(start, stop))
            if len(rows) != stop - start:
                raise _contradiction(f"entries from {start} to {stop} are missing")
            bodies = [body for _, body in rows]
            hashes = []
            for offset, body in enumerate(bodies):
                if not body.startswith(chain_prefix(start + offset, prev)):
                    raise _contradiction(f"entry {start + offset} breaks the chain")
                digest = leaf_hash(body)
                hashes.append(digest)
                prev = digest.hex()
            if hashes[: edge.size - start] != edge.lowest[: len(hashes)]:
                raise _contradiction(f"entries from {start} on are not those in tiles")
            rest = self._write_chunk(edge, start, bodies, hashes)
        for tile, data in edge.partials():
            tiles.write(tile, data)
        if rest:
            index = size // TILE_WIDTH
            tiles.write(bundle(index, len(rest)), encode_bundle(rest))

    def _write_chunk(
        self, edge: TileEdge, start: int, bodies: list[bytes], hashes: list[bytes]
    ) -> list[bytes]:
        """Write the full tiles and bundles of a chunk; return the entries left over."""
        tiles = self._parts.tiles
        for tile, data in edge.extend(hashes[edge.size - start :]):
            tiles.write(tile, data)
        whole = len(bodies) // TILE_WIDTH * TILE_WIDTH
        for at in range(0, whole, TILE_WIDTH):
            index = (start + at) // TILE_WIDTH
            data = encode_bundle(bodies[at : at + TILE_WIDTH])
            tiles.write(bundle(index), data)
        return bodies[whole:]

    def _hash_before(self, index: int) -> str:
        if index == 0:
            return NO_PREVIOUS
        row = self._parts.database.read_inline(
            lambda connection: store.entry_at(connection, index - 1)
        )
        if row is None:
            raise _contradiction(f"entry {index - 1} is missing")
        return row[1].hex()

    def _is_settling_due(self, size: int) -> bool:
        waited = self._parts.clock.monotonic() - self._settled_at
        synced = self._parts.database.read_inline(_reader(store.SYNCED))
        return size - synced >= SETTLE_ENTRIES or waited >= SETTLE_SECONDS

    async def _settle(self) -> None:
        database = self._parts.database
        last = database.read_inline(store.newest_head)
        self._settled_at = self._parts.clock.monotonic()
        if last is None:
            return
        start = database.read_inline(_reader(store.SYNCED))
        stop = last.size // TILE_WIDTH * TILE_WIDTH
        if stop > start:
            await asyncio.to_thread(self._parts.tiles.settle, start, stop)
            await database.write(
                lambda connection: store.set_mark(connection, store.SYNCED, stop)
            )

    def _now_us(self) -> int:
        return int(self._parts.clock.now() * 1_000_000)

    async def _locked(self) -> int:
        """Take the lock; who is cancelled meanwhile gives it back once it is there."""
        loop = asyncio.get_running_loop()
        taking = loop.run_in_executor(None, self._take_lock)
        try:
            return await asyncio.shield(taking)
        except asyncio.CancelledError:
            taking.add_done_callback(_give_back)
            raise

    def _take_lock(self) -> int:
        descriptor = os.open(
            self._parts.lock, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600
        )
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        except OSError:
            os.close(descriptor)
            raise
        return descriptor


def _give_back(taking: "asyncio.Future[int]") -> None:
    if not taking.cancelled() and taking.exception() is None:
        os.close(taking.result())


def _try_edge(size: int, tiles: TileStore) -> TileEdge | None:
    """Return the edge of a tree as published tiles have it, or None."""
    try:
        return TileEdge.load(size, lambda tile: _first_hashes(tile, tiles))
    except (LedgerTampered, ProofInvalid):
        return None


def _edge_of_full_tiles(size: int, tiles: TileStore) -> TileEdge:
    """Return the edge of a whole number of bundles, from full tiles only.

    A power cut may have torn any partial tile; full ones below the synced mark are
    safe, and what is above them follows from them.

    Raises:
        LedgerTampered: a full tile is missing.
    """

    def read(tile: Tile) -> list[bytes]:
        first = tile.index * TILE_WIDTH
        children = range(first, first + tile.width)
        return [tree_root(tiles.hashes(Tile(tile.level - 1, at))) for at in children]

    return TileEdge.load(size, read)


def _first_hashes(tile: Tile, tiles: TileStore) -> list[bytes]:
    for width in range(tile.width, TILE_WIDTH + 1):
        if tiles.read(Tile(tile.level, tile.index, width)) is not None:
            return tiles.hashes(Tile(tile.level, tile.index, width))[: tile.width]
    return []


def _reader(name: str) -> Callable[[Connection], int]:
    return lambda connection: store.mark(connection, name)


def _head_reader(size: int) -> Callable[[Connection], StoredHead | None]:
    return lambda connection: store.head_at(connection, size)


def _merged(known: SignedCheckpoint, signed: SignedCheckpoint) -> SignedCheckpoint:
    """Return a head with the signatures of both; a witness's newest line counts."""
    told = {(line.name, line.key_id) for line in signed.note.signatures}
    kept = [
        line for line in known.note.signatures if (line.name, line.key_id) not in told
    ]
    note = Note(known.note.text, (*kept, *signed.note.signatures))
    return SignedCheckpoint(known.checkpoint, note)


def _range_reader(
    start: int, stop: int
) -> Callable[[Connection], list[tuple[int, bytes]]]:
    return lambda connection: store.leaves(connection, start, stop)


def _contradiction(what: str) -> LedgerTampered:
    return LedgerTampered(
        f"no head is signed: {what}",
        hint="Run 'cortex ledger verify'; restore the ledger from a backup.",
    )
