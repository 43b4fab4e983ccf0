"""One trace, one sample and one log line for each request."""

from starlette.types import ASGIApp, Receive, Scope, Send

from cortex.foundation.clock import Clock
from cortex.service.http.caller import EVENT_STREAM
from cortex.service.http.record import OPEN_PATHS, RequestRecord, record_of, route_of
from cortex.telemetry.logs import Logger
from cortex.telemetry.metrics import Metrics
from cortex.telemetry.request_metrics import RequestSample
from cortex.telemetry.tracing.model import Attribute
from cortex.telemetry.tracing.tracer import NoRoot, Root, Tracer

_KNOWN_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_PATH_CHARACTERS_MAX = 256
"""Characters of a path that are logged: paths come from the caller."""

_ABORTED = 499
"""Logged as status when the client left before the answer began."""

_FAILED = 500
"""Statuses from here on are the server's fault."""


class Access:
    """Traces, counts and logs; probes are logged as debug."""

    def __init__(
        self,
        app: ASGIApp,
        clock: Clock,
        metrics: Metrics,
        tracer: Tracer,
        log: Logger,
    ) -> None:
        """Wrap ``app``."""
        self._app = app
        self._clock = clock
        self._metrics = metrics
        self._tracer = tracer
        self._log = log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and tell how it went."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        record = record_of(scope)
        root = self._tracer.root("http", record.traceparent)
        started = self._clock.monotonic() - record.waited_seconds
        self._metrics.requests_in_flight.inc()
        try:
            with root:
                record.traceparent = root.traceparent
                try:
                    await self._app(scope, receive, send)
                finally:
                    seconds = self._clock.monotonic() - started
                    sample = _sample(scope, record, seconds)
                    root.endless = sample.route == EVENT_STREAM
                    if sample.status >= _FAILED:
                        root.fail(record.error_code or str(sample.status))
                    self._tell(scope, record, sample)
        finally:
            if record.leave is not None:
                record.leave()
            if root.kept_id:
                _describe(root, record, sample)
            self._metrics.requests_in_flight.dec()
            self._metrics.request(sample, root.kept_id)

    def _tell(self, scope: Scope, record: RequestRecord, sample: RequestSample) -> None:
        if record.error_code:
            self._metrics.errors.labels(record.error_code).inc()
        client = scope.get("client")
        probe = scope["path"] in OPEN_PATHS
        write = self._log.debug if probe else self._log.info
        write(
            "request",
            method=sample.method,
            route=sample.route,
            path=scope["path"][:_PATH_CHARACTERS_MAX],
            status=sample.status,
            duration_ms=round(sample.seconds * 1000, 3),
            client=client[0] if client else "",
            subject=record.subject,
            request_id=record.request_id,
            error_code=record.error_code,
        )


def _sample(scope: Scope, record: RequestRecord, seconds: float) -> RequestSample:
    method = scope["method"] if scope["method"] in _KNOWN_METHODS else "OTHER"
    return RequestSample(route_of(scope), method, record.status or _ABORTED, seconds)


def _describe(
    root: Root | NoRoot, record: RequestRecord, sample: RequestSample
) -> None:
    """Name a kept trace's outermost span as OpenTelemetry's conventions do."""
    root.name = f"{sample.method} {sample.route}"
    attributes: dict[str, Attribute] = {
        "http.request.method": sample.method,
        "http.route": sample.route,
        "http.response.status_code": sample.status,
        "cortex.correlation_id": record.correlation_id,
    }
    root.set(**attributes)
