"""What planning and reflection ask of memory and of meaning."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import numpy as np

from cortex.foundation.tenancy import Namespace, Principal
from cortex.inference.ports import Embedder
from cortex.memory.model import (
    Memory,
    NewMemory,
    Page,
    Query,
    Recalled,
    Selection,
    Stored,
)
from cortex.usecases.model import CallContext

Recall = Callable[[Namespace, Query, CallContext], Awaitable[Recalled]]
Keep = Callable[
    [Principal, Namespace, Sequence[NewMemory], CallContext], Awaitable[list[Stored]]
]
Get = Callable[[Namespace, str], Awaitable[Memory]]
Listed = Callable[[Namespace, Selection, str | None, int], Awaitable[Page]]


@dataclass(frozen=True, slots=True)
class AgentMemory:
    """Memory as agents' journeys use it."""

    recall: Recall
    keep: Keep
    get: Get
    page: Listed
    embedder: Embedder

    async def cosines(
        self, left: Sequence[str], right: Sequence[str]
    ) -> list[list[float]]:
        """Return the cosine of each left text with each right one, -1 to 1.

        Raises:
            Unavailable: the embedder is down.
        """
        if not left or not right:
            return [[] for _ in left]
        vectors = await self.embedder.embed([*left, *right])
        split = len(left)
        table = np.stack(vectors[:split]) @ np.stack(vectors[split:]).T
        return [[float(value) for value in row] for row in table]
