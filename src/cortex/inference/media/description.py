"""What was found in a file, as words and as weights over words.

A picture gets into the text space by ConSE (Norouzi et al. 2013, arXiv:1312.5650):
the mean of its likeliest labels' vectors, each by its probability. So whoever keeps
the labels can make the vector again in the space of any other text model, without
the file. That is what a memory keeps of a picture.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from cortex.foundation.canonical import JsonValue
from cortex.inference.media.kinds import Label, MediaKind, Reading
from cortex.inference.ports import Vector

METADATA_KEY: Final = "media"
"""Where a memory's metadata tell of its file."""

TOLD_LABELS: Final = 3
"""Labels named in a description."""

TOLD_PROBABILITY: Final = 0.1
"""A label less likely is not named in a description: it would be found by its word."""

LABELS_READ_MAX: Final = 10
"""Labels of a memory that make its vector; more were not written by us."""

_LABEL_CHARACTERS_MAX: Final = 100
_NAMES: Final = {
    MediaKind.IMAGE: "Picture",
    MediaKind.AUDIO: "Recording",
    MediaKind.VIDEO: "Film",
}


def mixed(vectors: Sequence[Vector], weights: Sequence[float]) -> Vector:
    """Return the mean of the vectors by their weights.

    Raises:
        ValueError: no weight is above 0.
    """
    total = sum(weights)
    if not total > 0:
        message = "nothing in it has any weight"
        raise ValueError(message)
    parts = np.asarray(weights, np.float32) / np.float32(total)
    mean: Vector = parts @ np.stack(vectors)
    return mean


def described(kind: MediaKind, reading: Reading, caption: str = "") -> str:
    """Return what a file holds, in words: its content as a memory."""
    likely = [
        label.name
        for label in reading.labels[:TOLD_LABELS]
        if label.probability >= TOLD_PROBABILITY
    ]
    parts = [
        caption.strip(),
        f"{_NAMES[kind]}: {', '.join(likely)}." if likely else "",
        reading.transcript.strip(),
        reading.words.strip(),
    ]
    told = "\n".join(part for part in parts if part)
    return told or f"{_NAMES[kind]} without words."


def facts(
    reading: Reading, *, mime_type: str, size: int, sha256: str
) -> dict[str, JsonValue]:
    """Return what a memory's metadata keep of a file."""
    told: dict[str, JsonValue] = {
        "mime_type": mime_type,
        "bytes": size,
        "sha256": sha256,
        "labels": [
            [label.name, round(label.probability, 4)] for label in reading.labels
        ],
        "spoken": bool(reading.transcript),
    }
    if reading.width:
        told |= {"width": reading.width, "height": reading.height}
    if reading.seconds is not None:
        told["seconds"] = round(reading.seconds, 3)
    if reading.frames:
        told["frames"] = reading.frames
    return told


def labels_of(metadata: Mapping[str, JsonValue]) -> tuple[Label, ...]:
    """Return the labels that metadata keep; what is no label is passed over.

    Metadata come from callers, too: wrong ones make a worse vector, never an error.
    """
    media = metadata.get(METADATA_KEY)
    rows = media.get("labels") if isinstance(media, dict) else None
    found = [_label(row) for row in rows] if isinstance(rows, list) else []
    return tuple(label for label in found if label is not None)[:LABELS_READ_MAX]


def _label(row: JsonValue) -> Label | None:
    match row:
        case [str(name), float(probability) | int(probability)]:
            known = 0.0 < probability <= 1.0 and 0 < len(name) <= _LABEL_CHARACTERS_MAX
            return Label(name, float(probability)) if known else None
    return None
