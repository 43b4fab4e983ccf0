"""Which models there are, and what they did since the start."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cortex.inference.engine import ModelStatus
from cortex.inference.ports import Embedder
from cortex.inference.text import EmbeddingStats
from cortex.usecases.model import LoadedModel


@dataclass(frozen=True, slots=True)
class Models:
    """Lists the models of this server."""

    embedder: Embedder
    stats: Callable[[], EmbeddingStats]
    known: Callable[[], Sequence[ModelStatus]]

    async def __call__(self) -> list[LoadedModel]:
        """Return every known model: the active one first, then the loaded ones."""
        active = self.embedder.info.name
        rows = sorted(
            self.known(), key=lambda row: (row.info.name != active, not row.loaded)
        )
        return [self._listed(row, active=row.info.name == active) for row in rows]

    def _listed(self, row: ModelStatus, *, active: bool) -> LoadedModel:
        counts = self.stats() if active else None
        return LoadedModel(
            row.info,
            loaded=row.loaded,
            modalities=row.modalities,
            active=active,
            cache_hits=counts.hits if counts else 0,
            cache_misses=counts.misses if counts else 0,
            uses=row.hits + row.misses + (counts.runs if counts else 0),
            load_misses=row.misses,
            load_seconds=row.load_seconds,
            evictions=row.evictions,
        )
