"""A clock that stands still until a test lets time pass, and wakes who sleeps on it."""

import asyncio
import heapq
import itertools

START = 1_700_000_000.0
"""The first moment: 2023-11-14 22:13:20 UTC."""


class ManualClock:
    """Time under a test's control; for one event loop.

    Wall time can be stepped apart from monotonic time, as an operator or NTP would.
    """

    def __init__(self, now: float = START) -> None:
        """Start at ``now`` epoch seconds."""
        self._now = now
        self._elapsed = 0.0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._order = itertools.count()

    def now(self) -> float:
        """Return the wall time."""
        return self._now

    def monotonic(self) -> float:
        """Return the seconds that have passed."""
        return self._elapsed

    async def sleep(self, seconds: float) -> None:
        """Wait until the test has let so much time pass; zero only yields."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        wake: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        until = self._elapsed + seconds
        heapq.heappush(self._sleepers, (until, next(self._order), wake))
        await wake

    def advance(self, seconds: float) -> None:
        """Let time pass, and wake those whose sleep is over."""
        self._now += seconds
        self._elapsed += seconds
        while self._sleepers and self._sleepers[0][0] <= self._elapsed:
            _, _, wake = heapq.heappop(self._sleepers)
            if not wake.done():
                wake.set_result(None)

    def step(self, seconds: float) -> None:
        """Set the wall clock forward or back; nobody wakes."""
        self._now += seconds

    @property
    def sleepers(self) -> int:
        """Return how many wait."""
        return sum(not wake.done() for _, _, wake in self._sleepers)
