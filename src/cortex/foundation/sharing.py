"""Fair shares of what is served at once, so that nobody takes all of it.

While there is room everyone gets what they ask for. From half of it on, each of those
who are being served may have an equal part and no more; and one alone never gets the
last quarter, so that there is always room for somebody else to begin.
"""

from collections import Counter

_RELAXED_SHARE = 2
_ALONE_SHARE = 3 / 4


def admits(limit: int, mine: int, total: int, others: int) -> bool:
    """Return whether one more may be served.

    Args:
        limit: most that are served at once.
        mine: being served for the one who asks.
        total: being served for everybody.
        others: how many others are being served.
    """
    if total >= limit or mine >= max(1, limit * _ALONE_SHARE):
        return False
    if total < limit // _RELAXED_SHARE:
        return True
    return mine < max(1, limit // (others + 1))


class FairShare:
    """Counts who is being served; for one event loop."""

    __slots__ = ("_served", "_total", "limit")

    def __init__(self, limit: int) -> None:
        """Serve nobody yet; at most ``limit`` at once."""
        self.limit = limit
        self._served: Counter[str] = Counter()
        self._total = 0

    @property
    def total(self) -> int:
        """Return how many are being served."""
        return self._total

    def enter(self, who: str) -> bool:
        """Begin to serve one more of ``who``; false when that would be unfair."""
        mine = self._served[who]
        others = len(self._served) - bool(mine)
        if not admits(self.limit, mine, self._total, others):
            return False
        self._served[who] += 1
        self._total += 1
        return True

    def leave(self, who: str) -> None:
        """End what ``enter`` began."""
        self._total -= 1
        self._served[who] -= 1
        if not self._served[who]:
            del self._served[who]
