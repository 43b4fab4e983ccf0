"""What the rest of Cortex asks of inference, and what a backend must offer."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """One model as the registry knows it.

    Attributes:
        name: registry name, such as ``all-MiniLM-L6-v2-int8``.
        revision: which build of it.
        sha256: of the weights, or of what stands for them.
        license: SPDX expression.
        dimensions: length of its vectors; 0 where it makes none.
        max_tokens: longest input it reads, where that is text; more is cut and said so.
        space: id of the vector space; only vectors of one space are comparable. Empty
            where it makes none.
        source: where it came from, for people.
        runtime: what runs it (``onnx``, ``hashing``, ``openai``).
        memory_bytes: resident cost once loaded; 0 when unknown.
        degraded: true for a stand-in used because the wanted model is not there.
    """

    name: str
    revision: str
    sha256: str
    license: str
    dimensions: int
    max_tokens: int
    space: str
    source: str
    runtime: str
    memory_bytes: int = 0
    degraded: bool = False


class TextBackend(Protocol):
    """Turns texts into vectors; blocking, safe to call from several threads."""

    @property
    def info(self) -> ModelInfo:
        """Return what this model is."""
        ...

    def embed(self, text: str) -> Vector:
        """Return the L2-normalised vector of one text."""
        ...

    def count_tokens(self, text: str) -> int:
        """Return how many of the model's own tokens the text has."""
        ...

    def close(self) -> None:
        """Let go of connections; asking for a vector afterwards fails. Idempotent."""
        ...


class EmbeddingCache(Protocol):
    """Keeps vectors by the hash of their text, as many as it likes."""

    def get(self, key: bytes) -> Vector | None:
        """Return the vector, or None when it is not kept."""
        ...

    def put(self, key: bytes, value: Vector) -> None:
        """Keep the vector, letting go of others if need be."""
        ...

    def __len__(self) -> int:
        """Return how many vectors are kept."""
        ...


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one piece of work on a model went, for whoever watches.

    Attributes:
        model: registry name.
        replica: who did it: ``in-process`` or a worker process's name.
        seconds: from its acceptance to its end.
        ok: whether it gave a result.
        retried: whether another replica had been lost with it before.
    """

    model: str
    replica: str
    seconds: float
    ok: bool
    retried: bool = False


@dataclass(frozen=True, slots=True)
class ReplicaView:
    """One replica of a model, as a choice among them sees it.

    Attributes:
        name: ``in-process``, or a worker process's name.
        outstanding: pieces of work accepted and not yet done.
        lanes: pieces it works on at once.
        room: pieces it would still accept.
        seconds_each: recent time for one piece; 0 when none was measured.
    """

    name: str
    outstanding: int
    lanes: int
    room: int
    seconds_each: float = 0.0


class ReplicaChooser(Protocol):
    """Chooses who does the next piece of work; a control plane may bring its own."""

    def choose(
        self, replicas: Sequence[ReplicaView], avoid: frozenset[str], /
    ) -> str | None:
        """Return a replica's name, or None to let the work wait.

        Args:
            replicas: those that are up; a name not among them counts as None.
            avoid: names that failed this piece of work before.
        """
        ...


@dataclass(frozen=True, slots=True)
class Load:
    """How busy a model's replicas are together.

    Attributes:
        waiting: pieces of work accepted and not yet done.
        lanes: pieces worked on at once.
        seconds_each: recent time for one piece; 0 when none was measured.
    """

    waiting: int
    lanes: int
    seconds_each: float


@dataclass(frozen=True, slots=True)
class Admitted:
    """The work is taken."""


@dataclass(frozen=True, slots=True)
class Pushback:
    """The work is not taken now.

    Attributes:
        reason: one sentence for the caller.
        retry_after_seconds: when it is worth coming back; above zero.
        limit: the bound it would have passed.
    """

    reason: str
    retry_after_seconds: float
    limit: float


class AdmissionGate(Protocol):
    """Decides whether work is taken; a control plane may bring its own."""

    def admit(self, load: Load, pieces: int, /) -> Admitted | Pushback:
        """Return whether ``pieces`` more pieces of work are taken."""
        ...


class Embedder(Protocol):
    """The embedding service as the other rooms see it."""

    @property
    def info(self) -> ModelInfo:
        """Return the active text model; its ``space`` is stored with each vector."""
        ...

    async def embed(self, texts: Sequence[str]) -> list[Vector]:
        """Return one vector a text, in order.

        Raises:
            EmbeddingUnavailable: the backend is down or its breaker is open.
        """
        ...


@dataclass(frozen=True, slots=True)
class TokenCount:
    """How many tokens a text has for a model, and how sure that is.

    Attributes:
        tokens: the count; never below the truth when ``exact`` is false.
        method: tokenizer or rule that counted, such as ``quicktok:o200k``.
        exact: whether the model itself would count the same.
    """

    tokens: int
    method: str
    exact: bool


class TokenCounter(Protocol):
    """Counts the tokens of one model family; blocking and thread-safe."""

    @property
    def method(self) -> str:
        """Return what counts, such as ``quicktok:o200k``."""
        ...

    @property
    def exact(self) -> bool:
        """Return whether the model itself would count the same."""
        ...

    def count(self, text: str) -> int:
        """Return the number of tokens in ``text``."""
        ...


class TokenCounters(Protocol):
    """Finds the counter for a model name."""

    def for_model(self, model: str) -> TokenCounter:
        """Return the counter for ``model``; unknown names get a safe upper bound."""
        ...
