"""Promises, alerts and energy on the wire."""

from typing import Annotated

from pydantic import StringConstraints

from cortex.operations.alerts.engine import Alert
from cortex.operations.energy.controller import (
    SCI_RECALLS,
    EnergyReport,
    RouteTotal,
)
from cortex.operations.energy.model import co2e_grams
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


class WattsAnswer(Wire):
    """Power with its band; ``measured`` says whether a meter told it."""

    watts: float
    low: float
    high: float
    measured: bool
    source: str


class PartAnswer(Wire):
    """Energy of one part of the machine since the start."""

    part: str
    source: str
    measured: bool
    watts: float
    joules: float
    low_joules: float
    high_joules: float


class RouteEnergyAnswer(Wire):
    """Energy of the requests of one route, by their share of CPU time."""

    route: str
    requests: int
    cpu_seconds: float
    joules: float
    joules_per_request: float | None
    co2e_grams_per_request: float | None
    measured: bool
    source: str


class SciAnswer(Wire):
    """Software carbon intensity: grams CO2e for so many recalls, without hardware."""

    per_recalls: int
    recalls: int
    co2e_grams: float | None
    embodied_grams: float
    measured: bool
    source: str


class EnergyAnswer(Wire):
    """GET /metrics/energy; totals are since the server began."""

    power_watts: float
    power: WattsAnswer
    average_watts: float | None
    machine_watts: float
    measured: bool
    source: str
    seconds: float
    joules: float
    low_joules: float
    high_joules: float
    background_joules: float
    cpu_seconds: float
    co2e_grams: float
    grid_grams_per_kwh: float
    parts: list[PartAnswer]
    routes: list[RouteEnergyAnswer]
    sci: SciAnswer


def energy(value: EnergyReport) -> dict[str, object]:
    """Shape the report of energy."""
    totals = value.totals
    told = {"measured": value.measured, "source": value.source}
    busiest = sorted(totals.routes.items(), key=lambda item: -item[1].joules)
    return {
        "power_watts": value.power_watts,
        "power": {
            "watts": value.power_watts,
            "low": value.low_watts,
            "high": value.high_watts,
            **told,
        },
        "average_watts": value.average_watts,
        "machine_watts": value.machine_watts,
        **told,
        "seconds": totals.seconds,
        "joules": totals.joules,
        "low_joules": totals.low,
        "high_joules": totals.high,
        "background_joules": totals.background_joules,
        "cpu_seconds": totals.own_cpu_seconds,
        "co2e_grams": co2e_grams(totals.joules, value.grid_grams_per_kwh),
        "grid_grams_per_kwh": value.grid_grams_per_kwh,
        "parts": [
            {
                "part": part.part,
                "source": part.source,
                "measured": part.measured,
                "watts": part.watts,
                "joules": part.joules,
                "low_joules": part.low,
                "high_joules": part.high,
            }
            for part in totals.parts.values()
        ],
        "routes": [
            {**_route(name, use, value.grid_grams_per_kwh), **told}
            for name, use in busiest
        ],
        "sci": {
            "per_recalls": SCI_RECALLS,
            "recalls": value.recalls,
            "co2e_grams": value.sci_grams,
            "embodied_grams": 0.0,
            **told,
        },
    }


def _route(name: str, use: RouteTotal, grid: float) -> dict[str, object]:
    each = use.joules / use.requests if use.requests else None
    return {
        "route": name,
        "requests": use.requests,
        "cpu_seconds": use.cpu_seconds,
        "joules": use.joules,
        "joules_per_request": each,
        "co2e_grams_per_request": None if each is None else co2e_grams(each, grid),
    }


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
