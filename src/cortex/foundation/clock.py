"""Time as a parameter.

Wall time says *when*, for people and records; monotonic time says *how long*, for
timeouts and rates, and never steps back. No other module reads the system's clocks.
"""

import asyncio
import time
from typing import Protocol


class Clock(Protocol):
    """What a component may ask about time."""

    def now(self) -> float:
        """Return wall time in seconds since the Unix epoch (may step)."""
        ...

    def monotonic(self) -> float:
        """Return seconds from an arbitrary start; never goes back."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait for at least ``seconds``; zero only yields."""
        ...


class SystemClock:
    """The machine's clocks; each request asks them a dozen times, so without detour."""

    now = staticmethod(time.time)
    monotonic = staticmethod(time.monotonic)

    async def sleep(self, seconds: float) -> None:
        """Wait on the running event loop."""
        await asyncio.sleep(seconds)
