"""How many waiting texts travel to a worker together, and when; pure.

The worker still runs one text at a time (vectors must not depend on their neighbours);
what a batch saves is the trip. A batch goes when it is full, when its oldest text has
waited long enough, or when the worker has nothing else to do and waiting is not asked
for.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

BATCH_TEXTS_MAX: Final = 8
"""Texts that travel together: more would only wait in the worker instead of here."""

BATCH_CHARACTERS_MAX: Final = 16_384
"""Characters that travel together: about 40 ms of work for the bundled model."""


@dataclass(frozen=True, slots=True)
class BatchPolicy:
    """When a batch goes.

    Attributes:
        texts_max: texts of one batch.
        characters_max: characters of one batch; a longer text goes alone.
        wait_seconds: how long the oldest text may wait for company.
    """

    texts_max: int = BATCH_TEXTS_MAX
    characters_max: int = BATCH_CHARACTERS_MAX
    wait_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Waiting:
    """A text in the queue.

    Attributes:
        characters: its length.
        since: monotonic time it came, seconds.
        alone: whether it must travel alone, having been lost with a worker before.
    """

    characters: int
    since: float
    alone: bool = False


def take(queue: Sequence[Waiting], policy: BatchPolicy, now: float) -> int:
    """Return how many texts from the head of the queue go now; 0 to wait."""
    if not queue:
        return 0
    count = _fitting(queue, policy)
    full = count < len(queue) or count == policy.texts_max or queue[0].alone
    waited = now - queue[0].since >= policy.wait_seconds
    return count if full or waited else 0


def _fitting(queue: Sequence[Waiting], policy: BatchPolicy) -> int:
    """Return how many from the head fit into one batch; at least one."""
    characters = 0
    for place, text in enumerate(queue):
        characters += text.characters
        company = place > 0
        if company and (
            place == policy.texts_max
            or characters > policy.characters_max
            or text.alone
            or queue[0].alone
        ):
            return place
    return len(queue)
