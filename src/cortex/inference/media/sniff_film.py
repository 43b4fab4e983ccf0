"""Walks the structure of films: MP4 and QuickTime, WebM and Matroska.

Formats: ISO base media (ISO 14496-12), Matroska (RFC 9559) over EBML (RFC 8794).
Both also carry recordings without a picture.
"""

from collections.abc import Iterator
from typing import Final

from cortex.inference.media.errors import BrokenMedia
from cortex.inference.media.kinds import MediaKind, Sniffed
from cortex.inference.media.structure import Cursor, Walked

_BOXES_MAX: Final = 100_000
_SEGMENT: Final = 0x18538067
_TRACKS: Final = 0x1654AE6B
_TRACK: Final = 0xAE
_TRACK_TYPE: Final = 0x83
_CLUSTER: Final = 0x1F43B675
_DOCTYPE: Final = 0x4282
_VIDEO_TRACK: Final = 1
_MOVIE_HEADER_64: Final = 1


def walk_mp4(at: Cursor) -> Walked:
    """Follow the top boxes to the end; the movie box tells tracks and length."""
    brand = b""
    moov: tuple[int, int] | None = None
    has_data = False
    for name, start, end in _boxes(at, None):
        if name == b"ftyp":
            brand = Cursor(at.content, start).take(4)
        elif name == b"moov":
            moov = (start, end)
        has_data |= name == b"mdat"
    if moov is None or not has_data:
        message = "the MP4 file has no index or no data"
        hint = "It was cut short on its way: send it again."
        raise BrokenMedia(message, hint=hint, field="file")
    seconds, has_picture = _movie(at, *moov)
    if not has_picture:
        sniffed = Sniffed(MediaKind.AUDIO, "audio/mp4", "mp4", seconds=seconds)
    else:
        mime = "video/quicktime" if brand == b"qt  " else "video/mp4"
        sniffed = Sniffed(MediaKind.VIDEO, mime, "mp4", seconds=seconds)
    return Walked(sniffed, at.place)


def _boxes(at: Cursor, limit: int | None) -> Iterator[tuple[bytes, int, int]]:
    """Yield the boxes as (name, start of content, end)."""
    for _ in range(_BOXES_MAX):
        if at.at_end or (limit is not None and at.place + 8 > limit):
            return
        begin = at.place
        size, name = at.number(4), at.take(4)
        if not name.replace(b"\xa9", b"").strip().isalnum():
            if limit is None and begin:
                at.place = begin  # what follows is no box: it lies behind the file
                return
            message = "the MP4 file has a box that does not exist"
            raise BrokenMedia(message, field="file")
        if size == 1:
            size = at.number(8)
        end = at.size if size == 0 else begin + size
        if end < at.place or (limit is not None and end > limit):
            message = "the MP4 file has a box of impossible length"
            raise BrokenMedia(message, field="file")
        at.require(end)
        yield name, at.place, end
        at.place = end


def _movie(at: Cursor, start: int, end: int) -> tuple[float | None, bool]:
    """Return the seconds of a movie box, and whether a track is a picture."""
    seconds: float | None = None
    has_picture = False
    for name, inner, stop in _boxes(Cursor(at.content, start), end):
        if name == b"mvhd":
            seconds = _movie_seconds(Cursor(at.content, inner))
        elif name == b"trak":
            has_picture |= _is_picture(at, inner, stop)
    return seconds, has_picture


def _movie_seconds(at: Cursor) -> float | None:
    wide = at.number(4) >> 24 == _MOVIE_HEADER_64
    at.skip(16 if wide else 8)
    scale, length = at.number(4), at.number(8 if wide else 4)
    return length / scale if scale else None


def _is_picture(at: Cursor, start: int, end: int) -> bool:
    for name, inner, stop in _boxes(Cursor(at.content, start), end):
        if name != b"mdia":
            continue
        for leaf, place, _ in _boxes(Cursor(at.content, inner), stop):
            if leaf == b"hdlr":
                return Cursor(at.content, place + 8).take(4) == b"vide"
    return False


def walk_matroska(at: Cursor) -> Walked:
    """Read the header and the tracks; clusters are passed over."""
    at.skip(4)
    end = _vint(at) + at.place
    doctype = b""
    for name, start, stop in _elements(at, end):
        if name == _DOCTYPE:
            doctype = Cursor(at.content, start).take(stop - start).rstrip(b"\0")
    at.place = end
    if doctype not in {b"webm", b"matroska"} or at.number(4) != _SEGMENT:
        message = "the Matroska file has no film in it"
        raise BrokenMedia(message, field="file")
    length = _vint(at)
    # A live recording does not know its length: all bits are set.
    stop = at.size if length < 0 else at.place + length
    at.require(stop)
    has_picture = _has_picture(at, stop)
    kind = MediaKind.VIDEO if has_picture else MediaKind.AUDIO
    ending = "webm" if doctype == b"webm" else "x-matroska"
    return Walked(Sniffed(kind, f"{kind.value}/{ending}", "matroska"), stop)


def _has_picture(at: Cursor, end: int) -> bool:
    for name, start, stop in _elements(at, end):
        if name == _TRACKS:
            return any(
                leaf == _TRACK_TYPE
                and Cursor(at.content, place).number(1) == _VIDEO_TRACK
                for entry, inner, until in _elements(Cursor(at.content, start), stop)
                if entry == _TRACK
                for leaf, place, _ in _elements(Cursor(at.content, inner), until)
            )
        if name == _CLUSTER:
            break
    message = "the Matroska file does not say what is in it"
    raise BrokenMedia(message, field="file")


def _elements(at: Cursor, end: int) -> Iterator[tuple[int, int, int]]:
    for _ in range(_BOXES_MAX):
        if at.place >= end:
            return
        name = _vint(at, marked=True)
        length = _vint(at)
        stop = end if length < 0 else at.place + length
        if stop > end:
            message = "the Matroska file has an element of impossible length"
            raise BrokenMedia(message, field="file")
        yield name, at.place, stop
        at.place = stop


def _vint(at: Cursor, *, marked: bool = False) -> int:
    """Return a number of variable length; -1 for 'unknown'."""
    first = at.number(1)
    if not first:
        message = "the Matroska file has a number that is too long"
        raise BrokenMedia(message, field="file")
    more = 8 - first.bit_length()
    value = first << 8 * more | int.from_bytes(at.take(more), "big")
    if marked:
        return value
    bits = 7 * (more + 1)
    value &= (1 << bits) - 1
    return -1 if value == (1 << bits) - 1 else value
