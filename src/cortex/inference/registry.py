"""The models this installation can load: one entry each, whatever runs it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from cortex.foundation.errors import Conflict
from cortex.inference.errors import UnknownModel
from cortex.inference.ports import ModelInfo


class Closable(Protocol):
    """What every loaded model can do."""

    def close(self) -> None:
        """Let go of everything; asking it afterwards fails. Idempotent."""
        ...


M_co = TypeVar("M_co", bound=Closable, covariant=True)


@dataclass(frozen=True, slots=True)
class ModelEntry(Generic[M_co]):
    """A model that can be loaded.

    Attributes:
        info: name, revision, hash, licence, space, memory and where it comes from;
            known before anything is loaded.
        open: loads it; blocking, run on a thread. Raises ``ModelUnusable``.
        modalities: what it reads: ``text``, ``image``, ``audio``.
    """

    info: ModelInfo
    open: Callable[[], M_co]
    modalities: tuple[str, ...] = ("text",)


class Registry:
    """The known models by name; owned by the composition root."""

    def __init__(self, entries: Iterable[ModelEntry[Any]] = ()) -> None:
        """Take the first entries."""
        self._entries: dict[str, ModelEntry[Any]] = {}
        for entry in entries:
            self.add(entry)

    def add(self, entry: ModelEntry[Any]) -> None:
        """Make a model known.

        Raises:
            Conflict: another model has this name already.
        """
        name = entry.info.name
        if self._entries.setdefault(name, entry) != entry:
            message = f"two models are called {name!r}"
            raise Conflict(message, hint="Give one of them another name.", name=name)

    def get(self, name: str) -> ModelEntry[Any]:
        """Return the model of this name.

        Raises:
            UnknownModel: there is none.
        """
        found = self._entries.get(name)
        if found is None:
            known = sorted(self._entries)
            message = f"no model is called {name!r}"
            hint = f"Known models: {', '.join(known) or 'none'}."
            raise UnknownModel(message, hint=hint, known=known)
        return found

    def entries(self) -> tuple[ModelEntry[Any], ...]:
        """Return every entry, in the order they were added."""
        return tuple(self._entries.values())
