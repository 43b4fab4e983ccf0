"""Which bytes of a SQLite page are in use by nobody (SQLite file format, sections 1-2).

SQLite's ``secure_delete`` overwrites what is deleted, but not the copies that a page
keeps of rows that moved to a neighbour when the tree was balanced: they stay in the gap
between the cell pointers and the cells. A row that moved and was deleted later would
survive there. The functions here find such gaps; they only read bytes given to them.
"""

from collections.abc import Iterator
from dataclasses import dataclass

HEADER_BYTES = 100
"""Bytes of the file header, at the start of page 1."""

_MAGIC = b"SQLite format 3\x00"
_PENDING_BYTE = 0x4000_0000
_LARGEST_PAGE = 65_536
_ZEROS = bytes(_LARGEST_PAGE)
_INTERIOR = frozenset({2, 5})
_LEAF = frozenset({10, 13})
_MAP_ENTRY_BYTES = 5
_FREE_BLOCK_HEADER_BYTES = 4


@dataclass(frozen=True, slots=True)
class Layout:
    """How a file is cut into pages.

    Attributes:
        page_bytes: size of each page.
        usable_bytes: of these, what SQLite uses.
        has_map: whether pages of back pointers are strewn in (auto-vacuum).
    """

    page_bytes: int
    usable_bytes: int
    has_map: bool

    @classmethod
    def of(cls, header: bytes) -> "Layout | None":
        """Read the file header; None when it is not one."""
        if len(header) < HEADER_BYTES or not header.startswith(_MAGIC):
            return None
        size = int.from_bytes(header[16:18], "big")
        page_bytes = _LARGEST_PAGE if size == 1 else size
        has_map = any(header[52:56])
        return cls(page_bytes, page_bytes - header[20], has_map)

    def is_tree(self, number: int, kind: int) -> bool:
        """Return whether a page, numbered from 1, is a node of a table or index.

        Overflow and free pages begin with a page number, whose first byte reaches
        the values of ``kind`` only in files beyond 128 GiB.
        """
        if kind not in _INTERIOR and kind not in _LEAF:
            return False
        pending = _PENDING_BYTE // self.page_bytes + 1
        if number == pending:
            return False
        return not (self.has_map and number == self._map_page(number, pending))

    def _map_page(self, number: int, pending: int) -> int:
        if number < 2:  # noqa: PLR2004 - page 1 comes before the first map page
            return 0
        span = self.usable_bytes // _MAP_ENTRY_BYTES + 1
        found = (number - 2) // span * span + 2
        return found + 1 if found == pending else found


def slack(page: bytes, number: int, layout: Layout) -> list[tuple[int, int]]:
    """Return the unused byte ranges (from, to) of a tree page; none for other pages.

    None as well for a page that does not add up: it is left alone.
    """
    start = HEADER_BYTES if number == 1 else 0
    kind = page[start]
    if not layout.is_tree(number, kind):
        return []
    cells = int.from_bytes(page[start + 3 : start + 5], "big")
    content = int.from_bytes(page[start + 5 : start + 7], "big") or _LARGEST_PAGE
    pointers = start + (12 if kind in _INTERIOR else 8) + 2 * cells
    if not pointers <= content <= layout.usable_bytes:
        return []
    ranges = [(pointers, content)]
    ranges.extend(_free_blocks(page, start, content, layout.usable_bytes))
    return [(low, high) for low, high in ranges if low < high]


def _free_blocks(
    page: bytes, start: int, content: int, usable: int
) -> Iterator[tuple[int, int]]:
    block = int.from_bytes(page[start + 1 : start + 3], "big")
    while content <= block <= usable - _FREE_BLOCK_HEADER_BYTES:
        following = int.from_bytes(page[block : block + 2], "big")
        size = int.from_bytes(page[block + 2 : block + 4], "big")
        if block + size > usable:
            return
        yield block + _FREE_BLOCK_HEADER_BYTES, block + size
        if following <= block:
            return
        block = following


def is_dirty(page: bytes, number: int, layout: Layout) -> bool:
    """Return whether an unused range of the page holds anything but zeros."""
    return any(
        page[low:high] != _ZEROS[: high - low]
        for low, high in slack(page, number, layout)
    )


def wiped(page: bytes, number: int, layout: Layout) -> bytes:
    """Return the page with zeros in its unused ranges."""
    clean = bytearray(page)
    for low, high in slack(page, number, layout):
        clean[low:high] = bytes(high - low)
    return bytes(clean)
