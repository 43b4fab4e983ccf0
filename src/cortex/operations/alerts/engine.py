"""Evaluates rules one after another and tells what changed, exactly once."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from cortex.bus.events import Event
from cortex.foundation.canonical import JsonValue
from cortex.foundation.ids import IdSource
from cortex.foundation.tenancy import DEFAULT_TENANT
from cortex.operations.alerts.model import (
    AlertState,
    Change,
    Evaluation,
    Phase,
    Rule,
    escalated,
    resumed,
    step,
)
from cortex.operations.alerts.store import Kept
from cortex.operations.errors import AlertNotFound

GAP_SECONDS_MAX = 120.0
"""Time without evaluations that a pending wait survives: a restart, not an outage."""

EVALUATED_SECONDS = 60.0
"""Between two notes of the last evaluation, while nothing changes."""

_SOURCE = "cortex/operations"
_GONE = "the rule is no longer in force"


class StateStore(Protocol):
    """Where states survive; ``cortex.operations.alerts.store`` is one."""

    async def load(self) -> Kept:
        """Return everything."""
        ...

    async def save(
        self,
        states: Mapping[str, AlertState],
        events: Sequence[Event] = (),
        *,
        evaluated_at: float,
    ) -> None:
        """Store changed states and append their events, all or nothing."""
        ...


@dataclass(frozen=True, slots=True)
class Alert:
    """A rule and where it stands."""

    rule: Rule
    state: AlertState


class Alerts:
    """Every rule in force with its state; for one event loop, one process of many."""

    def __init__(
        self, rules: Iterable[Rule], store: StateStore, *, ids: IdSource
    ) -> None:
        """Take the rules; nothing is evaluated before ``open``."""
        self._rules = {rule.name: rule for rule in rules}
        self._states = dict.fromkeys(self._rules, AlertState())
        self._store = store
        self._ids = ids
        self._noted_at = 0.0

    def restate(self, rule: Rule) -> None:
        """Put a rule in force instead of the one of its name; its state stays."""
        self._rules[rule.name] = rule

    async def open(self, now: float) -> float:
        """Take over what an earlier process stored; return when it last looked.

        An alert of a rule that is gone is resolved.
        """
        kept = await self._store.load()
        gap = now - kept.evaluated_at
        removed: dict[str, AlertState] = {}
        events = []
        for name, state in kept.states.items():
            if name in self._rules:
                self._states[name] = resumed(state, now, gap, GAP_SECONDS_MAX)
                continue
            removed[name] = AlertState()
            if state.firing:
                data: dict[str, JsonValue] = {"rule": name, "reason": _GONE}
                events.append(self._event("alert.resolved", name, data, now))
        if removed:
            await self._store.save(removed, events, evaluated_at=kept.evaluated_at)
        return kept.evaluated_at

    async def evaluate(self, found: Sequence[Evaluation], now: float) -> list[Event]:
        """Take every rule one step; store the changes with their events.

        Nothing counts as done before it is stored: a failing store is tried again
        with the next evaluation.
        """
        states: dict[str, AlertState] = {}
        dirty: dict[str, AlertState] = {}
        events: list[Event] = []
        for one in found:
            before = self._states[one.rule.name]
            after, change = step(before, one, now)
            if escalated(after, one.rule, now) is not after:
                after = dirty[one.rule.name] = escalated(after, one.rule, now)
                events.append(self._escalated(one.rule, after, now))
            states[one.rule.name] = after
            if after.phase is not before.phase or after.since != before.since:
                dirty[one.rule.name] = after
            if change is not None:
                events.append(self._told(one.rule, after, change, now))
        events += self._objectives({**self._states, **states}, now)
        if dirty or events or now - self._noted_at >= EVALUATED_SECONDS:
            await self._store.save(dirty, events, evaluated_at=now)
            self._noted_at = now
        self._states.update(states)
        return events

    async def follow(self) -> None:
        """Take over what another process, which evaluates, has stored."""
        kept = await self._store.load()
        for name in self._states:
            self._states[name] = kept.states.get(name, AlertState())

    async def acknowledge(self, name: str, actor: str, now: float) -> Alert:
        """Note that somebody knows of a firing alert.

        Raises:
            AlertNotFound: it is not firing, or there is no such rule.
        """
        state = self._states.get(name)
        if state is None or not state.firing:
            message = f"no alert {name!r} is firing"
            raise AlertNotFound(message, hint="`cortex alerts list` shows which are.")
        if not state.acknowledged_by:
            state = replace(state, acknowledged_by=actor, acknowledged_at=now)
            data: dict[str, JsonValue] = {"rule": name, "actor": actor}
            event = self._event("alert.acknowledged", name, data, now)
            await self._store.save({name: state}, [event], evaluated_at=now)
            self._states[name] = state
        return Alert(self._rules[name], state)

    def standing(self) -> list[Alert]:
        """Return what is pending or firing, the longest first."""
        found = [
            Alert(self._rules[name], state)
            for name, state in self._states.items()
            if state.phase is not Phase.INACTIVE
        ]
        return sorted(found, key=lambda alert: alert.state.since)

    def firing_for(self, objective: str) -> list[Alert]:
        """Return the firing alerts of one promise, in the order of the rules."""
        return [
            Alert(rule, self._states[rule.name])
            for rule in self._rules.values()
            if rule.objective == objective and self._states[rule.name].firing
        ]

    def _objectives(self, after: Mapping[str, AlertState], now: float) -> list[Event]:
        """Return an event for each promise that began or ceased to burn."""
        events = []
        before_burning = self._burning(self._states)
        after_burning = self._burning(after)
        for name, rule in after_burning.items():
            if name not in before_burning:
                data: dict[str, JsonValue] = {
                    "objective": name,
                    "value": round(after[rule.name].value, 6),
                    "severity": rule.severity.value,
                }
                events.append(self._event("slo.burning", name, data, now))
        for name, rule in before_burning.items():
            if name not in after_burning:
                value = round(after[rule.name].value, 6)
                told: dict[str, JsonValue] = {"objective": name, "value": value}
                events.append(self._event("slo.recovered", name, told, now))
        return events

    def _burning(self, states: Mapping[str, AlertState]) -> dict[str, Rule]:
        return {
            rule.objective: rule
            for name, rule in reversed(self._rules.items())
            if rule.objective and states[name].firing
        }

    def _told(self, rule: Rule, state: AlertState, change: Change, now: float) -> Event:
        data: dict[str, JsonValue] = {
            "rule": rule.name,
            "severity": rule.severity.value,
            "value": round(state.value, 6),
        }
        if change is Change.FIRED:
            data |= {"component": rule.component, "reason": rule.summary}
        return self._event(f"alert.{change.value}", rule.name, data, now)

    def _escalated(self, rule: Rule, state: AlertState, now: float) -> Event:
        data: dict[str, JsonValue] = {
            "rule": rule.name,
            "severity": rule.severity.value,
            "value": round(state.value, 6),
        }
        return self._event("alert.escalated", rule.name, data, now)

    def _event(
        self, type_: str, subject: str, data: Mapping[str, JsonValue], now: float
    ) -> Event:
        return Event(
            id=self._ids.new(),
            type=type_,
            source=_SOURCE,
            time=now,
            subject=subject,
            tenant=DEFAULT_TENANT,
            data=data,
        )
