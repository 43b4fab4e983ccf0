"""A clock that tests move by hand, and ids that count."""

import itertools

import pytest

from cortex.foundation.clock import Clock
from cortex.foundation.ids import IdSource

START = 1_800_000_000.0  # 2027-01-15T08:00:00Z, a Friday


class HandClock(Clock):
    """Stands still until it is moved; sleeping moves it."""

    def __init__(self, now: float = START) -> None:
        self.wall = now
        self.running = 0.0

    def now(self) -> float:
        return self.wall

    def monotonic(self) -> float:
        return self.running

    async def sleep(self, seconds: float) -> None:
        self.advance(seconds)

    def advance(self, seconds: float) -> None:
        self.wall += seconds
        self.running += seconds


class CountedIds(IdSource):
    def __init__(self) -> None:
        self._numbers = itertools.count(1)

    def new(self) -> str:
        return f"id-{next(self._numbers):04}"


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def ids() -> CountedIds:
    return CountedIds()
