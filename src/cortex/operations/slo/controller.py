"""Watches the promises: reads the counts, keeps their course, asks the policy."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from cortex.operations.alerts.model import Evaluation, Rule
from cortex.operations.slo.burn import (
    BURN_RULES,
    WINDOWS_SECONDS,
    BurnRule,
    burn_rate,
    burns,
)
from cortex.operations.slo.model import Budget, Counts, Objective, budget_of
from cortex.operations.slo.track import Point, Track

EVENTS_METRIC = "cortex_slo_requests_total"
BAD_METRIC = "cortex_slo_bad_requests_total"
"""Counters that hold the counts, labelled with the objective's name."""

LABEL = "objective"


class SeriesSource(Protocol):
    """What is asked of a history of metrics, after a restart."""

    async def counters(
        self, name: str, label: str, start: float, end: float
    ) -> Mapping[str, Sequence[tuple[float, float]]]:
        """Return (epoch seconds, cumulative value), oldest first, by a label's value.

        The values never fall: restarts of the counted process are evened out.
        """
        ...


SERVICE = "service:availability"
"""The promise over all requests; a file may change it but not take it away."""


@dataclass(frozen=True, slots=True)
class Standing:
    """One promise at one moment.

    Attributes:
        covered_seconds: how much of the period is known; the rest was before Cortex
            counted.
        burn: window in seconds → how fast the budget burns in it.
    """

    objective: Objective
    budget: Budget
    covered_seconds: float
    burn: Mapping[float, float]


def rule_name(objective: Objective, rule: BurnRule) -> str:
    """Return the name of the alert that pages for a promise."""
    return f"slo:{objective.name}:{rule.name}"


def burn_rules(objectives: Iterable[Objective]) -> list[Rule]:
    """Return the alerts of all promises, the most urgent of each first."""
    return [
        Rule(
            name=rule_name(objective, rule),
            severity=rule.severity,
            summary=(
                f"{objective.name} burns {rule.budget_share:.0%} of its error budget "
                f"in {rule.long_seconds / 3_600:g} h"
            ),
            component=objective.group,
            objective=objective.name,
        )
        for objective in objectives
        for rule in BURN_RULES
    ]


class SloController:
    """The course of every promise; for one event loop."""

    def __init__(
        self,
        objectives: Sequence[Objective],
        counts: Callable[[], Mapping[str, Counts]],
    ) -> None:
        """Take what is promised, and where its counts are read."""
        self.objectives = tuple(objectives)
        self._counts = counts
        self._tracks = {o.name: Track(o.period_seconds) for o in self.objectives}
        self._rules = {rule.name: rule for rule in burn_rules(self.objectives)}

    async def restore(self, source: SeriesSource, now: float) -> None:
        """Take over the courses that an earlier process left in the history."""
        start = now - max(o.period_seconds for o in self.objectives)
        totals = await source.counters(EVENTS_METRIC, LABEL, start, now)
        bads = await source.counters(BAD_METRIC, LABEL, start, now)
        for name, track in self._tracks.items():
            bad = dict(bads.get(name, ()))
            known = 0.0
            for at, value in totals.get(name, ()):
                known = bad.get(at, known)
                track.restore(Point(at, Counts(value, known)))

    def begin(self, born: float) -> None:
        """Count from ``born``, when the counters were zero; see ``Track.begin``."""
        for track in self._tracks.values():
            track.begin(born)

    def last_minute(self, now: float) -> Counts:
        """Return what the whole service did in the minute to ``now``."""
        return self._tracks[SERVICE].within(60.0, now)

    def look(self, now: float) -> list[Evaluation]:
        """Read the counts and return what each burn-rate rule says of them."""
        for name, counts in self._counts().items():
            self._tracks[name].read(now, counts)
        return [
            self._evaluated(objective, rule, now)
            for objective in self.objectives
            for rule in BURN_RULES
        ]

    def standing(self, now: float) -> list[Standing]:
        """Return where each promise stands, as of the last look."""
        return [self._standing(objective, now) for objective in self.objectives]

    def _standing(self, objective: Objective, now: float) -> Standing:
        track = self._tracks[objective.name]
        began = track.began_at
        return Standing(
            objective=objective,
            budget=budget_of(objective, track.within(objective.period_seconds, now)),
            covered_seconds=0.0 if began is None else now - began,
            burn={
                window: burn_rate(objective, track.within(window, now))
                for window in WINDOWS_SECONDS
            },
        )

    def _evaluated(
        self, objective: Objective, rule: BurnRule, now: float
    ) -> Evaluation:
        track = self._tracks[objective.name]

        def within(seconds: float) -> Counts:
            return track.within(seconds, now)

        return Evaluation(
            self._rules[rule_name(objective, rule)],
            burns(objective, rule, within),
            burn_rate(objective, within(rule.long_seconds)),
        )
