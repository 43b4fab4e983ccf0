"""Which replica does the next piece of work; pure.

The one that would be done first, by what it has to do and how fast it was of late
("join the shortest expected delay"). A replica that failed this piece before is taken
only when there is no other.
"""

from collections.abc import Sequence
from typing import Final

from cortex.inference.admission import RUN_SECONDS_GUESS
from cortex.inference.ports import ReplicaView

SLOWER_MAX: Final = 8.0
"""How many times slower than the fastest a replica may count as: one odd slow run must
not keep work from it for ever."""


def expected_seconds(replica: ReplicaView, fastest: float) -> float:
    """Return when this replica would have done one more piece."""
    each = min(replica.seconds_each or fastest, fastest * SLOWER_MAX)
    rounds = replica.outstanding // max(1, replica.lanes) + 1
    return rounds * each


def choose(replicas: Sequence[ReplicaView], avoid: frozenset[str]) -> str | None:
    """Return the name of the replica to ask; None when none has room."""
    able = [replica for replica in replicas if replica.room > 0]
    fresh = [replica for replica in able if replica.name not in avoid] or able
    if not fresh:
        return None
    measured = [r.seconds_each for r in fresh if r.seconds_each > 0]
    fastest = min(measured, default=RUN_SECONDS_GUESS)
    best = min(fresh, key=lambda r: (expected_seconds(r, fastest), r.outstanding))
    return best.name


class ShortestDelay:
    """The default `ReplicaChooser`."""

    def choose(
        self, replicas: Sequence[ReplicaView], avoid: frozenset[str]
    ) -> str | None:
        """Return the name of the replica to ask; None when none has room."""
        return choose(replicas, avoid)
