"""The published files of the ledger by their names (c2sp.org/tlog-tiles).

A name is taken apart and put together again before any file is touched: nothing but
what the layout can name is ever read.
"""

import re
from pathlib import Path

from cortex.ledger.errors import EntryNotFound
from cortex.ledger.tiles import CHECKPOINT_PATH, TILE_WIDTH, Tile
from cortex.ledger.tilestore import TileStore

LEVEL_MAX = 63
"""Levels of tiles that the layout can name."""

_TILE = re.compile(
    r"tile/(entries|0|[1-9][0-9]?)/((?:x[0-9]{3}/){0,5}[0-9]{3})"
    r"(?:\.p/([1-9][0-9]{0,2}))?"
)


def published_file(root: Path, path: str) -> bytes:
    """Return the file of that name below the log's prefix.

    Raises:
        EntryNotFound: no such file is published.
    """
    store = TileStore(root)
    if path == CHECKPOINT_PATH:
        data = store.checkpoint()
    else:
        tile = _parse(path)
        data = None if tile is None else store.read(tile)
    if data is None:
        raise EntryNotFound("no file of that name is published")
    return data


def holds_entries(path: str) -> bool:
    """Return whether a file holds entries, those of all tenants, and not hashes."""
    return path.startswith("tile/entries/")


def _parse(path: str) -> Tile | None:
    match = _TILE.fullmatch(path)
    if match is None:
        return None
    level = -1 if match[1] == "entries" else int(match[1])
    index = int(match[2].replace("x", "").replace("/", ""))
    width = TILE_WIDTH if match[3] is None else int(match[3])
    tile = Tile(level, index, width)
    named_once = tile.path() == path
    return tile if named_once and level <= LEVEL_MAX else None
