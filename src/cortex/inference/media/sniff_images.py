"""Walks the structure of pictures: PNG, JPEG, GIF and WebP, without decoding any.

Each walker returns what the file says of itself and where it ends. Formats: PNG (RFC
2083), JPEG (ITU T.81), GIF89a, WebP (RFC 9649).
"""

from typing import Final

from cortex.inference.media.errors import BrokenMedia, SecurityViolation
from cortex.inference.media.kinds import MediaKind, Sniffed
from cortex.inference.media.structure import Cursor, Walked

PNG: Final = b"\x89PNG\r\n\x1a\n"
JPEG: Final = b"\xff\xd8\xff"
GIFS: Final = (b"GIF87a", b"GIF89a")

_START_OF_FRAME: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_ALONE: Final = frozenset({0x00, 0x01, 0xFF, *range(0xD0, 0xD8)})
_FILL: Final = 0xFF
_END_OF_IMAGE: Final = 0xD9
_GIF_IMAGE: Final = 0x2C
_GIF_EXTENSION: Final = 0x21
_GIF_END: Final = 0x3B
_GIF_TABLE: Final = 0x80


def _picture(kind: str, width: int, height: int, end: int) -> Walked:
    if width < 1 or height < 1:
        message = f"the {kind.upper()} picture has no size"
        raise BrokenMedia(message, field="file")
    sniffed = Sniffed(MediaKind.IMAGE, f"image/{kind}", kind, width, height)
    return Walked(sniffed, end)


def walk_png(at: Cursor) -> Walked:
    """Follow the chunks from the header to the end."""
    at.skip(len(PNG))
    width = height = 0
    first = True
    while True:
        length, name = at.number(4), at.take(4)
        if first:
            if name != b"IHDR":
                message = "the PNG picture has no header"
                raise BrokenMedia(message, field="file")
            width, height = at.number(4), at.number(4)
            at.skip(length - 8)
            first = False
        else:
            at.skip(length)
        at.skip(4)
        if name == b"IEND":
            return _picture("png", width, height, at.place)


def walk_jpeg(at: Cursor) -> Walked:
    """Follow the segments and the scans between them to the end mark."""
    at.skip(2)
    width = height = 0
    while True:
        mark = _next_mark(at)
        if mark == _END_OF_IMAGE:
            return _picture("jpeg", width, height, at.place)
        length = at.number(2)
        if mark in _START_OF_FRAME:
            at.skip(1)
            height, width = at.number(2), at.number(2)
            at.skip(length - 7)
        else:
            at.skip(length - 2)


def _next_mark(at: Cursor) -> int:
    """Return the next mark; compressed data before it is passed over."""
    while True:
        at.seek_byte(0xFF)
        mark = at.number(1)
        if mark not in _ALONE:
            return mark
        if mark == _FILL:  # fill bytes may stand before a mark
            at.skip(-1)


def walk_gif(at: Cursor) -> Walked:
    """Follow the blocks to the trailer."""
    at.skip(6)
    if at.peek(2) == b"/*":
        message = "the GIF picture is a script as well"
        raise SecurityViolation(message, field="file")
    width, height = at.little(2), at.little(2)
    _color_table(at, at.number(1), skipped=2)
    while True:
        block = at.number(1)
        if block == _GIF_END:
            return _picture("gif", width, height, at.place)
        if block == _GIF_EXTENSION:
            at.skip(1)
        elif block == _GIF_IMAGE:
            at.skip(4)
            width, height = max(width, at.little(2)), max(height, at.little(2))
            _color_table(at, at.number(1), skipped=1)
        else:
            message = "the GIF picture has a block that does not exist"
            raise BrokenMedia(message, field="file")
        while length := at.number(1):
            at.skip(length)


def _color_table(at: Cursor, flags: int, skipped: int) -> None:
    at.skip(skipped)
    if flags & _GIF_TABLE:
        at.skip(3 << (flags & 7) + 1)


def walk_webp(at: Cursor) -> Walked:
    """Read the size from the first chunk; the RIFF length says where it ends."""
    at.skip(4)
    end = 8 + at.little(4)
    at.skip(4)
    at.require(end)
    name = at.take(4)
    at.skip(4)
    if name == b"VP8X":
        at.skip(4)
        width, height = at.little(3) + 1, at.little(3) + 1
    elif name == b"VP8L":
        at.skip(1)
        bits = at.little(4)
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    elif name == b"VP8 ":
        at.skip(6)
        width, height = at.little(2) & 0x3FFF, at.little(2) & 0x3FFF
    else:
        message = "the WebP picture has no image in it"
        raise BrokenMedia(message, field="file")
    return _picture("webp", width, height, end)
