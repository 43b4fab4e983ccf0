"""Traces, errors and the state of routes on the wire."""

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Self

from pydantic import Field, model_validator

from cortex.foundation.canonical import JsonValue
from cortex.foundation.errors import ValidationError
from cortex.foundation.limits import MOMENT_MAX
from cortex.service.fields import Wire
from cortex.telemetry.errors import ErrorGroup
from cortex.telemetry.history.question import WINDOW_SECONDS_MAX
from cortex.telemetry.tracing.model import SpanRecord, TraceRecord
from cortex.usecases.observed import Period, RouteStatus, SlowTrace, Spans

PERIOD_SECONDS = 3600.0
"""Time looked at when no beginning is given."""

ERRORS_PAGE = 50
ERRORS_PAGE_MAX = 500

_Time = Annotated[float, Field(ge=0, le=MOMENT_MAX, allow_inf_nan=False)]


class SpansQuery(Wire):
    """GET /performance/spans."""

    start: _Time | None = Field(
        None, alias="from", description="Epoch seconds; an hour before the end."
    )
    end: _Time | None = Field(
        None, alias="to", description="Epoch seconds; now when not given."
    )
    against_from: _Time | None = Field(
        None, description="Begin of an earlier period to compare with."
    )
    against_to: _Time | None = Field(
        None, description="Its end; the begin of the first period when not given."
    )

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.against_to is not None and self.against_from is None:
            message = "against_to needs against_from"
            raise ValidationError(message, field="against_to")
        return self

    def period(self, now: float) -> Period:
        """Return the period looked at."""
        end = now if self.end is None else self.end
        start = end - PERIOD_SECONDS if self.start is None else self.start
        return _checked(start, end, "from")

    def against(self, now: float) -> Period | None:
        """Return the period compared with, if any."""
        if self.against_from is None:
            return None
        end = self.period(now)[0] if self.against_to is None else self.against_to
        return _checked(self.against_from, end, "against_from")


class ErrorsQuery(Wire):
    """GET /performance/errors."""

    since: _Time = Field(0.0, description="Epoch seconds; only groups seen since.")
    limit: Annotated[int, Field(ge=1, le=ERRORS_PAGE_MAX)] = ERRORS_PAGE


class StatusQuery(Wire):
    """GET /performance/status."""

    window: Annotated[
        float, Field(ge=20, le=WINDOW_SECONDS_MAX, allow_inf_nan=False)
    ] = Field(300.0, description="Seconds looked back.")


class PartAnswer(Wire):
    """All spans of one name."""

    name: str
    count: float
    errors: float
    p50_ms: float
    p95_ms: float
    self_ms: float
    self_share: float
    critical_share: float


class StepAnswer(Wire):
    """A stretch of a critical path."""

    name: str
    start_ms: float
    ms: float


class SlowestAnswer(Wire):
    """The slowest request of a period."""

    trace_id: str
    name: str
    ms: float
    critical_path: list[StepAnswer]


class DifferenceAnswer(Wire):
    """One name in two periods; without ratio where it took no time before."""

    name: str
    before_ms: float
    after_ms: float
    ratio: float | None
    sure: bool


class SpansAnswer(Wire):
    """Where the time of a period went; the bottleneck is the first part."""

    traces: int
    requests: float
    bottleneck: str | None
    parts: list[PartAnswer]
    slowest: SlowestAnswer | None
    differences: list[DifferenceAnswer]


class SpanAnswer(Wire):
    """One span of a trace."""

    span_id: str
    parent_id: str
    name: str
    start: float
    ms: float
    error: str
    attributes: dict[str, str | int | float | bool]


class TraceAnswer(Wire):
    """What was kept of a trace, and why."""

    trace_id: str
    reasons: list[str]
    dropped: int
    spans: list[SpanAnswer]


class ErrorAnswer(Wire):
    """A group of errors."""

    fingerprint: str
    type: str
    code: str
    place: str
    route: str
    message: str
    frames: list[str]
    count: int
    first_seen: float
    last_seen: float
    last_trace_id: str
    last_correlation_id: str


class ErrorsAnswer(Wire):
    """Groups of errors, the last seen first."""

    errors: list[ErrorAnswer]


class RouteAnswer(Wire):
    """How one route did; null where nothing is known."""

    route: str
    rate: float
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    error_ratio: float | None


class StatusAnswer(Wire):
    """How the routes did in the window, the busiest first."""

    window: float
    rate: float
    routes: list[RouteAnswer]


def spans(found: Spans) -> dict[str, JsonValue]:
    """Return the answer."""
    return {
        "traces": found.traces,
        "requests": round(found.requests, 3),
        "bottleneck": found.parts[0].name if found.parts else None,
        "parts": [_rounded(asdict(part)) for part in found.parts],
        "slowest": None if found.slowest is None else _slowest(found.slowest),
        "differences": [
            _rounded(asdict(difference)) for difference in found.differences
        ],
    }


def trace(found: Sequence[TraceRecord]) -> dict[str, JsonValue]:
    """Return what was kept of one trace by all who worked on it."""
    return {
        "trace_id": found[0].top.trace_id,
        "reasons": [*sorted({one.reason.value for one in found})],
        "dropped": sum(one.dropped for one in found),
        "spans": [
            _span(span)
            for span in sorted(
                (span for one in found for span in one.spans),
                key=lambda span: span.start,
            )
        ],
    }


def errors(found: Sequence[ErrorGroup]) -> dict[str, JsonValue]:
    """Return the answer."""
    return {"errors": [_error(group) for group in found]}


def status(window: float, found: Sequence[RouteStatus]) -> dict[str, JsonValue]:
    """Return the answer."""
    return {
        "window": window,
        "rate": round(sum(route.rate for route in found), 6),
        "routes": [_rounded(asdict(route)) for route in found],
    }


def _error(group: ErrorGroup) -> dict[str, JsonValue]:
    told: dict[str, JsonValue] = asdict(group)
    told["frames"] = [*group.frames]
    return told


def _slowest(slow: SlowTrace) -> dict[str, JsonValue]:
    top = slow.trace.top
    return {
        "trace_id": top.trace_id,
        "name": top.name,
        "ms": round(top.seconds * 1000, 3),
        "critical_path": [_rounded(asdict(step)) for step in slow.path],
    }


def _span(span: SpanRecord) -> dict[str, JsonValue]:
    return {
        "span_id": span.span_id,
        "parent_id": span.parent_id,
        "name": span.name,
        "start": span.start,
        "ms": round(span.seconds * 1000, 3),
        "error": span.error,
        "attributes": dict(span.attributes),
    }


def _rounded(values: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """Return figures a person can read; JSON has neither NaN nor infinity."""
    return {name: _shown(value) for name, value in values.items()}


def _shown(value: JsonValue) -> JsonValue:
    if not isinstance(value, float):
        return value
    return round(value, 6) if math.isfinite(value) else None


def _checked(start: float, end: float, field: str) -> Period:
    if start >= end:
        raise ValidationError("the period ends before it begins", field=field)
    return start, end
