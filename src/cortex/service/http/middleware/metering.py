"""Counts the CPU time of each request."""

from collections.abc import Callable
from typing import Protocol

from starlette.types import ASGIApp, Receive, Scope, Send

from cortex.foundation.metering import CpuMeter, Metered
from cortex.service.http.record import route_of


class Meters(Protocol):
    """Where the meters of requests are kept."""

    def begin(self, route: Callable[[], str]) -> tuple[CpuMeter, Callable[[], None]]:
        """Return a meter, and what to call at the request's end."""
        ...


class Metering:
    """Runs each request under a meter of its own."""

    def __init__(self, app: ASGIApp, meters: Meters) -> None:
        """Wrap ``app``."""
        self._app = app
        self._meters = meters

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, step by step."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        meter, end = self._meters.begin(lambda: route_of(scope))
        try:
            await Metered(self._app(scope, receive, send), meter)
        finally:
            end()
