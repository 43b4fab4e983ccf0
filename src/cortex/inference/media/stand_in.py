"""A reader without models, for fast tests: its answers depend on the bytes alone."""

import hashlib
from typing import BinaryIO, Final

import numpy as np

from cortex.inference.engine import ModelStatus
from cortex.inference.media.kinds import (
    Label,
    MediaKind,
    Native,
    Reading,
    Sniffed,
    Want,
)

MODEL: Final = "media-hash-64"
DIMENSIONS: Final = 64

_NAMES: Final = ("cat", "dog", "cup", "tree", "house", "car", "book", "bird")


class StandInReader:
    """Takes the place of the processes where CORTEX_FAST_TEST is set."""

    def status(self) -> list[ModelStatus]:
        """Return no model: none is used."""
        return []

    async def read(
        self, file: BinaryIO, sniffed: Sniffed, wants: frozenset[Want]
    ) -> Reading:
        """Return what the hash of the bytes says."""
        file.seek(0)
        digest = hashlib.sha512(file.read()).digest()
        vector = np.frombuffer(digest, np.uint8).astype(np.float32) - 127.5
        first, second = digest[0] % len(_NAMES), digest[1] % len(_NAMES)
        labels = [Label(_NAMES[first], 0.75), Label(_NAMES[second], 0.25)]
        seen = sniffed.kind in (MediaKind.IMAGE, MediaKind.VIDEO)
        heard = sniffed.kind is not MediaKind.IMAGE and Want.TRANSCRIPT in wants
        return Reading(
            labels=labels if seen else (),
            transcript=f"Somebody talks about a {_NAMES[first]}." if heard else "",
            native=Native(vector, MODEL, MODEL),
            width=sniffed.width,
            height=sniffed.height,
            seconds=sniffed.seconds,
            frames=int(sniffed.kind is MediaKind.VIDEO),
        )

    async def run(self) -> None:
        """Have nothing to do."""

    async def close(self) -> None:
        """Have nothing to close."""
