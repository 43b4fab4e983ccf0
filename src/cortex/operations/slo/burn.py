"""When to page: burn rates over two windows at once.

The rule is that of the Site Reliability Workbook (chapter 5, "Alerting on SLOs",
method 6): page when both a long and a short window burn faster than a factor. The long
one makes sure that it matters, the short one that it is still going on. A factor
follows from the share of the whole budget that may burn in the long window: two
percent in an hour of a 28-day period is 0.02 x 672 = 13.44 times the steady rate.
"""

from collections.abc import Callable
from dataclasses import dataclass

from cortex.operations.alerts.model import Severity
from cortex.operations.slo.model import Counts, Objective

MINUTE, HOUR, DAY = 60.0, 3_600.0, 86_400.0

BAD_RATIO_MAX = 0.9
"""Highest bad share an alert waits for, where budget and factor would ask for more."""


RATIO_DIGITS = 9
"""Decimals of a limit: the exported rules print it, and must mean the same number."""


@dataclass(frozen=True, slots=True)
class BurnRule:
    """One pair of windows.

    Attributes:
        name: of the rule, part of the alert's name.
        budget_share: share of the whole budget burnt in the long window.
        bad_min: bad requests in the long window before it can fire: one failure of
            ten is no outage, and near the steady rate chance alone makes a dozen.
    """

    name: str
    severity: Severity
    long_seconds: float
    short_seconds: float
    budget_share: float
    bad_min: float

    def factor(self, objective: Objective) -> float:
        """Return how many times the steady rate is too fast."""
        return self.budget_share * objective.period_seconds / self.long_seconds

    def bad_ratio(self, objective: Objective) -> float:
        """Return the share of bad requests above which both windows must be."""
        ratio = min(self.factor(objective) * objective.budget, BAD_RATIO_MAX)
        return round(ratio, RATIO_DIGITS)


BURN_RULES = (
    BurnRule("fast", Severity.CRITICAL, HOUR, 5 * MINUTE, 0.02, 5),
    BurnRule("slow", Severity.CRITICAL, 6 * HOUR, 30 * MINUTE, 0.05, 10),
    BurnRule("creeping", Severity.WARNING, 3 * DAY, 6 * HOUR, 0.10, 40),
)
"""Two pages and a ticket."""

WINDOWS_SECONDS = tuple(
    sorted({w for rule in BURN_RULES for w in (rule.long_seconds, rule.short_seconds)})
)
"""Every window that is looked at."""


def burn_rate(objective: Objective, counts: Counts) -> float:
    """Return how fast the budget burns; 1 uses it up exactly at the period's end."""
    return counts.bad_ratio / objective.budget


def burns(
    objective: Objective, rule: BurnRule, within: Callable[[float], Counts]
) -> bool:
    """Return whether the rule's condition holds.

    Args:
        objective: the promise.
        rule: the pair of windows.
        within: returns what was counted in the last so many seconds.
    """
    limit = rule.bad_ratio(objective)
    long = within(rule.long_seconds)
    if long.bad < rule.bad_min or not long.bad_ratio > limit:
        return False
    return within(rule.short_seconds).bad_ratio > limit
