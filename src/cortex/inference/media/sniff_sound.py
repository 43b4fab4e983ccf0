"""Walks the structure of recordings: WAV, FLAC, MP3 and Ogg.

Formats: RIFF WAVE, FLAC (RFC 9639), MPEG audio (ISO 11172-3), Ogg (RFC 3533).
"""

from typing import Final

from cortex.inference.media.errors import BrokenMedia, UnreadFormat
from cortex.inference.media.kinds import MediaKind, Sniffed
from cortex.inference.media.structure import Cursor, Walked

_OPUS_RATE: Final = 48_000
_CHUNKS_MAX: Final = 10_000
_MP3_FRAMES_CHECKED: Final = 3
_MPEG_1: Final = 3
_RESERVED_VERSION: Final = 1
_RESERVED_RATE: Final = 3
_SYNC: Final = 0xFF
_LAYER_MASK: Final = 0xE6
_LAYER_III: Final = 0xE2
_FRAME_HEAD: Final = 4
_FLAC_HEAD_BYTES: Final = 34
_UNKNOWN_GRANULE: Final = 0xFFFF_FFFF_FFFF_FFFF
_BITRATES: Final = {
    3: (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    2: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    0: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_RATES: Final = {
    3: (44_100, 48_000, 32_000),
    2: (22_050, 24_000, 16_000),
    0: (11_025, 12_000, 8_000),
}


def _sound(mime: str, form: str, seconds: float | None, end: int) -> Walked:
    return Walked(Sniffed(MediaKind.AUDIO, mime, form, seconds=seconds), end)


def walk_wav(at: Cursor) -> Walked:
    """Follow the chunks; format and data give the length in seconds."""
    at.skip(4)
    end = 8 + at.little(4)
    at.skip(4)
    at.require(end)
    rate = 0
    for _ in range(_CHUNKS_MAX):
        if at.place + 8 > end:
            break
        name, length = at.take(4), at.little(4)
        if name == b"fmt ":
            at.skip(8)
            rate = at.little(4)
            at.skip(length - 12)
        elif name == b"data":
            at.require(at.place + length)
            if not rate:
                break
            return _sound("audio/wav", "wav", length / rate, end)
        else:
            at.skip(length + length % 2)
    message = "the WAV recording has no format or no data"
    raise BrokenMedia(message, field="file")


def walk_flac(at: Cursor) -> Walked:
    """Read the stream's description, then pass over the other blocks."""
    at.skip(4)
    head = at.number(1)
    length = at.number(3)
    if head & 0x7F or length < _FLAC_HEAD_BYTES:
        message = "the FLAC recording does not begin with its description"
        raise BrokenMedia(message, field="file")
    at.skip(10)
    packed = at.number(8)
    rate, samples = packed >> 44, packed & 0xF_FFFF_FFFF
    at.skip(length - 18)
    while not head & 0x80:
        head = at.number(1)
        at.skip(at.number(3))
    if not rate or at.peek(2)[:1] != b"\xff":
        message = "the FLAC recording has no sound in it"
        raise BrokenMedia(message, field="file")
    return _sound("audio/flac", "flac", samples / rate if samples else None, -1)


def walk_mp3(at: Cursor) -> Walked:
    """Pass over tags and check that the first frames follow one another."""
    if at.peek(3) == b"ID3":
        at.skip(6)
        size = 0
        for byte in at.take(4):
            size = size << 7 | byte & 0x7F
        at.skip(size)
        while at.peek(1) == b"\0":
            at.skip(1)
    for number in range(_MP3_FRAMES_CHECKED):
        if number and (at.at_end or at.peek(3) == b"TAG"):
            break
        at.skip(_mp3_frame_bytes(at.peek(4)))
    return _sound("audio/mpeg", "mp3", None, -1)


def is_mp3_frame(head: bytes) -> bool:
    """Tell whether four bytes may begin a frame of MPEG audio, layer III."""
    if len(head) < _FRAME_HEAD or head[0] != _SYNC:
        return False
    if head[1] & _LAYER_MASK != _LAYER_III:
        return False
    version, bitrate, rate = head[1] >> 3 & 3, head[2] >> 4, head[2] >> 2 & 3
    known = version != _RESERVED_VERSION and rate != _RESERVED_RATE
    return known and bitrate not in {0, 15}


def _mp3_frame_bytes(head: bytes) -> int:
    if not is_mp3_frame(head):
        message = "the MP3 recording's frames do not follow one another"
        raise BrokenMedia(message, field="file")
    version = head[1] >> 3 & 3
    bitrate = _BITRATES[version][head[2] >> 4] * 1000
    rate = _RATES[version][head[2] >> 2 & 3]
    return (144 if version == _MPEG_1 else 72) * bitrate // rate + (head[2] >> 1 & 1)


def walk_ogg(at: Cursor) -> Walked:
    """Follow the pages to the end; the last one tells how long it is."""
    form, rate, granule = "", 0, 0
    while at.peek(4) == b"OggS":
        at.skip(6)
        stamp = at.little(8)
        granule = granule if stamp == _UNKNOWN_GRANULE else max(granule, stamp)
        at.skip(12)
        body = sum(at.take(at.number(1)))
        if not form:
            form, rate = _ogg_codec(at.peek(16))
        at.skip(body)
    seconds = granule / rate if rate else None
    return _sound("audio/ogg", form, seconds, at.place)


def _ogg_codec(head: bytes) -> tuple[str, int]:
    if head.startswith(b"OpusHead"):
        return "opus", _OPUS_RATE
    if head.startswith(b"\x01vorbis"):
        return "vorbis", int.from_bytes(head[12:16], "little")
    message = "of Ogg, only Vorbis and Opus recordings are read"
    raise UnreadFormat(message, field="file")
