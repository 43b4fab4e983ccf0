"""performance.status, performance.spans, slo.status and alerts.list: reading only."""

import math
from typing import Annotated, Any

from pydantic import Field

from cortex.operations.alerts.engine import Alert
from cortex.operations.slo.report import Promise
from cortex.security.scopes import Scope
from cortex.service.fields import Wire
from cortex.service.mcp.calling import Caller
from cortex.service.mcp.shapes import moment
from cortex.service.mcp.tool import Answer, Tool
from cortex.telemetry.history.question import WINDOW_SECONDS_MAX
from cortex.telemetry.tracing.analysis import Part
from cortex.usecases.catalog import UseCases
from cortex.usecases.observed import RouteStatus

WINDOW_SECONDS = 300.0
WINDOW_SECONDS_MIN = 20.0
"""Two looks of the history, which is what a rate needs."""

SPANS_SECONDS = 3_600.0

ROUTES_MAX = 20
PARTS_MAX = 15
"""What an agent reads of a long table; the HTTP API has all of it."""

_Share = Annotated[float, Field(ge=0, le=1)]


class NoArguments(Wire):
    """Takes nothing."""


class StatusArguments(Wire):
    """How far back."""

    window_seconds: Annotated[
        float, Field(ge=WINDOW_SECONDS_MIN, le=WINDOW_SECONDS_MAX, allow_inf_nan=False)
    ] = WINDOW_SECONDS


class SpansArguments(Wire):
    """How far back."""

    window_seconds: Annotated[
        float, Field(ge=WINDOW_SECONDS_MIN, le=WINDOW_SECONDS_MAX, allow_inf_nan=False)
    ] = SPANS_SECONDS


class RouteShape(Wire):
    """One route; null where nothing is known."""

    route: str
    requests_per_second: float
    p50_ms: float | None
    p95_ms: float | None
    error_share: float | None


class StatusAnswer(Wire):
    """The busiest routes first."""

    window_seconds: float
    routes: list[RouteShape]
    more: Annotated[int, Field(description="Routes that are not told.")]


class PartShape(Wire):
    """One kind of work."""

    name: str
    p50_ms: float | None
    p95_ms: float | None
    self_share: Annotated[_Share, Field(description="Of all time spent.")]
    critical_share: Annotated[_Share, Field(description="Of the time waited for.")]


class SpansAnswer(Wire):
    """Where time goes; the bottleneck is the first part."""

    window_seconds: float
    requests: Annotated[float, Field(description="As the kept traces stand for.")]
    parts: list[PartShape]


class PromiseShape(Wire):
    """One promise."""

    name: str
    state: Annotated[str, Field(description="ok, no_data, burning or exhausted")]
    target: _Share
    good_share: float | None
    budget_left: Annotated[_Share, Field(description="Share of the error budget.")]
    threshold_ms: float | None


class SloAnswer(Wire):
    """The worst of all promises, and each of them."""

    state: str
    promises: list[PromiseShape]


class AlertShape(Wire):
    """One alert."""

    name: str
    phase: Annotated[str, Field(description="pending or firing")]
    severity: str
    component: str
    summary: str
    since: Annotated[str, Field(description="ISO 8601, UTC.")]
    value: float | None
    acknowledged_by: str


class AlertsAnswer(Wire):
    """The longest first."""

    alerts: list[AlertShape]


class PerformanceTools:
    """Tools that tell how the service does."""

    def __init__(self, cases: UseCases) -> None:
        """Take the use cases."""
        self._observed = cases.observed
        self._operations = cases.operations

    def tools(self) -> tuple[Tool[Any], ...]:
        """Return the tools."""
        return (
            Tool(
                "performance.status",
                "Routes",
                "Tell each route's requests a second, latency and share of errors "
                "over the last seconds, the busiest first.",
                StatusArguments,
                StatusAnswer,
                Scope.PERFORMANCE,
                "read",
                self.status,
            ),
            Tool(
                "performance.spans",
                "Where time goes",
                "Tell what requests spent their time on, the bottleneck first.",
                SpansArguments,
                SpansAnswer,
                Scope.PERFORMANCE,
                "read",
                self.spans,
            ),
            Tool(
                "slo.status",
                "Promises",
                "Tell whether each service level objective is kept, and what is left "
                "of its error budget.",
                NoArguments,
                SloAnswer,
                Scope.PERFORMANCE,
                "read",
                self.slo,
            ),
            Tool(
                "alerts.list",
                "Alerts",
                "List the alerts that are pending or fire.",
                NoArguments,
                AlertsAnswer,
                Scope.PERFORMANCE,
                "read",
                self.alerts,
            ),
        )

    async def status(self, caller: Caller, given: StatusArguments) -> Answer:
        """Tell how each route did."""
        caller.allowed()
        known = await self._observed.status(given.window_seconds)
        found = [route for route in known if route.rate > 0]
        told = [_route(route) for route in found[:ROUTES_MAX]]
        content = {
            "window_seconds": given.window_seconds,
            "routes": told,
            "more": len(found) - len(told),
        }
        lines = [
            f"{route['route']}: {route['requests_per_second']:.3g}/s, "
            f"P95 {_said(route['p95_ms'], '.3g', ' ms')}, "
            f"errors {_said(route['error_share'], '.2%')}"
            for route in told
        ]
        return Answer(content, "\n".join(lines) or "No requests in this time.")

    async def spans(self, caller: Caller, given: SpansArguments) -> Answer:
        """Tell where time went."""
        caller.allowed()
        now = self._observed.clock.now()
        found = await self._observed.spans((now - given.window_seconds, now), None)
        parts = [_part(part) for part in found.parts[:PARTS_MAX]]
        content = {
            "window_seconds": given.window_seconds,
            "requests": found.requests,
            "parts": parts,
        }
        lines = [
            f"{part['name']}: {part['self_share']:.0%} of the time, "
            f"P95 {_said(part['p95_ms'], '.3g', ' ms')}"
            for part in parts
        ]
        return Answer(content, "\n".join(lines) or "No traces are kept of this time.")

    async def slo(self, caller: Caller, _given: NoArguments) -> Answer:
        """Tell whether promises are kept."""
        caller.allowed()
        report = await self._operations.slo()
        promises = [_promise(promise) for promise in report.promises]
        content = {"state": report.state.value, "promises": promises}
        lines = [
            f"{one['name']}: {one['state']}, {one['budget_left']:.0%} of budget left"
            for one in promises
            if one["state"] != "no_data"
        ]
        return Answer(content, "\n".join([f"Promises: {report.state.value}.", *lines]))

    async def alerts(self, caller: Caller, _given: NoArguments) -> Answer:
        """List alerts."""
        caller.allowed()
        told = [_alert(alert) for alert in await self._operations.alerts()]
        lines = [
            f"{one['name']} ({one['severity']}) {one['phase']} since {one['since']}: "
            f"{one['summary']}"
            for one in told
        ]
        return Answer({"alerts": told}, "\n".join(lines) or "No alert stands.")


def _route(route: RouteStatus) -> dict[str, Any]:
    return {
        "route": route.route,
        "requests_per_second": _figure(route.rate) or 0.0,
        "p50_ms": _figure(route.p50_ms),
        "p95_ms": _figure(route.p95_ms),
        "error_share": _figure(route.error_ratio),
    }


def _part(part: Part) -> dict[str, Any]:
    return {
        "name": part.name,
        "p50_ms": _figure(part.p50_ms),
        "p95_ms": _figure(part.p95_ms),
        "self_share": _share(part.self_share),
        "critical_share": _share(part.critical_share),
    }


def _promise(promise: Promise) -> dict[str, Any]:
    standing = promise.standing
    counts, threshold = standing.budget.counts, standing.objective.threshold_seconds
    return {
        "name": standing.objective.name,
        "state": promise.state.value,
        "target": _share(standing.objective.target),
        "good_share": _share(1.0 - counts.bad_ratio) if counts.total else None,
        "budget_left": _share(standing.budget.remaining),
        "threshold_ms": None if threshold is None else threshold * 1_000,
    }


def _alert(alert: Alert) -> dict[str, Any]:
    return {
        "name": alert.rule.name,
        "phase": alert.state.phase.value,
        "severity": alert.rule.severity.value,
        "component": alert.rule.component,
        "summary": alert.rule.summary,
        "since": moment(alert.state.since),
        "value": _figure(alert.state.value),
        "acknowledged_by": alert.state.acknowledged_by,
    }


def _figure(value: float) -> float | None:
    """Return a figure to read; JSON has neither NaN nor infinity."""
    return round(value, 6) if math.isfinite(value) else None


def _share(value: float) -> float:
    """Return a share; sums of floats may be a hair beyond."""
    return min(1.0, max(0.0, round(value, 9)))


def _said(value: float | None, form: str, unit: str = "") -> str:
    return "unknown" if value is None else f"{value:{form}}{unit}"
