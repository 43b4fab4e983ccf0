"""Which models are known and which are loaded, as ``GET /models`` shows them."""

from dataclasses import asdict, dataclass

from cortex.foundation.canonical import JsonValue
from cortex.inference.backends.hashing import HashingText
from cortex.inference.errors import ModelUnusable, UnknownModel
from cortex.inference.packaged import bundled_folder, read_manifest
from cortex.inference.ports import ModelInfo
from cortex.inference.text import EmbeddingStats


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model in memory, and what it did.

    Attributes:
        info: which model.
        stats: what it did since the start.
    """

    info: ModelInfo
    stats: EmbeddingStats


def shipped_models() -> tuple[ModelInfo, ...]:
    """Return the models that need nothing but this installation."""
    stand_in = HashingText().info
    try:
        return read_manifest(bundled_folder()).info, stand_in
    except ModelUnusable:
        return (stand_in,)


class Registry:
    """The known models by name; frozen when it is made."""

    def __init__(
        self,
        loaded: tuple[LoadedModel, ...] = (),
        known: tuple[ModelInfo, ...] | None = None,
    ) -> None:
        """Take what is loaded, and what is known beside it (None: what is shipped)."""
        self._loaded = loaded
        self._known = {model.name: model for model in known or shipped_models()}
        self._known |= {model.info.name: model.info for model in loaded}

    def get(self, name: str) -> ModelInfo:
        """Return the model of this name.

        Raises:
            UnknownModel: there is none.
        """
        found = self._known.get(name)
        if found is None:
            known = sorted(self._known)
            message = f"no model is called {name!r}"
            hint = f"Known models: {', '.join(known)}."
            raise UnknownModel(message, hint=hint, known=known)
        return found

    def listing(self) -> list[dict[str, JsonValue]]:
        """Return every known model as JSON, the loaded ones first."""
        loaded = {model.info.name: model for model in self._loaded}
        rows = [_row(model.info, model.stats) for model in self._loaded]
        others = (info for name, info in self._known.items() if name not in loaded)
        return rows + [_row(info, None) for info in others]


def _row(info: ModelInfo, stats: EmbeddingStats | None) -> dict[str, JsonValue]:
    row: dict[str, JsonValue] = {"modality": "text", "loaded": stats is not None}
    row.update(asdict(info))
    if stats is None:
        return row
    row["hits"] = stats.hits
    row["misses"] = stats.misses
    row["runs"] = stats.runs
    row["failures"] = stats.failures
    row["mean_ms"] = round(1000 * stats.seconds / stats.runs, 3) if stats.runs else None
    return row
