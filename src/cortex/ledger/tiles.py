"""The static layout of a log (c2sp.org/tlog-tiles): tiles, bundles, paths (pure).

A tile holds up to 256 hashes of one level of the tree, a bundle up to 256 entries.
Full ones never change; the partial ones at the right edge are written anew, under
their own name, for every published size.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from cortex.foundation.errors import PayloadTooLarge
from cortex.ledger.errors import ProofInvalid
from cortex.ledger.merkle import EMPTY_ROOT, HASH_BYTES, CompactRange, tree_root

TILE_HEIGHT = 8
TILE_WIDTH = 1 << TILE_HEIGHT
"""Hashes in a full tile and entries in a full bundle."""

ENTRY_BYTES_MAX = 0xFFFF
"""Bytes of one entry: a bundle prefixes each with a 16-bit length."""

CHECKPOINT_PATH = "checkpoint"
ENTRIES = "entries"

_GROUP = 1000
_LENGTH_BYTES = 2


@dataclass(frozen=True, slots=True)
class Tile:
    """The name of a tile or bundle.

    Attributes:
        level: tile level, 0 for leaf hashes; -1 for an entry bundle.
        index: place within its level.
        width: hashes or entries it holds, 1..256.
    """

    level: int
    index: int
    width: int = TILE_WIDTH

    def path(self) -> str:
        """Return the path below the log's prefix."""
        level = ENTRIES if self.level < 0 else str(self.level)
        suffix = "" if self.width == TILE_WIDTH else f".p/{self.width}"
        return f"tile/{level}/{index_path(self.index)}{suffix}"


def index_path(index: int) -> str:
    """Return an index as path elements of three digits: 1234067 → x001/x234/067."""
    path = f"{index % _GROUP:03}"
    while index >= _GROUP:
        index //= _GROUP
        path = f"x{index % _GROUP:03}/{path}"
    return path


def bundle(index: int, width: int = TILE_WIDTH) -> Tile:
    """Return the name of an entry bundle."""
    return Tile(-1, index, width)


def tiles_of(size: int) -> Iterator[Tile]:
    """Yield every hash tile that a tree of ``size`` consists of, lowest first."""
    level, count = 0, size
    while count:
        full, rest = divmod(count, TILE_WIDTH)
        yield from (Tile(level, index) for index in range(full))
        if rest:
            yield Tile(level, full, rest)
        level, count = level + 1, full


def full_tiles_between(start: int, stop: int) -> Iterator[Tile]:
    """Yield the bundles and tiles that become full as a tree grows between sizes."""
    yield from (
        bundle(index) for index in range(start // TILE_WIDTH, stop // TILE_WIDTH)
    )
    level = 0
    while stop := stop // TILE_WIDTH:
        start //= TILE_WIDTH
        yield from (Tile(level, index) for index in range(start, stop))
        level += 1


def width_at(level: int, index: int, size: int) -> int:
    """Return how many hashes a tile has in a tree of ``size`` (0: there is none)."""
    count = size >> (TILE_HEIGHT * max(level, 0))
    return max(0, min(TILE_WIDTH, count - index * TILE_WIDTH))


def encode_bundle(entries: Iterable[bytes]) -> bytes:
    """Return entries as a bundle.

    Raises:
        PayloadTooLarge: an entry is longer than a bundle can say.
    """
    parts = []
    for entry in entries:
        if len(entry) > ENTRY_BYTES_MAX:
            message = f"an entry has at most {ENTRY_BYTES_MAX} bytes"
            raise PayloadTooLarge(message, field="entry", limit=ENTRY_BYTES_MAX)
        parts.append(len(entry).to_bytes(_LENGTH_BYTES, "big"))
        parts.append(entry)
    return b"".join(parts)


def decode_bundle(data: bytes, width: int) -> list[bytes]:
    """Read the ``width`` entries of a bundle.

    Raises:
        ProofInvalid: the bytes end early or go on after the last entry.
    """
    entries = []
    position = 0
    for _ in range(width):
        end = position + _LENGTH_BYTES
        length = int.from_bytes(data[position:end], "big")
        position = end + length
        if position > len(data):
            raise ProofInvalid("the bundle ends within an entry", field="bundle")
        entries.append(data[end:position])
    if position != len(data):
        raise ProofInvalid("the bundle goes on after its entries", field="bundle")
    return entries


def decode_tile(data: bytes, width: int) -> list[bytes]:
    """Read the ``width`` hashes of a tile.

    Raises:
        ProofInvalid: the length is not that of so many hashes.
    """
    if len(data) != width * HASH_BYTES:
        message = f"a tile of {width} hashes has {width * HASH_BYTES} bytes"
        raise ProofInvalid(message, field="tile")
    return [data[at : at + HASH_BYTES] for at in range(0, len(data), HASH_BYTES)]


class TileEdge:
    """The right edge of the tiled tree: the partial tile of every level.

    Appending leaf hashes hands out each tile that becomes full, in order.
    """

    __slots__ = ("_levels", "size")

    def __init__(self) -> None:
        """Start with the empty tree."""
        self._levels: list[list[bytes]] = [[]]
        self.size = 0

    @classmethod
    def load(cls, size: int, tile: Callable[[Tile], list[bytes]]) -> "TileEdge":
        """Return the edge of a stored tree, reading one tile a level.

        Raises:
            ProofInvalid: a tile does not have the width that the size demands.
        """
        edge = cls()
        edge.size = size
        edge._levels = []
        count = size
        while count or not edge._levels:
            full, width = divmod(count, TILE_WIDTH)
            name = Tile(len(edge._levels), full, width)
            hashes = tile(name) if width else []
            if len(hashes) != width:
                message = f"the tile {name.path()} should hold {width} hashes"
                raise ProofInvalid(message, field="tile")
            edge._levels.append(hashes)
            count = full
        return edge

    def extend(self, hashes: Iterable[bytes]) -> list[tuple[Tile, bytes]]:
        """Append leaf hashes; return the tiles that became full, with their bytes."""
        full: list[tuple[Tile, bytes]] = []
        lowest = self._levels[0]
        for item in hashes:
            lowest.append(item)
            self.size += 1
            if len(lowest) == TILE_WIDTH:
                self._carry(full)
        return full

    def _carry(self, full: list[tuple[Tile, bytes]]) -> None:
        level = 0
        while len(self._levels[level]) == TILE_WIDTH:
            hashes = self._levels[level]
            count = self.size >> (TILE_HEIGHT * (level + 1))
            full.append((Tile(level, count - 1), b"".join(hashes)))
            root = tree_root(hashes)
            hashes.clear()
            level += 1
            if level == len(self._levels):
                self._levels.append([])
            self._levels[level].append(root)

    @property
    def lowest(self) -> list[bytes]:
        """Return the leaf hashes of the partial tile at the lowest level."""
        return list(self._levels[0])

    def partials(self) -> list[tuple[Tile, bytes]]:
        """Return the partial tiles of the present size, with their bytes."""
        return [
            (
                Tile(level, self.size >> (TILE_HEIGHT * (level + 1)), len(hashes)),
                b"".join(hashes),
            )
            for level, hashes in enumerate(self._levels)
            if hashes
        ]

    def root(self) -> bytes:
        """Return the root of the tree."""
        if self.size == 0:
            return EMPTY_ROOT
        return self.compact().root()

    def compact(self) -> CompactRange:
        """Return the same tree as a compact range."""
        peaks: list[bytes] = []
        for hashes in reversed(self._levels):
            start = 0
            for bit in range(TILE_HEIGHT - 1, -1, -1):
                if len(hashes) >> bit & 1:
                    peaks.append(tree_root(hashes[start : start + (1 << bit)]))
                    start += 1 << bit
        return CompactRange(self.size, peaks)


def tile_node(
    size: int, read: Callable[[Tile], Sequence[bytes]], level: int, index: int
) -> bytes:
    """Return the hash of a complete subtree of a tree of ``size`` from its tiles.

    ``read`` gives the layers of a tile (``subtree_layers``) and is asked for one tile.

    Raises:
        ProofInvalid: the tile is too short.
    """
    tile_level, within = divmod(level, TILE_HEIGHT)
    number, place = divmod(index << within, TILE_WIDTH)
    width = width_at(tile_level, number, size)
    layers = read(Tile(tile_level, number, width))
    at = (place >> within) * HASH_BYTES
    if len(layers) <= within or len(layers[within]) <= at:
        message = f"tile {number} of level {tile_level} is too short"
        raise ProofInvalid(message, field="tile")
    return layers[within][at : at + HASH_BYTES]
