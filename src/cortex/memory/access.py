"""Uses of memories, noted in passing and written later in one batch.

A search must not wait for a write that only says that it happened. Losing the last few
seconds of uses in a crash costs a little heat and nothing else.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

USES_BUFFERED_MAX: Final = 50_000
"""Rows with unwritten uses: about 8 MB; beyond it the uses of further rows are lost."""


@dataclass(frozen=True, slots=True)
class Use:
    """How often a row was used since the last flush, and when last (epoch seconds)."""

    ns_id: int
    seq: int
    count: int
    last_at: float


class AccessBuffer:
    """Collects uses by row; one thread only (the event loop's)."""

    __slots__ = ("_uses",)

    def __init__(self) -> None:
        """Start empty."""
        self._uses: dict[tuple[int, int], tuple[int, float]] = {}

    def note(self, ns_id: int, seqs: Iterable[int], now: float) -> None:
        """Count one use of each row at ``now``."""
        uses = self._uses
        for seq in seqs:
            key = (ns_id, seq)
            known = uses.get(key)
            if known is not None:
                uses[key] = (known[0] + 1, now)
            elif len(uses) < USES_BUFFERED_MAX:
                uses[key] = (1, now)

    def take(self) -> list[Use]:
        """Return all uses and start again; the caller writes them."""
        taken, self._uses = self._uses, {}
        return [
            Use(ns_id, seq, count, last_at)
            for (ns_id, seq), (count, last_at) in taken.items()
        ]

    def __len__(self) -> int:
        """Return how many rows have unwritten uses."""
        return len(self._uses)
