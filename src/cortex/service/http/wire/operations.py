"""Promises, alerts and energy on the wire."""

from typing import Annotated

from pydantic import StringConstraints

from cortex.operations.alerts.engine import Alert
from cortex.operations.slo.report import Baseline, Promise, SloReport
from cortex.service.fields import Wire

ALERT_NAME_CHARACTERS_MAX = 256


class AlertAnswer(Wire):
    """An alert that is pending or fires."""

    name: str
    phase: str
    severity: str
    component: str
    objective: str
    summary: str
    since: float
    fired_at: float | None
    value: float
    acknowledged_by: str
    acknowledged_at: float | None


class AlertsAnswer(Wire):
    """GET /alerts."""

    alerts: list[AlertAnswer]


class AcknowledgeBody(Wire):
    """POST /alerts/acknowledge."""

    name: Annotated[
        str, StringConstraints(min_length=1, max_length=ALERT_NAME_CHARACTERS_MAX)
    ]


class BudgetAnswer(Wire):
    """What is left of one promise; ``remaining`` and ``spent`` are shares of it."""

    requests: float
    bad: float
    allowed: float
    spent: float
    remaining: float


class BurnAnswer(Wire):
    """How fast the budget burns in one window; 1 uses it up at the period's end."""

    window_seconds: float
    rate: float


class ObjectiveAnswer(Wire):
    """One promise and where it stands: ok, no_data, burning or exhausted."""

    name: str
    group: str
    kind: str
    routes: list[str]
    target: float
    threshold_ms: float | None
    period_seconds: float
    covered_seconds: float
    state: str
    good_ratio: float | None
    budget: BudgetAnswer
    burn: list[BurnAnswer]
    alerts: list[AlertAnswer]


class BaselineAnswer(Wire):
    """How one route does; latencies are of answers that were no server fault."""

    route: str
    requests: float
    success_ratio: float
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None


class SloAnswer(Wire):
    """GET /slo."""

    at: float
    state: str
    objectives: list[ObjectiveAnswer]
    baseline: list[BaselineAnswer]
    baseline_since: float


def alert(value: Alert) -> dict[str, object]:
    """Shape one alert."""
    rule, state = value.rule, value.state
    return {
        "name": rule.name,
        "phase": state.phase,
        "severity": rule.severity,
        "component": rule.component,
        "objective": rule.objective,
        "summary": rule.summary,
        "since": state.since,
        "fired_at": state.fired_at or None,
        "value": state.value,
        "acknowledged_by": state.acknowledged_by,
        "acknowledged_at": state.acknowledged_at or None,
    }


def report(value: SloReport) -> dict[str, object]:
    """Shape the report."""
    return {
        "at": value.at,
        "state": value.state,
        "objectives": [_objective(promise) for promise in value.promises],
        "baseline": [_baseline(line) for line in value.baseline],
        "baseline_since": value.baseline_since,
    }


def _objective(value: Promise) -> dict[str, object]:
    standing = value.standing
    objective, budget = standing.objective, standing.budget
    counts, threshold = budget.counts, objective.threshold_seconds
    return {
        "name": objective.name,
        "group": objective.group,
        "kind": objective.kind,
        "routes": list(objective.routes),
        "target": round(objective.target, 9),
        "threshold_ms": None if threshold is None else threshold * 1_000,
        "period_seconds": objective.period_seconds,
        "covered_seconds": standing.covered_seconds,
        "state": value.state,
        "good_ratio": 1.0 - counts.bad_ratio if counts.total else None,
        "budget": {
            "requests": counts.total,
            "bad": counts.bad,
            "allowed": budget.allowed,
            "spent": budget.spent,
            "remaining": budget.remaining,
        },
        "burn": [
            {"window_seconds": window, "rate": rate}
            for window, rate in standing.burn.items()
        ],
        "alerts": [alert(item) for item in value.alerts],
    }


def _baseline(value: Baseline) -> dict[str, object]:
    return {
        "route": value.route,
        "requests": value.requests,
        "success_ratio": value.success_ratio,
        "p50_ms": value.p50_ms,
        "p95_ms": value.p95_ms,
        "p99_ms": value.p99_ms,
    }
