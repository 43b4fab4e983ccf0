"""What is told about the promises: their state, and what is left of each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from cortex.operations.alerts.engine import Alert
from cortex.operations.alerts.model import Severity
from cortex.operations.slo.controller import Standing


class SloState(StrEnum):
    """Where a promise stands, best first."""

    OK = "ok"
    NO_DATA = "no_data"
    BURNING = "burning"
    EXHAUSTED = "exhausted"


@dataclass(frozen=True, slots=True)
class Baseline:
    """How one route did; a latency without its success rate is no result.

    Attributes:
        success_ratio: share of answers that were no server fault.
        p50_ms, p95_ms, p99_ms: estimated within histogram buckets; None without
            requests.
    """

    route: str
    requests: float
    success_ratio: float
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None


@dataclass(frozen=True, slots=True)
class Promise:
    """One promise, where it stands, and what fires for it."""

    standing: Standing
    state: SloState
    alerts: tuple[Alert, ...]


@dataclass(frozen=True, slots=True)
class SloReport:
    """All promises at one moment.

    Attributes:
        state: of the worst of them; no data is as good as fine.
        baseline: the routes since ``baseline_since``, the busiest first.
    """

    at: float
    state: SloState
    promises: tuple[Promise, ...]
    baseline: tuple[Baseline, ...]
    baseline_since: float


_ORDER = tuple(SloState)


def state_of(standing: Standing, alerts: Sequence[Alert]) -> SloState:
    """Return where a promise stands."""
    if not standing.budget.kept:
        return SloState.EXHAUSTED
    if any(alert.rule.severity is not Severity.INFO for alert in alerts):
        return SloState.BURNING
    return SloState.OK if standing.budget.counts.total else SloState.NO_DATA


def promises(
    standings: Sequence[Standing], firing: Mapping[str, Sequence[Alert]]
) -> tuple[Promise, ...]:
    """Return the promises, in the order given."""
    return tuple(
        Promise(one, state_of(one, alerts), tuple(alerts))
        for one in standings
        for alerts in (firing.get(one.objective.name, ()),)
    )


def worst(found: Sequence[Promise]) -> SloState:
    """Return the worst state; a promise without requests is kept."""
    states = [p.state for p in found if p.state is not SloState.NO_DATA]
    return max(states, key=_ORDER.index, default=SloState.OK)
