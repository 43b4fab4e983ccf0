"""What a file is by its own bytes, and whether it is only that.

The type is found by magic number and then by walking the structure to the end, so
that a file that is cut short, that claims more pixels or seconds than anybody reads,
or that is a second file as well, is refused before a decoder sees it.
"""

import re
from collections.abc import Callable
from typing import Final

from cortex.foundation.errors import PayloadTooLarge
from cortex.inference.media.errors import (
    BrokenMedia,
    InvalidModality,
    SecurityViolation,
    UnreadFormat,
)
from cortex.inference.media.kinds import (
    BYTES_MAX,
    IMAGE_PIXELS_MAX,
    SECONDS_MAX,
    SIDE_PIXELS_MAX,
    MediaKind,
    Sniffed,
)
from cortex.inference.media.sniff_film import walk_matroska, walk_mp4
from cortex.inference.media.sniff_images import (
    GIFS,
    JPEG,
    PNG,
    walk_gif,
    walk_jpeg,
    walk_png,
    walk_webp,
)
from cortex.inference.media.sniff_sound import (
    is_mp3_frame,
    walk_flac,
    walk_mp3,
    walk_ogg,
    walk_wav,
)
from cortex.inference.media.structure import Content, Cursor, Walked

READ_FORMATS: Final = (
    "PNG, JPEG, GIF, WebP; WAV, FLAC, MP3, Ogg, M4A; MP4, QuickTime, WebM, Matroska; "
    "UTF-8 text"
)
"""What is read, for people."""

SAME_TYPES: Final = {
    "image/jpg": "image/jpeg",
    "image/pjpeg": "image/jpeg",
    "image/x-png": "image/png",
    "audio/x-wav": "audio/wav",
    "audio/wave": "audio/wav",
    "audio/vnd.wave": "audio/wav",
    "audio/x-flac": "audio/flac",
    "audio/mp3": "audio/mpeg",
    "audio/x-mpeg": "audio/mpeg",
    "audio/opus": "audio/ogg",
    "application/ogg": "audio/ogg",
    "audio/m4a": "audio/mp4",
    "audio/x-m4a": "audio/mp4",
    "video/x-m4v": "video/mp4",
    "application/mp4": "video/mp4",
}
"""Other names of types, as browsers and programs send them."""

UNDECLARED: Final = frozenset({"", "application/octet-stream", "binary/octet-stream"})
"""Declared types that say nothing."""

_HEAD_BYTES: Final = 65_536
_PDF_BYTES: Final = 1_024
_ZIP_END: Final = b"PK\x05\x06"
_ZIP_END_BYTES: Final = 22
_ZIP_ENTRY: Final = b"PK\x01\x02"
_ZIP_COMMENT_MAX: Final = 65_535
_SCRIPTS: Final = re.compile(rb"<script|<\?php|<!doctype html|<html", re.IGNORECASE)
_FOREIGN: Final = (
    b"PK\x03\x04", b"%PDF-", b"\x7fELF", b"MZ\x90\x00", b"Rar!\x1a", b"7z\xbc\xaf",
    b"#!/", b"\xca\xfe\xba\xbe",
)  # fmt: skip
_CONTROLS: Final = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")


def sniff(content: Content) -> Sniffed:
    """Return what the bytes are.

    Raises:
        UnreadFormat: none of the formats that are read here.
        BrokenMedia: cut short, or against its own rules.
        SecurityViolation: two files in one, or a bomb.
        PayloadTooLarge: more bytes, pixels or seconds than are read.
    """
    if not len(content):
        message = "the file is empty"
        raise BrokenMedia(message, field="file")
    walk = _walker(bytes(content[:64]))
    if walk is None:
        return _text(content)
    walked = walk(Cursor(content))
    _refuse_second_file(content, walked.end)
    check_size(walked.sniffed, len(content))
    return walked.sniffed


def check_declared(found: Sniffed, kind: MediaKind, declared: str) -> None:
    """Compare what the bytes are with what the caller said they are.

    Raises:
        InvalidModality: the modality is another.
        SecurityViolation: the declared type is another.
    """
    if found.kind is not kind:
        message = f"the file is {found.mime_type}, which is not of modality {kind.name}"
        hint = f"Send it with modality {found.kind.name}."
        raise InvalidModality(message, hint=hint, field="modality")
    plain = declared.partition(";")[0].strip().lower()
    plain = SAME_TYPES.get(plain, plain)
    text = found.kind is MediaKind.TEXT and plain.startswith("text/")
    if plain in UNDECLARED or plain == found.mime_type or text:
        return
    message = f"the file is {found.mime_type} and not what it is declared to be"
    hint = f"Declare it as {found.mime_type}, or as application/octet-stream."
    raise SecurityViolation(message, hint=hint, field="file")


def check_size(found: Sniffed, size: int) -> None:
    """Raise ``PayloadTooLarge`` or ``SecurityViolation`` for what is too much."""
    limit = BYTES_MAX[found.kind]
    if size > limit:
        message = f"a file of modality {found.kind.name} may have {limit} bytes"
        raise PayloadTooLarge(message, field="file", limit=limit)
    pixels = found.width * found.height
    if pixels > IMAGE_PIXELS_MAX or max(found.width, found.height) > SIDE_PIXELS_MAX:
        message = f"the picture would have {found.width} x {found.height} pixels"
        hint = f"At most {IMAGE_PIXELS_MAX} pixels are decoded."
        raise SecurityViolation(
            message, hint=hint, field="file", limit=IMAGE_PIXELS_MAX
        )
    if found.seconds is not None and found.seconds > SECONDS_MAX:
        message = (
            f"it lasts {found.seconds:.0f} s; at most {SECONDS_MAX:.0f} s are read"
        )
        raise PayloadTooLarge(message, field="file", limit=SECONDS_MAX)


def _walker(head: bytes) -> Callable[[Cursor], Walked] | None:
    for magic, walk in (
        (PNG, walk_png),
        (JPEG, walk_jpeg),
        (GIFS[0], walk_gif),
        (GIFS[1], walk_gif),
        (b"fLaC", walk_flac),
        (b"OggS", walk_ogg),
        (b"ID3", walk_mp3),
        (b"\x1a\x45\xdf\xa3", walk_matroska),
    ):
        if head.startswith(magic):
            return walk
    if head[:4] == b"RIFF":
        return {b"WEBP": walk_webp, b"WAVE": walk_wav}.get(head[8:12])
    if head[4:8] == b"ftyp":
        return walk_mp4
    return walk_mp3 if is_mp3_frame(head[:4]) else None


def _refuse_second_file(content: Content, end: int) -> None:
    """Refuse what is a picture or a sound and something else as well."""
    tail = bytes(content[end:]) if 0 <= end < len(content) else b""
    head = bytes(content[:_HEAD_BYTES])
    hidden = (
        _has_archive(content)
        or b"%PDF-" in head[:_PDF_BYTES]
        or _SCRIPTS.search(head) is not None
        or _SCRIPTS.search(tail) is not None
        or any(magic in tail for magic in _FOREIGN)
    )
    if hidden:
        message = "the file holds a second file of another type"
        hint = "Save it again with an ordinary program, which leaves that out."
        raise SecurityViolation(message, hint=hint, field="file")


def _has_archive(content: Content) -> bool:
    """Tell whether an unpacker would find a ZIP archive in it."""
    place = len(content)
    first = max(0, place - _ZIP_COMMENT_MAX - _ZIP_END_BYTES)
    while (place := content.rfind(_ZIP_END, first, place)) >= 0:
        end = bytes(content[place : place + _ZIP_END_BYTES])
        start = place - int.from_bytes(end[12:16], "little")
        if start >= 0 and content[start : start + 4] == _ZIP_ENTRY:
            return True
    return False


def _text(content: Content) -> Sniffed:
    """Return that it is text, if it is."""
    sniffed = Sniffed(MediaKind.TEXT, "text/plain", "text")
    raw = bytes(content[: BYTES_MAX[MediaKind.TEXT] + 1])
    if not _CONTROLS.search(raw[:_HEAD_BYTES]):
        check_size(sniffed, len(content))
        check_text_bytes(raw)
        return sniffed
    message = "the file's format is not one that is read here"
    raise UnreadFormat(message, hint=f"Read are {READ_FORMATS}.", field="file")


def check_text_bytes(raw: bytes) -> None:
    """Raise unless the bytes are UTF-8 without control characters."""
    try:
        raw.decode()
    except UnicodeDecodeError:
        message = "the file is neither UTF-8 text nor any format that is read here"
        hint = f"Read are {READ_FORMATS}."
        raise UnreadFormat(message, hint=hint, field="file") from None
    if _CONTROLS.search(raw):
        message = "the text holds control characters"
        raise BrokenMedia(message, field="file")
