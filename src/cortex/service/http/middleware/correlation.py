"""Gives each request its ids, and each answer the headers that were collected."""

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cortex.foundation.ids import IdSource
from cortex.service.http.record import RequestRecord, attach
from cortex.telemetry import correlation

_ALWAYS = ((b"x-content-type-options", b"nosniff"), (b"cache-control", b"no-store"))


class Correlation:
    """Outermost: everything inside knows the correlation id."""

    def __init__(self, app: ASGIApp, ids: IdSource) -> None:
        """Wrap ``app``."""
        self._app = app
        self._ids = ids

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with its ids bound."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        traceparent = headers.get("traceparent")
        record = RequestRecord(
            request_id=self._ids.new(),
            correlation_id=correlation.accept(headers.get("x-correlation-id"))
            or self._ids.new(),
        )
        if traceparent and correlation.parse_traceparent(traceparent) is not None:
            record.traceparent = traceparent
        attach(scope, record)

        async def send_with_ids(message: Message) -> None:
            if message["type"] == "http.response.start":
                record.status = message["status"]
                message["headers"] = [*message["headers"], *_headers(record)]
            await send(message)

        with correlation.bound(record.correlation_id):
            await self._app(scope, receive, send_with_ids)


def _headers(record: RequestRecord) -> list[tuple[bytes, bytes]]:
    return [
        (b"x-correlation-id", record.correlation_id.encode()),
        (b"x-request-id", record.request_id.encode()),
        *record.headers,
        *_ALWAYS,
    ]
