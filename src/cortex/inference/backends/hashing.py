"""Vectors without a model: signed feature hashing of words and character n-grams.

Each word and each character 3- to 5-gram is hashed to one dimension and a sign
(Weinberger et al., "Feature hashing for large scale multitask learning", 2009); its
weight grows with the logarithm of how often it occurs. Texts that share spelling come
out close, texts that share only meaning do not. It stands in when the bundled model
cannot be loaded, and serves fast tests. Its space is its own.
"""

import re
from collections import Counter
from collections.abc import Iterator
from typing import Final
from zlib import crc32

import numpy as np

from cortex.inference.model import combined_hash, normalised, space_id, well_formed
from cortex.inference.ports import ModelInfo, Vector

DIMENSIONS: Final = 384
"""As many as the bundled model has, so that stored sizes stay alike."""

GRAM_CHARACTERS: Final = (3, 4, 5)
"""Lengths of character n-grams, taken inside ``<word>``."""

GRAM_WEIGHT: Final = 0.35
"""Weight of an n-gram beside a word's 1: a word has about as many as it has letters."""

MAX_CHARACTERS: Final = 100_000
"""Longest input read, in characters; the longest memory there is."""

_REVISION: Final = "1"
_WORD: Final = re.compile(r"\w+|[^\w\s]")
_WORD_SEED: Final = 0x57
_GRAM_SEED: Final = 0x47
_SIGN_BIT: Final = 31


class HashingText:
    """Feature hashing behind the text backend's port; needs no file and no library."""

    def __init__(self, standing_in_because: str = "") -> None:
        """Say why it stands in for another model; empty when it was asked for."""
        sha256 = combined_hash(
            algorithm="signed feature hashing, crc32",
            revision=_REVISION,
            dimensions=DIMENSIONS,
            grams=list(GRAM_CHARACTERS),
            gram_weight=GRAM_WEIGHT,
        )
        source = "built in"
        if standing_in_because:
            source = f"built in; stands in because {standing_in_because}"
        self._info = ModelInfo(
            name="hashing-384",
            revision=_REVISION,
            sha256=sha256,
            license="Apache-2.0",
            dimensions=DIMENSIONS,
            max_tokens=MAX_CHARACTERS,
            space=space_id("hashing-384", sha256),
            source=source,
            runtime="hashing",
            degraded=bool(standing_in_because),
        )

    @property
    def info(self) -> ModelInfo:
        """Return what this model is."""
        return self._info

    def count_tokens(self, text: str) -> int:
        """Return the number of words and marks in ``text``."""
        return len(_WORD.findall(well_formed(text)))

    def embed(self, text: str) -> Vector:
        """Return the vector of the text; one without a word has a vector too."""
        words = _WORD.findall(well_formed(text[:MAX_CHARACTERS]).casefold())
        # The empty word keeps an empty text from having no direction at all.
        counts = Counter(words or [""])
        hashes: list[int] = []
        weights: list[float] = []
        for word, count in counts.items():
            weight = 1.0 + float(np.log(count))
            hashes.append(crc32(word.encode(), _WORD_SEED))
            weights.append(weight)
            for gram in _grams(word):
                hashes.append(crc32(gram, _GRAM_SEED))
                weights.append(weight * GRAM_WEIGHT)
        hashed = np.array(hashes, np.int64)
        signs = 1.0 - 2.0 * (hashed >> _SIGN_BIT)
        total = np.bincount(
            hashed % DIMENSIONS, np.array(weights) * signs, minlength=DIMENSIONS
        )
        if not total.any():
            total[0] = 1.0
        return normalised(total.astype(np.float32))

    def close(self) -> None:
        """Do nothing: there is nothing to let go of."""


def _grams(word: str) -> Iterator[bytes]:
    marked = f"<{word}>"
    for length in GRAM_CHARACTERS:
        for start in range(len(marked) - length + 1):
            yield marked[start : start + length].encode()
