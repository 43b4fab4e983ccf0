"""One log line and one sample for each request."""

from starlette.types import ASGIApp, Receive, Scope, Send

from cortex.foundation.clock import Clock
from cortex.service.http.record import OPEN_PATHS, record_of, route_of
from cortex.telemetry.logs import Logger
from cortex.telemetry.metrics import Metrics, RequestSample

_KNOWN_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_PATH_CHARACTERS_MAX = 256
"""Characters of a path that are logged: paths come from the caller."""

_ABORTED = 499
"""Logged as status when the client left before the answer began."""


class Access:
    """Logs and counts; probes are logged as debug."""

    def __init__(
        self, app: ASGIApp, clock: Clock, metrics: Metrics, log: Logger
    ) -> None:
        """Wrap ``app``."""
        self._app = app
        self._clock = clock
        self._metrics = metrics
        self._log = log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and tell how it went."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = self._clock.monotonic()
        self._metrics.requests_in_flight.inc()
        try:
            await self._app(scope, receive, send)
        finally:
            self._metrics.requests_in_flight.dec()
            self._tell(scope, self._clock.monotonic() - started)

    def _tell(self, scope: Scope, seconds: float) -> None:
        record = record_of(scope)
        status = record.status or _ABORTED
        method = scope["method"] if scope["method"] in _KNOWN_METHODS else "OTHER"
        route = route_of(scope)
        self._metrics.request(RequestSample(route, method, status, seconds))
        if record.error_code:
            self._metrics.errors.labels(record.error_code).inc()
        client = scope.get("client")
        probe = scope["path"] in OPEN_PATHS
        write = self._log.debug if probe else self._log.info
        write(
            "request",
            method=method,
            route=route,
            path=scope["path"][:_PATH_CHARACTERS_MAX],
            status=status,
            duration_ms=round(seconds * 1000, 3),
            client=client[0] if client else "",
            subject=record.subject,
            request_id=record.request_id,
            traceparent=record.traceparent,
            error_code=record.error_code,
        )
