"""Which models there are, and what they did since the start."""

from collections.abc import Callable
from dataclasses import dataclass

from cortex.inference.ports import Embedder
from cortex.inference.registry import shipped_models
from cortex.inference.text import EmbeddingStats
from cortex.usecases.model import LoadedModel


@dataclass(frozen=True, slots=True)
class Models:
    """Lists the models of this server."""

    embedder: Embedder
    stats: Callable[[], EmbeddingStats]

    async def __call__(self) -> list[LoadedModel]:
        """Return the active model, then those that are shipped beside it."""
        counts = self.stats()
        active = self.embedder.info
        others = [info for info in shipped_models() if info.name != active.name]
        return [
            LoadedModel(
                active, loaded=True, cache_hits=counts.hits, cache_misses=counts.misses
            ),
            *(
                LoadedModel(i, loaded=False, cache_hits=0, cache_misses=0)
                for i in others
            ),
        ]
