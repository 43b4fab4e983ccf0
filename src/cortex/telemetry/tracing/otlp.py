"""Kept traces to an OpenTelemetry collector: OTLP over HTTP, as JSON.

OTLP 1.3, section "JSON Protobuf Encoding": ids are hexadecimal, 64-bit integers are
strings. Which answers mean *later* is as "OTLP/HTTP Response" there says.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from http import HTTPStatus

import orjson

from cortex.foundation.canonical import JsonValue
from cortex.telemetry.tracing.export import Answer, Outcome
from cortex.telemetry.tracing.model import Attribute, SpanRecord, TraceRecord

PATH = "/v1/traces"
SCOPE = "cortex.telemetry"

_KIND_INTERNAL = 1
_KIND_SERVER = 2
_STATUS_ERROR = 2
_LATER = frozenset(
    {
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.BAD_GATEWAY,
        HTTPStatus.SERVICE_UNAVAILABLE,
        HTTPStatus.GATEWAY_TIMEOUT,
    }
)

Post = Callable[[str, bytes, Mapping[str, str]], Awaitable[tuple[int, str]]]
"""Sends bytes to an address with headers; returns the status of the answer and its
``Retry-After``. ``OSError`` when none comes in time."""


class OtlpExporter:
    """Sends kept traces to one collector."""

    def __init__(
        self, endpoint: str, resource: Mapping[str, Attribute], post: Post
    ) -> None:
        """Take where to, what this server is called, and what sends."""
        self.url = endpoint.rstrip("/") + PATH
        self._resource = dict(resource)
        self._post = post

    async def send(self, traces: Sequence[TraceRecord]) -> Answer:
        """Send traces; return whether the collector has them."""
        body = orjson.dumps(document(traces, self._resource))
        headers = {"Content-Type": "application/json"}
        try:
            status, retry_after = await self._post(self.url, body, headers)
        except OSError as error:
            return Answer(
                Outcome.LATER, f"no answer: {str(error) or type(error).__name__}"
            )
        if status // 100 == 2:  # noqa: PLR2004 - the class of good answers
            return Answer(Outcome.SENT)
        reason = f"answers {status}"
        if status in _LATER:
            seconds = float(retry_after) if retry_after.isdecimal() else 0.0
            return Answer(Outcome.LATER, reason, seconds)
        return Answer(Outcome.REFUSED, reason)


def document(
    traces: Sequence[TraceRecord], resource: Mapping[str, Attribute]
) -> dict[str, JsonValue]:
    """Return an ``ExportTraceServiceRequest``."""
    spans: list[JsonValue] = [
        _span(one, trace, top=one is trace.top)
        for trace in traces
        for one in trace.spans
    ]
    scope: dict[str, JsonValue] = {"scope": {"name": SCOPE}, "spans": spans}
    return {
        "resourceSpans": [
            {"resource": {"attributes": _attributes(resource)}, "scopeSpans": [scope]}
        ]
    }


def _span(one: SpanRecord, trace: TraceRecord, *, top: bool) -> dict[str, JsonValue]:
    begin = round(one.start * 1e9)
    served = top and "http.request.method" in one.attributes
    told: dict[str, JsonValue] = {
        "traceId": one.trace_id,
        "spanId": one.span_id,
        "name": one.name,
        "kind": _KIND_SERVER if served else _KIND_INTERNAL,
        "startTimeUnixNano": str(begin),
        "endTimeUnixNano": str(begin + round(one.seconds * 1e9)),
        "attributes": _attributes(one.attributes),
    }
    if one.parent_id:
        told["parentSpanId"] = one.parent_id
    if one.error:
        told["status"] = {"code": _STATUS_ERROR, "message": one.error}
    if top and trace.dropped:
        told["attributes"] = _attributes(
            {**one.attributes, "cortex.dropped_spans": trace.dropped}
        )
    return told


def _attributes(values: Mapping[str, Attribute]) -> list[JsonValue]:
    return [{"key": key, "value": _value(value)} for key, value in values.items()]


def _value(value: Attribute) -> dict[str, JsonValue]:
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": value}
    return {"stringValue": value}
