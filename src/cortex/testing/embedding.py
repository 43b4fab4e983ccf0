"""An embedder without a model: the same text always gives the same vector."""

import hashlib
from collections.abc import Sequence

import numpy as np

from cortex.inference.model import normalised
from cortex.inference.ports import ModelInfo, Vector
from cortex.testing.usecases import MODEL


class FakeEmbedder:
    """Hashes texts; counts words as tokens."""

    def __init__(self) -> None:
        """Begin with nothing asked."""
        self.asked = 0

    @property
    def info(self) -> ModelInfo:
        """Return the fake model."""
        return MODEL

    async def embed(self, texts: Sequence[str]) -> list[Vector]:
        """Return one vector a text, and count the texts."""
        self.asked += len(texts)
        return [_vector(text) for text in texts]

    def count_tokens(self, text: str) -> int:
        """Return the number of words."""
        return len(text.split())


def _vector(text: str) -> Vector:
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
    numbers = np.frombuffer(digest, np.uint8)[: MODEL.dimensions].astype(np.float32)
    return normalised(numbers - np.float32(127.5))
