"""Vectors of queries: by the whole model, or by a quicker one while power is saved.

A quicker model may answer for queries only, and only in the space of what is stored:
its vectors go into no memory and no answer of an embedding endpoint, and into a cache
of their own.
"""

import hashlib
from collections.abc import Callable, Sequence
from typing import Final

from cortex.foundation.errors import Unavailable
from cortex.inference.engine import Engine
from cortex.inference.errors import ModelUnusable
from cortex.inference.ports import EmbeddingCache, ModelInfo, TextBackend, Vector
from cortex.inference.registry import ModelEntry
from cortex.inference.text import TextEmbedding

HERE_CHARACTERS_MAX: Final = 200
"""Characters of a query that is embedded where it is, in about a millisecond: handing
it to a thread and back would cost a quarter of that again."""


class QueryEmbedding:
    """Implements the `Embedder` port for what is searched for."""

    def __init__(
        self,
        whole: TextEmbedding,
        engine: Engine,
        quick: ModelEntry[TextBackend] | None,
        *,
        cache: EmbeddingCache,
        saving: Callable[[], bool],
    ) -> None:
        """Use ``quick`` while ``saving`` is true; without one, the whole model."""
        usable = quick is not None and quick.info.space == whole.info.space
        self._whole = whole
        self._engine = engine
        self._quick = quick if usable else None
        self._cache = cache
        self._saving = saving

    @property
    def info(self) -> ModelInfo:
        """Return the model whose space the queries are in."""
        return self._whole.info

    @property
    def saving(self) -> bool:
        """Return whether power is saved now."""
        return self._saving()

    def kept(self, text: str) -> Vector | None:
        """Return the whole model's vector if it is in the cache; runs nothing."""
        return self._whole.kept(text)

    async def embed(self, texts: Sequence[str]) -> list[Vector]:
        """Return one vector a text, in order.

        Raises:
            EmbeddingUnavailable: the whole model is needed and cannot be asked.
        """
        if self._quick is None or not self._saving():
            return await self._whole.embed(texts)
        try:
            return [await self._quickly(self._quick, text) for text in texts]
        except (ModelUnusable, Unavailable):
            return await self._whole.embed(texts)

    async def _quickly(self, quick: ModelEntry[TextBackend], text: str) -> Vector:
        exact = self._whole.kept(text)
        if exact is not None:
            return exact
        key = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
        vector = self._cache.get(key)
        if vector is None:
            vector = await self._run(quick, text)
            vector.setflags(write=False)
            self._cache.put(key, vector)
        return vector

    async def _run(self, quick: ModelEntry[TextBackend], text: str) -> Vector:
        if len(text) > HERE_CHARACTERS_MAX:
            return await self._engine.call(quick, lambda model: model.embed(text))
        async with self._engine.lease(quick) as model:
            return model.embed(text)
