"""Rate limits by GCRA, the generic cell rate algorithm (ITU-T I.371, annex A).

One float a client is the whole state: the theoretical arrival time (TAT) at which the
client's burst would be full again. The decision is a pure function of it; the table
that remembers it is bounded.
"""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Protocol

from cortex.foundation.clock import Clock

CLIENTS_MAX = 10_000
"""Buckets kept: at about 200 bytes each, 2 MB; idle ones are dropped first."""

_SWEEP_MAX = 8
"""Idle buckets dropped per call: keeps the cost of one call flat."""


@dataclass(frozen=True, slots=True)
class Rate:
    """At most ``requests`` at once, refilled evenly over ``period_seconds``."""

    requests: int
    period_seconds: float = 60.0

    @property
    def interval_seconds(self) -> float:
        """Return the time that one request uses up."""
        return self.period_seconds / self.requests


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a request may pass, and what is left.

    Attributes:
        arrival: the client's new TAT, on the caller's monotonic clock; 0 where the
            keeper has a clock of its own.
        remaining: requests that could follow at once.
        retry_after_seconds: wait before the next can pass; 0 when allowed.
        reset_seconds: wait until the whole burst is free again.
    """

    allowed: bool
    arrival: float
    remaining: int
    retry_after_seconds: float
    reset_seconds: float


def judge(rate: Rate, arrival: float | None, now: float) -> Verdict:
    """Decide one request that comes at ``now`` (monotonic seconds).

    Args:
        rate: the limit.
        arrival: TAT after the client's last allowed request; None for a new client.
        now: the moment of the request.
    """
    start = now if arrival is None else max(arrival, now)
    after = start + rate.interval_seconds
    wait = after - now - rate.period_seconds
    slack = rate.interval_seconds * 1e-6
    if wait > slack:
        return Verdict(
            allowed=False,
            arrival=start,
            remaining=0,
            retry_after_seconds=wait,
            reset_seconds=start - now,
        )
    free = (rate.period_seconds - (after - now) + slack) / rate.interval_seconds
    return Verdict(
        allowed=True,
        arrival=after,
        remaining=max(0, int(free)),
        retry_after_seconds=0.0,
        reset_seconds=after - now,
    )


class Buckets:
    """The TAT of each client, bounded; for one event loop or one thread.

    A bucket whose TAT has passed is the same as none, so it can go at any time. When
    all are in use, the one longest unused goes: a flood of clients then costs the
    quietest their history, never the process its memory.
    """

    def __init__(self, clients_max: int = CLIENTS_MAX) -> None:
        """Start empty."""
        self._clients_max = clients_max
        self._arrivals: OrderedDict[tuple[str, str], float] = OrderedDict()

    def __len__(self) -> int:
        """Return how many clients are remembered."""
        return len(self._arrivals)

    def take(self, client: str, group: str, rate: Rate, now: float) -> Verdict:
        """Charge one request of ``client`` in ``group`` and return the verdict."""
        key = (client, group)
        verdict = judge(rate, self._arrivals.get(key), now)
        self._arrivals[key] = verdict.arrival
        self._arrivals.move_to_end(key)
        self._sweep(now)
        return verdict

    def _sweep(self, now: float) -> None:
        for _ in range(_SWEEP_MAX):
            oldest = next(iter(self._arrivals))
            full = len(self._arrivals) > self._clients_max
            if not full and self._arrivals[oldest] > now:
                return
            if len(self._arrivals) == 1:
                return
            del self._arrivals[oldest]


class Rates(Protocol):
    """Charges clients and says which may pass."""

    async def take(self, client: str, group: str, rate: Rate) -> Verdict:
        """Charge one request of ``client`` in ``group`` and return the verdict."""
        ...


class LocalRates:
    """`Rates` of this process alone."""

    def __init__(self, clock: Clock) -> None:
        """Start with full buckets."""
        self._buckets = Buckets()
        self._clock = clock

    def __len__(self) -> int:
        """Return how many clients are remembered."""
        return len(self._buckets)

    async def take(self, client: str, group: str, rate: Rate) -> Verdict:
        """Charge one request; never waits."""
        return self._buckets.take(client, group, rate, self._clock.monotonic())
