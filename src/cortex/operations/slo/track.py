"""The running counts of one objective, thinned with age.

Points are cumulative, so the count of any window is a difference of two of them. A
window takes the first point inside it and the last one, as Prometheus' ``increase``
does before it extrapolates: on the same points both give the same ratio.
"""

from array import array
from bisect import bisect_left, bisect_right
from dataclasses import dataclass

from cortex.operations.slo.model import Counts

FINE_SECONDS = 6.5 * 3_600.0
"""Age up to which every point stays: the longest window that pages, and a bit."""

COARSE_SECONDS = 3 * 86_400.0 + 3_600.0
"""Age up to which a point a minute stays: the longest window that tickets."""

COARSE_STEP_SECONDS = 60.0
OLD_STEP_SECONDS = 3_600.0
"""Distance of older points: enough for budgets of weeks."""

THIN_EVERY_POINTS = 512
"""Points between two thinnings: their cost is spread over an hour of ticks."""


@dataclass(frozen=True, slots=True)
class Point:
    """Cumulative counts at a moment, in seconds of any steady scale."""

    at: float
    counts: Counts


class Track:
    """Cumulative counts of one objective, oldest first."""

    __slots__ = ("_added", "_at", "_bad", "_kept_seconds", "_last_raw", "_total")

    def __init__(self, kept_seconds: float) -> None:
        """Start empty; nothing older than ``kept_seconds`` is kept."""
        self._at = array("d")
        self._total = array("d")
        self._bad = array("d")
        self._kept_seconds = kept_seconds
        self._last_raw = Counts()
        self._added = 0

    def __len__(self) -> int:
        """Return how many points are held."""
        return len(self._at)

    @property
    def began_at(self) -> float | None:
        """Return the moment of the oldest point."""
        return self._at[0] if self._at else None

    @property
    def latest(self) -> Point | None:
        """Return the newest point."""
        if not self._at:
            return None
        return Point(self._at[-1], Counts(self._total[-1], self._bad[-1]))

    def restore(self, point: Point) -> None:
        """Take over a point of an earlier process, oldest first."""
        if not self._at or point.at > self._at[-1]:
            self._put(point.at, point.counts)

    def begin(self, born: float) -> None:
        """Go on with counters that were zero at ``born``.

        What was restored from after that moment they count already: another process
        counted together with this one before this one began.
        """
        latest = self.latest
        if latest is None or latest.at < born:
            self._last_raw = Counts()
            self._put(born, Counts() if latest is None else latest.counts)
            return
        until = bisect_right(self._at, born) - 1
        before = Counts()
        if until >= 0:
            before = Counts(self._total[until], self._bad[until])
        self._last_raw = latest.counts - before

    def read(self, at: float, raw: Counts) -> None:
        """Add a reading of counters that begin at zero when their process does.

        A reading below the last one means that they began again. A moment that is not
        after the last one is ignored, but what was counted is not lost.
        """
        again = raw.total < self._last_raw.total
        added = raw if again else raw - self._last_raw
        before = Counts(self._total[-1], self._bad[-1]) if self._at else Counts()
        if self._at and at <= self._at[-1]:
            return
        self._last_raw = raw
        self._put(at, before + added)

    def within(self, seconds: float, now: float) -> Counts:
        """Return what was counted in the last ``seconds`` before ``now``."""
        first = bisect_left(self._at, now - seconds)
        last = bisect_right(self._at, now) - 1
        if last <= first:
            return Counts()
        return Counts(
            self._total[last] - self._total[first], self._bad[last] - self._bad[first]
        )

    def _put(self, at: float, counts: Counts) -> None:
        self._at.append(at)
        self._total.append(counts.total)
        self._bad.append(counts.bad)
        self._added += 1
        if self._added >= THIN_EVERY_POINTS:
            self._added = 0
            self._thin(at)

    def _thin(self, now: float) -> None:
        kept: list[int] = []
        last_at = float("-inf")
        for index, at in enumerate(self._at):
            age = now - at
            if age > self._kept_seconds:
                continue
            if at - last_at >= _step(age) or index == len(self._at) - 1:
                kept.append(index)
                last_at = at
        self._at = array("d", (self._at[i] for i in kept))
        self._total = array("d", (self._total[i] for i in kept))
        self._bad = array("d", (self._bad[i] for i in kept))


def _step(age: float) -> float:
    if age <= FINE_SECONDS:
        return 0.0
    return COARSE_STEP_SECONDS if age <= COARSE_SECONDS else OLD_STEP_SECONDS
