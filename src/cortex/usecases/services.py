"""Known services and their measured health."""

from collections.abc import Awaitable, Callable, Mapping

from cortex.foundation.clock import Clock
from cortex.usecases.model import HealthReport, ServiceHealth, ServiceInfo, Status

Ping = Callable[[str], Awaitable[None]]
"""Asks a URL and raises ``ConnectionError`` or ``TimeoutError`` when it is down."""


class Services:
    """Cortex itself and the services it was told of."""

    def __init__(
        self,
        own: ServiceInfo,
        health: Callable[[], Awaitable[HealthReport]],
        others: Mapping[str, str],
        *,
        ping: Ping,
        clock: Clock,
    ) -> None:
        """Take Cortex's own entry, its health, and other services' URLs by name."""
        self._own = own
        self._health = health
        self._others = dict(others)
        self._ping = ping
        self._clock = clock

    async def known(self) -> list[ServiceInfo]:
        """Return every known service, Cortex first."""
        others = (ServiceInfo(n, "http", url) for n, url in self._others.items())
        return [self._own, *others]

    async def check(self) -> list[ServiceHealth]:
        """Ask each service now."""
        return [await self._own_health()] + [
            await self._asked(name, url) for name, url in self._others.items()
        ]

    async def _own_health(self) -> ServiceHealth:
        started = self._clock.monotonic()
        report = await self._health()
        failing = [n for n, c in report.checks.items() if c.status is not Status.OK]
        return ServiceHealth(
            self._own.name,
            report.status.value,
            (self._clock.monotonic() - started) * 1000,
            self._clock.now(),
            ", ".join(failing),
        )

    async def _asked(self, name: str, url: str) -> ServiceHealth:
        started = self._clock.monotonic()
        error = ""
        try:
            await self._ping(url)
        except (ConnectionError, TimeoutError) as failure:
            error = str(failure) or type(failure).__name__
        status = Status.UNHEALTHY if error else Status.OK
        elapsed_ms = (self._clock.monotonic() - started) * 1000
        return ServiceHealth(name, status.value, elapsed_ms, self._clock.now(), error)
