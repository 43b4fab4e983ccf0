"""Files are what their bytes say, whole, alone, and of a size that can be decoded."""

import io
import struct
import wave
import zipfile
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from cortex.foundation.errors import PayloadTooLarge, ValidationError
from cortex.inference.media.errors import (
    BrokenMedia,
    InvalidModality,
    SecurityViolation,
    UnreadFormat,
)
from cortex.inference.media.kinds import MediaKind
from cortex.inference.media.sniffing import check_declared, sniff

MEDIA = Path(__file__).parents[2] / "data" / "media"


def picture(form: str, **options: object) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (40, 30), "red").save(file, form, **options)
    return file.getvalue()


def recording(seconds: float = 0.1) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setparams((1, 2, 8000, 0, "NONE", ""))
        out.writeframes(bytes(int(seconds * 8000) * 2))
    return file.getvalue()


def archive() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as packed:
        packed.writestr("run.py", "print('hello')")
    return file.getvalue()


def atom(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body) + 8) + name + body


def png_of(width: int, height: int) -> bytes:
    def chunk(name: bytes, body: bytes) -> bytes:
        crc = struct.pack(">I", zlib.crc32(name + body))
        return struct.pack(">I", len(body)) + name + body + crc

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(bytes(100)))
        + chunk(b"IEND", b"")
    )


WHOLE = {
    "png": picture("png"),
    "jpeg": picture("jpeg"),
    "progressive": picture("jpeg", progressive=True),
    "gif": picture("gif"),
    "webp": picture("webp"),
    "lossless": picture("webp", lossless=True),
    "wav": recording(),
    "mp3": (MEDIA / "leisure.mp3").read_bytes(),
    "flac": (MEDIA / "amiable.flac").read_bytes(),
    "mp4": (MEDIA / "film.mp4").read_bytes(),
}


@pytest.mark.parametrize(
    ("name", "mime_type"),
    [
        ("png", "image/png"),
        ("jpeg", "image/jpeg"),
        ("progressive", "image/jpeg"),
        ("gif", "image/gif"),
        ("webp", "image/webp"),
        ("lossless", "image/webp"),
        ("wav", "audio/wav"),
        ("mp3", "audio/mpeg"),
        ("flac", "audio/flac"),
        ("mp4", "video/mp4"),
    ],
)
def test_each_format_is_known_by_its_bytes(name: str, mime_type: str) -> None:
    found = sniff(WHOLE[name])
    assert found.mime_type == mime_type
    if found.kind is MediaKind.IMAGE:
        assert (found.width, found.height) == (40, 30)


def test_lengths_are_read_from_headers() -> None:
    assert sniff(recording(2.0)).seconds == pytest.approx(2.0)
    assert sniff(WHOLE["flac"]).seconds == pytest.approx(3.3, abs=0.1)
    assert sniff(WHOLE["mp4"]).seconds == pytest.approx(3.4, abs=0.2)


@pytest.mark.parametrize("name", ["png", "jpeg", "gif", "webp", "wav", "mp4"])
def test_a_file_cut_short_anywhere_is_refused(name: str) -> None:
    whole = WHOLE[name]
    places = range(20, len(whole), max(1, len(whole) // 97))
    for place in places:
        with pytest.raises(ValidationError):
            sniff(whole[:place])


@given(st.data())
def test_no_bytes_raise_anything_but_an_error_of_ours(data: st.DataObject) -> None:
    whole = bytearray(data.draw(st.sampled_from(sorted(WHOLE.values()))))
    for _ in range(data.draw(st.integers(1, 8))):
        whole[data.draw(st.integers(0, min(len(whole), 400) - 1))] = data.draw(
            st.integers(0, 255)
        )
    try:
        sniff(bytes(whole))
    except ValidationError:
        return


@given(st.binary(max_size=200), st.sampled_from([w[:12] for w in WHOLE.values()]))
def test_no_tail_behind_a_magic_number_does_either(tail: bytes, head: bytes) -> None:
    try:
        sniff(head + tail)
    except ValidationError:
        return


@pytest.mark.parametrize("name", ["png", "jpeg", "gif", "webp", "wav", "mp3", "flac"])
def test_a_second_file_behind_the_first_is_refused(name: str) -> None:
    with pytest.raises(SecurityViolation, match="second file"):
        sniff(WHOLE[name] + archive())


@pytest.mark.parametrize(
    "hidden", [b"%PDF-1.7", b"<script>alert(1)</script>", b"<?php x", b"\x7fELF\x02"]
)
def test_programs_behind_a_picture_are_refused(hidden: bytes) -> None:
    for name in ("png", "jpeg", "gif"):
        with pytest.raises(SecurityViolation):
            sniff(WHOLE[name] + hidden)


def test_a_script_in_a_comment_is_refused() -> None:
    with pytest.raises(SecurityViolation):
        sniff(picture("jpeg", comment=b"<?php system($_GET[0]); ?>"))


def test_a_gif_that_is_a_script_is_refused() -> None:
    script = b"GIF89a" + b"/*" + WHOLE["gif"][8:]
    with pytest.raises(SecurityViolation):
        sniff(script)


def test_padding_and_a_second_picture_behind_a_photo_are_what_cameras_write() -> None:
    assert sniff(WHOLE["jpeg"] + bytes(64)).kind is MediaKind.IMAGE
    assert sniff(WHOLE["jpeg"] + WHOLE["jpeg"]).kind is MediaKind.IMAGE


def test_a_bomb_is_refused_by_its_header() -> None:
    with pytest.raises(SecurityViolation, match="60000 x 60000"):
        sniff(png_of(60_000, 60_000))
    assert sniff(png_of(5_000, 5_000)).width == 5_000


def test_what_lasts_too_long_is_refused_by_its_header() -> None:
    quiet = io.BytesIO()
    with wave.open(quiet, "wb") as out:
        out.setparams((1, 1, 100, 0, "NONE", ""))
        out.writeframes(bytes(40_000))
    with pytest.raises(PayloadTooLarge, match="400 s"):
        sniff(quiet.getvalue())


@pytest.mark.parametrize(
    "other",
    [
        b"\x7fELF" + bytes(100),
        b"II*\0" + bytes(100),
        b"\0\1\2\3",
        archive(),
        "grün".encode("latin-1"),
        b"RIFF\x10\0\0\0AVI LIST" + bytes(10),
        b"OggS\0\2" + bytes(20) + b"\1\x13\x80theora" + bytes(20),
    ],
)
def test_other_formats_are_not_read(other: bytes) -> None:
    with pytest.raises(UnreadFormat):
        sniff(other)


def test_text_is_utf8_without_controls() -> None:
    assert sniff("grüße\n\tTabs".encode()).kind is MediaKind.TEXT
    with pytest.raises(BrokenMedia, match="empty"):
        sniff(b"")
    with pytest.raises(PayloadTooLarge):
        sniff(b"a" * (1024 * 1024 + 1))


def test_a_recording_may_lie_in_an_mp4() -> None:
    handler = atom(b"hdlr", bytes(8) + b"soun" + bytes(12))
    header = atom(b"mvhd", bytes(12) + struct.pack(">II", 1000, 5000) + bytes(80))
    movie = atom(b"moov", header + atom(b"trak", atom(b"mdia", handler)))
    whole = atom(b"ftyp", b"M4A \0\0\0\0") + movie + atom(b"mdat", bytes(50))
    found = sniff(whole)
    assert (found.mime_type, found.seconds) == ("audio/mp4", 5.0)
    with pytest.raises(BrokenMedia, match="no index"):
        sniff(atom(b"ftyp", b"isom\0\0\0\0") + atom(b"mdat", bytes(50)))


def test_matroska_says_whether_it_has_a_picture() -> None:
    def element(name: bytes, body: bytes) -> bytes:
        return name + bytes((0x40 | len(body) >> 8, len(body) & 0xFF)) + body

    def film(kind: int) -> bytes:
        head = element(b"\x1a\x45\xdf\xa3", element(b"\x42\x82", b"webm"))
        track = element(b"\xae", element(b"\x83", bytes((kind,))))
        return head + element(b"\x18\x53\x80\x67", element(b"\x16\x54\xae\x6b", track))

    assert sniff(film(1)).mime_type == "video/webm"
    assert sniff(film(2)).mime_type == "audio/webm"
    with pytest.raises(BrokenMedia):
        sniff(film(1)[:-2])


def test_declared_type_and_modality_must_agree_with_the_bytes() -> None:
    found = sniff(WHOLE["png"])
    for declared in ("", "image/png", "image/x-png; x=1", "application/octet-stream"):
        check_declared(found, MediaKind.IMAGE, declared)
    with pytest.raises(SecurityViolation, match="not what it is declared"):
        check_declared(found, MediaKind.IMAGE, "image/jpeg")
    with pytest.raises(InvalidModality, match="not of modality AUDIO"):
        check_declared(found, MediaKind.AUDIO, "image/png")
    check_declared(sniff(b"# title"), MediaKind.TEXT, "text/markdown")
