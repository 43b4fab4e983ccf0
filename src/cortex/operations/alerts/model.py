"""An alert as a state machine over one condition: inactive, pending, firing.

The steps are those of a Prometheus alerting rule: a condition that holds makes the
alert pending; held for the rule's time it fires; the first evaluation without it ends
the alert.
"""

from dataclasses import dataclass, replace
from enum import StrEnum


class Severity(StrEnum):
    """How much it matters, least first."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"
    EMERGENCY = "emergency"


ESCALATED_FROM = frozenset((Severity.CRITICAL, Severity.EMERGENCY))
"""What wakes somebody up, and somebody else when nobody answers."""

ESCALATE_SECONDS = 900.0
"""How long an alert fires without an answer before it escalates."""


class Phase(StrEnum):
    """Where an alert stands."""

    INACTIVE = "inactive"
    PENDING = "pending"
    FIRING = "firing"


class Change(StrEnum):
    """What one step did that others must know."""

    FIRED = "fired"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True)
class Rule:
    """What may fire.

    Attributes:
        name: unique; programs match on it.
        for_seconds: how long the condition must hold before it fires.
        summary: one sentence for the person who is paged.
        component: what it is about, such as ``host``.
        objective: the promise in danger, if it is about one.
    """

    name: str
    severity: Severity
    for_seconds: float = 0.0
    summary: str = ""
    component: str = ""
    objective: str = ""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What a look at one rule found: whether its condition holds, and the figure."""

    rule: Rule
    holds: bool
    value: float


@dataclass(frozen=True, slots=True)
class AlertState:
    """One alert at one moment.

    Attributes:
        since: when the condition began to hold, epoch seconds; 0 while inactive.
        fired_at: when it fired; 0 unless firing.
        value: of the condition when it was last looked at.
        acknowledged_by: who said that they know; empty for nobody.
        escalated_at: when it escalated because nobody did; 0 if not.
    """

    phase: Phase = Phase.INACTIVE
    since: float = 0.0
    fired_at: float = 0.0
    value: float = 0.0
    acknowledged_by: str = ""
    acknowledged_at: float = 0.0
    escalated_at: float = 0.0

    @property
    def firing(self) -> bool:
        """Return whether people were told, and it still goes on."""
        return self.phase is Phase.FIRING


def step(
    state: AlertState, found: Evaluation, now: float
) -> tuple[AlertState, Change | None]:
    """Return the state after an evaluation, and what others must be told.

    Args:
        state: before.
        found: what the look at the rule found.
        now: epoch seconds; a step back restarts a pending wait, and never ends or
            hastens an alert by itself.
    """
    value = found.value
    if not found.holds:
        if state.phase is Phase.INACTIVE:
            return state, None
        return AlertState(value=value), Change.RESOLVED if state.firing else None
    if state.firing:
        return replace(state, value=value), None
    since = min(state.since, now) if state.phase is Phase.PENDING else now
    if now - since >= found.rule.for_seconds:
        fired = AlertState(Phase.FIRING, since, fired_at=now, value=value)
        return fired, Change.FIRED
    return AlertState(Phase.PENDING, since, value=value), None


def escalated(state: AlertState, rule: Rule, now: float) -> AlertState:
    """Return the state as it escalates, or the same: once, if nobody answers a page."""
    silent = state.firing and not state.acknowledged_by and not state.escalated_at
    late = now - state.fired_at >= ESCALATE_SECONDS
    if silent and late and rule.severity in ESCALATED_FROM:
        return replace(state, escalated_at=now)
    return state


def resumed(
    state: AlertState, now: float, gap_seconds: float, gap_max: float
) -> AlertState:
    """Return a stored state as it counts after a restart.

    What fires goes on firing until it is looked at. A pending wait survives a short
    gap; after a longer one nobody knows whether the condition held meanwhile.
    """
    if state.phase is not Phase.PENDING:
        return state
    if 0 <= gap_seconds <= gap_max:
        return replace(state, since=min(state.since, now))
    return AlertState()
