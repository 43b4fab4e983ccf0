"""Takes frames and sound out of films with ffmpeg, in a process of its own.

The type that was found by the bytes is forced, so that no playlist or script is ever
tried; only files and pipes can be opened; time, output and memory have ends; nothing
goes through a shell.
"""

import json
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from typing import BinaryIO, Final

import numpy as np
from numpy.typing import NDArray

from cortex.inference.backends.mel import SAMPLE_RATE
from cortex.inference.media.errors import BrokenMedia, NotInstalled, SecurityViolation
from cortex.inference.media.kinds import SECONDS_MAX
from cortex.inference.media.pictures import CROP, Pixels
from cortex.inference.media.sound import checked, refuse_length

FRAMES: Final = 6
"""Pictures of a film that are looked at, spread over its length."""

RUN_SECONDS_MAX: Final = 30.0
"""Seconds that one run of ffmpeg may take."""

PIXELS_MAX: Final = 4096 * 2304
"""Pixels of a film's frame."""

_DEMUXERS: Final = {
    "mp4": "mov",
    "matroska": "matroska",
    "opus": "ogg",
    "vorbis": "ogg",
}
_ALLOCATION_BYTES_MAX: Final = 512 * 1024 * 1024
_WHOLE_SECONDS: Final = 20.0
_SAMPLE_BYTES: Final = 4


@dataclass(frozen=True, slots=True)
class Film:
    """What ffprobe says of a film."""

    seconds: float
    width: int
    height: int
    has_sound: bool


class Ffmpeg:
    """The two programs, if they are there."""

    def __init__(self) -> None:
        """Look them up once.

        Raises:
            NotInstalled: one is not on the path.
        """
        names = ("ffmpeg", "ffprobe")
        found = [shutil.which(name) for name in names]
        missing = [n for n, path in zip(names, found, strict=True) if path is None]
        if missing:
            message = f"this format needs {' and '.join(missing)}, not installed here"
            hint = "Install ffmpeg on the server, such as by: apt install ffmpeg."
            raise NotInstalled(message, hint=hint, missing=missing)
        self._ffmpeg, self._ffprobe = (str(path) for path in found)

    def probe(self, file: BinaryIO, form: str) -> Film:
        """Return what a film is, without decoding it.

        Raises:
            BrokenMedia: it is no film.
            SecurityViolation: its frames are larger than anybody films.
            PayloadTooLarge: it lasts longer than is read.
        """
        shown = "format=duration:stream=codec_type,width,height"
        output = ("-show_entries", shown, "-of", "json")
        command = [self._ffprobe, *_given(file, form), *output]
        told = json.loads(_run(command, file, 1_000_000))
        streams = told.get("streams", [])
        pictures = [s for s in streams if s.get("codec_type") == "video"]
        if not pictures:
            message = "the film has no picture"
            raise BrokenMedia(message, field="file")
        width = max(int(s.get("width", 0)) for s in pictures)
        height = max(int(s.get("height", 0)) for s in pictures)
        if width * height > PIXELS_MAX:
            message = f"the film's frames would have {width} x {height} pixels"
            raise SecurityViolation(message, field="file", limit=PIXELS_MAX)
        seconds = float(told.get("format", {}).get("duration", 0.0))
        if seconds > SECONDS_MAX:
            refuse_length()
        has_sound = any(s.get("codec_type") == "audio" for s in streams)
        return Film(seconds, width, height, has_sound)

    def frames(
        self, file: BinaryIO, form: str, film: Film, side: int
    ) -> Sequence[Pixels]:
        """Return frames spread over the film, ``side`` by ``side``.

        Of a longer film only those are decoded that stand for themselves.

        Raises:
            BrokenMedia: none can be decoded.
        """
        step = film.seconds / FRAMES
        wide = round(side / CROP)
        filters = (
            f"select='isnan(prev_selected_t)+gte(t-prev_selected_t,{step:.3f})',"
            f"scale={wide}:{wide}:force_original_aspect_ratio=increase,"
            f"crop={side}:{side}"
        )
        keys = ("-skip_frame", "nokey") if film.seconds > _WHOLE_SECONDS else ()
        command = [
            self._ffmpeg, "-nostdin", *keys, *_given(file, form), "-an", "-sn", "-dn",
            "-vf", filters, "-vsync", "vfr", "-frames:v", str(FRAMES),
            "-pix_fmt", "rgb24", "-f", "rawvideo", "pipe:1",
        ]  # fmt: skip
        size = side * side * 3
        raw = _run(command, file, size * FRAMES)
        count = len(raw) // size
        if not count:
            message = "no frame of the film can be decoded"
            raise BrokenMedia(message, field="file")
        pixels = np.frombuffer(raw[: count * size], np.uint8)
        return list(pixels.reshape(count, side, side, 3))

    def sound(self, file: BinaryIO, form: str) -> NDArray[np.float32]:
        """Return the sound track as 16 kHz mono samples.

        Raises:
            BrokenMedia: it cannot be decoded.
            PayloadTooLarge: it lasts longer than is read.
        """
        most = int(SECONDS_MAX * SAMPLE_RATE)
        command = [
            self._ffmpeg, "-nostdin", *_given(file, form), "-vn", "-sn", "-dn",
            "-t", f"{SECONDS_MAX + 1:.0f}", "-ac", "1", "-ar", str(SAMPLE_RATE),
            "-f", "f32le", "pipe:1",
        ]  # fmt: skip
        raw = _run(command, file, (most + 2 * SAMPLE_RATE) * _SAMPLE_BYTES)
        if len(raw) > most * _SAMPLE_BYTES:
            refuse_length()
        whole = len(raw) // _SAMPLE_BYTES * _SAMPLE_BYTES
        return checked(np.frombuffer(raw[:whole], "<f4"))


def _given(file: BinaryIO, form: str) -> list[str]:
    """Return the options that name the input and bound what is done with it."""
    return [
        "-hide_banner", "-v", "error", "-max_alloc", str(_ALLOCATION_BYTES_MAX),
        "-protocol_whitelist", "file,pipe", "-f", _DEMUXERS[form],
        "-threads", "1", "-i", f"file:/dev/fd/{file.fileno()}",
    ]  # fmt: skip


def _run(command: Sequence[str], file: BinaryIO, most: int) -> bytes:
    file.seek(0)
    try:
        done = subprocess.run(  # noqa: S603 - no shell, options of our own
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            pass_fds=(file.fileno(),),
            timeout=RUN_SECONDS_MAX,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        message = f"it cannot be decoded within {RUN_SECONDS_MAX:.0f} s"
        raise BrokenMedia(message, field="file") from error
    if done.returncode or len(done.stdout) > most:
        message = "ffmpeg cannot decode it"
        raise BrokenMedia(message, field="file")
    return done.stdout
