"""Decodes recordings to 16 kHz mono samples, never more than asked for."""

from typing import BinaryIO, Final

import miniaudio
import numpy as np
from numpy.typing import NDArray

from cortex.foundation.errors import PayloadTooLarge
from cortex.inference.backends.mel import SAMPLE_RATE
from cortex.inference.media.errors import BrokenMedia
from cortex.inference.media.kinds import SECONDS_MAX

DECODED_HERE: Final = frozenset({"wav", "flac", "mp3", "vorbis"})
"""Formats that need no ffmpeg."""

_PIECE_FRAMES: Final = SAMPLE_RATE


def decode_sound(file: BinaryIO) -> NDArray[np.float32]:
    """Return the samples.

    Raises:
        BrokenMedia: it cannot be decoded, or holds no sound.
        PayloadTooLarge: it lasts longer than is read.
    """
    pieces: list[NDArray[np.float32]] = []
    room = int(SECONDS_MAX * SAMPLE_RATE)
    try:
        for piece in miniaudio.stream_memory(
            file.read(),
            output_format=miniaudio.SampleFormat.FLOAT32,
            nchannels=1,
            sample_rate=SAMPLE_RATE,
            frames_to_read=_PIECE_FRAMES,
        ):
            samples = np.frombuffer(piece, np.float32)
            room -= len(samples)
            if room < 0:
                refuse_length()
            pieces.append(samples.copy())
    except miniaudio.MiniaudioError as error:
        message = "the recording cannot be decoded"
        raise BrokenMedia(message, field="file") from error
    return checked(np.concatenate(pieces) if pieces else np.zeros(0, np.float32))


def refuse_length() -> None:
    """Raise for what lasts too long."""
    message = f"it lasts longer than {SECONDS_MAX:.0f} s"
    raise PayloadTooLarge(message, field="file", limit=SECONDS_MAX)


def checked(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the samples within -1..1.

    Raises:
        BrokenMedia: there are none, or they are no numbers.
    """
    if not len(samples) or not np.isfinite(samples).all():
        message = "the recording holds no sound"
        raise BrokenMedia(message, field="file")
    return np.clip(samples, -1.0, 1.0)
