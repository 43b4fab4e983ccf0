"""Health that really asks: each check calls its dependency under a deadline."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from cortex.foundation.canonical import JsonValue
from cortex.foundation.clock import Clock
from cortex.foundation.errors import CortexError
from cortex.usecases.model import CheckResult, HealthReport, Readiness, Status

CHECK_SECONDS_MAX = 2.0
"""A check that takes longer counts as failed: probes must not hang."""

Check = Callable[[], Awaitable[Mapping[str, JsonValue]]]
"""Asks one dependency; returns facts, or raises. ``degraded: true`` says so."""


class Health:
    """Asks all registered checks at once and tells the worst."""

    def __init__(
        self, checks: Mapping[str, Check], *, vital: frozenset[str], clock: Clock
    ) -> None:
        """Take checks by name; a failing vital one makes the whole unhealthy."""
        self._checks = dict(checks)
        self._vital = vital
        self._clock = clock

    async def __call__(self) -> HealthReport:
        """Return every check's answer, measured now."""
        results = await asyncio.gather(*map(self._asked, self._checks.values()))
        checks = dict(zip(self._checks, results, strict=True))
        return HealthReport(self._overall(checks), checks)

    def _overall(self, checks: Mapping[str, CheckResult]) -> Status:
        failing = {n for n, c in checks.items() if c.status is Status.UNHEALTHY}
        if failing & self._vital:
            return Status.UNHEALTHY
        if failing or any(c.status is Status.DEGRADED for c in checks.values()):
            return Status.DEGRADED
        return Status.OK

    async def _asked(self, check: Check) -> CheckResult:
        started = self._clock.monotonic()
        detail: Mapping[str, JsonValue] = {}
        error = ""
        try:
            async with asyncio.timeout(CHECK_SECONDS_MAX):
                detail = await check()
        except TimeoutError:
            error = f"no answer within {CHECK_SECONDS_MAX} s"
        except (CortexError, OSError) as failure:
            error = str(failure)
        latency_ms = (self._clock.monotonic() - started) * 1000
        if error:
            return CheckResult(Status.UNHEALTHY, latency_ms, error)
        status = Status.DEGRADED if detail.get("degraded") else Status.OK
        return CheckResult(status, latency_ms, detail=detail)


class Ready:
    """Whether traffic may come: started, not draining, and vital checks pass."""

    def __init__(self, state: Callable[[], str], health: Health) -> None:
        """Take the lifecycle's state name and the health use case."""
        self._state = state
        self._health = health

    async def __call__(self) -> Readiness:
        """Return readiness with the reason when it is not given."""
        state = self._state()
        if state != "ready":
            return Readiness(ready=False, reason=state)
        report = await self._health()
        if report.status is Status.UNHEALTHY:
            failing = ", ".join(
                name
                for name, check in report.checks.items()
                if check.status is Status.UNHEALTHY
            )
            return Readiness(ready=False, reason=f"unhealthy: {failing}")
        return Readiness(ready=True)
