"""Rate limits shared by processes and hosts: one TAT a client, kept by Redis.

A limit must never be the reason that a service stands still: while the server does not
answer, each process keeps the limits by itself, and says so.
"""

import asyncio
from importlib.resources import files
from typing import Any, Final, cast
from urllib.parse import quote

from cortex.foundation.breaker import Breaker, BreakerPolicy, Refused
from cortex.foundation.bucket import LocalRates, Rate, Verdict
from cortex.foundation.clock import Clock

try:
    from redis.asyncio import Redis
    from redis.exceptions import RedisError
except ImportError as error:
    message = "limits in Redis need the extra: pip install 'cortex-context[redis]'"
    raise ImportError(message) from error

ANSWER_SECONDS_MAX: Final = 1.0
"""Longest wait for a verdict. A server that is down costs it once in a while."""

RETRY_SECONDS: Final = 5.0
"""Time after which a server that failed is asked again."""

_MICROSECONDS: Final = 1_000_000


class RedisRates:
    """`Rates` on a server; each verdict is one atomic script."""

    def __init__(
        self,
        client: "Redis",
        clock: Clock,
        answer_seconds: float = ANSWER_SECONDS_MAX,
    ) -> None:
        """Use a client that returns bytes, waiting at most so long for a verdict."""
        self._client = client
        self._answer_seconds = answer_seconds
        self._alone = LocalRates(clock)
        self._breaker = Breaker(clock, BreakerPolicy(1, open_seconds=RETRY_SECONDS))
        script = files("cortex.storage").joinpath("lua", "gcra.lua").read_text()
        self._script = client.register_script(script)
        self._shared = True

    @classmethod
    def from_url(cls, url: str, clock: Clock) -> "RedisRates":
        """Connect lazily to ``redis://…``, ``rediss://…`` or ``unix://…``."""
        wait = ANSWER_SECONDS_MAX
        client = Redis.from_url(url, socket_timeout=wait, socket_connect_timeout=wait)
        return cls(client, clock)

    @property
    def shared(self) -> bool:
        """Return whether the last verdict was the server's."""
        return self._shared

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def take(self, client: str, group: str, rate: Rate) -> Verdict:
        """Charge one request; by this process alone while the server is away."""
        permit = self._breaker.enter()
        if not isinstance(permit, Refused):
            try:
                async with asyncio.timeout(self._answer_seconds):
                    verdict = await self._ask(client, group, rate)
            except (RedisError, OSError, TimeoutError):
                self._breaker.settle(permit, ok=False)
            except asyncio.CancelledError:
                self._breaker.abandon(permit)
                raise
            else:
                self._breaker.settle(permit, ok=True)
                self._shared = True
                return verdict
        self._shared = False
        return await self._alone.take(client, group, rate)

    async def _ask(self, client: str, group: str, rate: Rate) -> Verdict:
        key = f"cortex:rate:{quote(group, safe='')}:{quote(client, safe='')}"
        interval = round(rate.interval_seconds * _MICROSECONDS)
        period = round(rate.period_seconds * _MICROSECONDS)
        reply = self._script(keys=[key], args=[interval, period])
        allowed, reset, wait = await cast("Any", reply)
        return Verdict(
            allowed=bool(allowed),
            arrival=0.0,
            remaining=max(0, (period - reset) // interval) if allowed else 0,
            retry_after_seconds=wait / _MICROSECONDS,
            reset_seconds=reset / _MICROSECONDS,
        )
