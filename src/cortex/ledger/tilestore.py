"""Tiles and bundles as files, in the layout that any tlog-tiles client reads."""

import shutil
import threading
from collections import OrderedDict
from pathlib import Path

from cortex.ledger.errors import LedgerTampered
from cortex.ledger.files import read_file, sync_file, write_file
from cortex.ledger.merkle import HASH_BYTES, subtree_layers
from cortex.ledger.tiles import (
    CHECKPOINT_PATH,
    TILE_WIDTH,
    Tile,
    bundle,
    decode_bundle,
    decode_tile,
    full_tiles_between,
    tile_node,
    width_at,
)
from cortex.storage.connections import sync_directory

TILES_CACHED = 1_024
"""Tiles kept in memory with the nodes above their hashes: 1 024 x 16 KiB, the upper
levels and the quarter of a million entries that were asked for lately."""


class TileStore:
    """Reads and writes the files below one log's prefix.

    Files are written without waiting for the disk, because they can be made again
    from the hot store; ``settle`` makes full ones durable before anything relies on
    them.
    """

    def __init__(self, root: Path) -> None:
        """Take the folder; it is made at the first write."""
        self.root = root
        self._cache: OrderedDict[Tile, list[bytes]] = OrderedDict()
        self._lock = threading.Lock()
        self._partial_at: dict[int, Tile] = {}

    def write(self, tile: Tile, data: bytes) -> None:
        """Write a tile or bundle; a full one replaces its partial forerunners."""
        path = self.root / tile.path()
        if tile.width < TILE_WIDTH and tile.level > 0:
            if self._partial_at.get(tile.level) == tile:
                return
            self._partial_at[tile.level] = tile
        write_file(path, data, sync=False)
        with self._lock:
            self._cache.pop(tile, None)
        if tile.width == TILE_WIDTH:
            partials = path.with_name(f"{path.name}.p")
            shutil.rmtree(partials, ignore_errors=True)

    def read(self, tile: Tile) -> bytes | None:
        """Return a file as it is, or None."""
        return read_file(self.root / tile.path())

    def hashes(self, tile: Tile) -> list[bytes]:
        """Return the hashes of a tile; a full tile also serves a partial's name.

        Raises:
            LedgerTampered: it is missing or has the wrong length.
        """
        data = self._layers(tile)[0]
        return decode_tile(data[: tile.width * HASH_BYTES], tile.width)

    def node(self, size: int, level: int, index: int) -> bytes:
        """Return the hash of a complete subtree within the published ``size``."""
        return tile_node(size, self._layers, level, index)

    def entries(self, index: int, size: int) -> list[bytes] | None:
        """Return the entries of a bundle in a log of ``size``; None: it is not here.

        Raises:
            ProofInvalid: the bundle is malformed.
        """
        width = width_at(0, index, size)
        for candidate in (width, TILE_WIDTH):
            data = self.read(bundle(index, candidate))
            if data is not None:
                return decode_bundle(data, candidate)[:width]
        return None

    def drop_bundle(self, index: int) -> None:
        """Delete a full bundle that lies in the archive by now."""
        (self.root / bundle(index).path()).unlink(missing_ok=True)

    def show_checkpoint(self, note: bytes) -> None:
        """Replace the published checkpoint, durably."""
        if self.checkpoint() != note:
            write_file(self.root / CHECKPOINT_PATH, note)

    def checkpoint(self) -> bytes | None:
        """Return the published checkpoint as it lies there."""
        return read_file(self.root / CHECKPOINT_PATH)

    def settle(self, start: int, stop: int) -> None:
        """Make the full tiles and bundles of ``[start, stop)`` survive a power cut.

        Partial ones are made again from full ones and from the hot store. Whichever
        process wrote a file, it is synced here.
        """
        folders: set[Path] = set()
        for tile in full_tiles_between(start, stop):
            path = self.root / tile.path()
            if path.exists():
                sync_file(path)
                folders.update(p for p in path.parents if p.is_relative_to(self.root))
        for folder in sorted(folders, reverse=True):
            sync_directory(folder)

    def _layers(self, tile: Tile) -> list[bytes]:
        """Return the layers of a tile, or of the full one that replaced it."""
        with self._lock:
            known = self._cache.get(tile)
            if known is not None:
                self._cache.move_to_end(tile)
                return known
        data = self.read(tile)
        if data is None and tile.width < TILE_WIDTH:
            return self._layers(Tile(tile.level, tile.index))
        if data is None or len(data) != tile.width * HASH_BYTES:
            message = f"the tile {tile.path()} is missing or has the wrong length"
            raise LedgerTampered(message, hint="Run: cortex ledger verify")
        layers = subtree_layers(data)
        with self._lock:
            self._cache[tile] = layers
            if len(self._cache) > TILES_CACHED:
                self._cache.popitem(last=False)
        return layers
