"""The nouns: a file that came in, what is wanted of it, and what was found in it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from cortex.inference.ports import Vector

TEXT_BYTES_MAX: Final = 1024 * 1024
"""Bytes of a text: far beyond what any embedding model reads of it."""

IMAGE_BYTES_MAX: Final = 10 * 1024 * 1024
"""Bytes of a picture: the largest photos of today's telephones."""

AUDIO_BYTES_MAX: Final = 50 * 1024 * 1024
"""Bytes of a recording: five minutes of uncompressed stereo."""

VIDEO_BYTES_MAX: Final = 100 * 1024 * 1024
"""Bytes of a film: five minutes at 2.7 Mbit/s."""

IMAGE_PIXELS_MAX: Final = 50_000_000
"""Pixels of a picture: 150 MB when decoded; a telephone's largest, and no bomb."""

SIDE_PIXELS_MAX: Final = 32_767
"""Pixels of one side: what most decoders take at all."""

SECONDS_MAX: Final = 300.0
"""Seconds of sound or film: about as long to read as a caller will wait."""


class MediaKind(StrEnum):
    """What kind of thing a file is."""

    TEXT = "text"
    IMAGE = "image"
    AUDIO = "audio"
    VIDEO = "video"


BYTES_MAX: Final = {
    MediaKind.TEXT: TEXT_BYTES_MAX,
    MediaKind.IMAGE: IMAGE_BYTES_MAX,
    MediaKind.AUDIO: AUDIO_BYTES_MAX,
    MediaKind.VIDEO: VIDEO_BYTES_MAX,
}
"""Bytes of a file by its kind."""


class Want(StrEnum):
    """What a model shall make of a file."""

    LABELS = "labels"
    NATIVE = "native"
    TRANSCRIPT = "transcript"
    WORDS = "words"


@dataclass(frozen=True, slots=True)
class Sniffed:
    """What the bytes of a file say of it.

    Attributes:
        mime_type: such as ``image/png``.
        format: the decoder's name for it, such as ``png``.
        width: pixels; 0 where the file has none or hides it.
        seconds: how long it lasts; None where only decoding tells.
    """

    kind: MediaKind
    mime_type: str
    format: str
    width: int = 0
    height: int = 0
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Label:
    """One thing that a picture may show, and how likely the model holds it."""

    name: str
    probability: float


@dataclass(frozen=True, slots=True)
class Native:
    """A vector in the media model's own space, as the model made it."""

    vector: Vector
    model: str
    space: str


@dataclass(frozen=True, slots=True)
class Reading:
    """What was found in a file; what was not asked for is empty.

    Attributes:
        labels: what it shows, likeliest first.
        transcript: what is said in it.
        words: what is written in it.
        native: its vector in the media model's own space.
        frames: how many pictures of a film were looked at.
        model_seconds: time that the models took.
        models: those that were used → seconds of loading; 0 when loaded before.
    """

    labels: Sequence[Label] = ()
    transcript: str = ""
    words: str = ""
    native: Native | None = None
    width: int = 0
    height: int = 0
    seconds: float | None = None
    frames: int = 0
    model_seconds: float = 0.0
    models: Mapping[str, float] = field(default_factory=dict)
