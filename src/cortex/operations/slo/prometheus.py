"""The same promises as Prometheus rules: recorded ratios, and pages on them.

Recording rules and alerts share a group, so that an alert sees the ratios of the same
instant. On the same samples these rules fire when the engine of this package does.
"""

from collections.abc import Iterable

from cortex.operations.slo.burn import (
    BURN_RULES,
    RATIO_DIGITS,
    WINDOWS_SECONDS,
    BurnRule,
)
from cortex.operations.slo.controller import BAD_METRIC, EVENTS_METRIC
from cortex.operations.slo.model import Objective

INTERVAL = "10s"
"""Between two evaluations: as often as the own engine looks."""

RATIO_RECORD = "cortex:slo_bad_ratio:rate"
BAD_RECORD = "cortex:slo_bad_requests:increase"

RulesFile = dict[str, object]


def span(seconds: float) -> str:
    """Return a time as PromQL writes it, such as ``5m``."""
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:g}{unit}"
    return f"{seconds:g}s"


def recording_rules() -> list[dict[str, object]]:
    """Return the bad ratio in each window, and the bad requests of the long ones."""
    rules: list[dict[str, object]] = []
    for seconds in WINDOWS_SECONDS:
        window = span(seconds)
        rules.append(
            {
                "record": f"{RATIO_RECORD}{window}",
                "expr": (
                    f"sum by (objective) (increase({BAD_METRIC}[{window}])) / "
                    f"(sum by (objective) (increase({EVENTS_METRIC}[{window}])) > 0)"
                ),
            }
        )
    for rule in BURN_RULES:
        window = span(rule.long_seconds)
        rules.append(
            {
                "record": f"{BAD_RECORD}{window}",
                "expr": f"sum by (objective) (increase({BAD_METRIC}[{window}]))",
            }
        )
    return rules


def alert_rules(objectives: Iterable[Objective]) -> list[dict[str, object]]:
    """Return a page or ticket for each objective and pair of windows."""
    return [_alert(one, rule) for one in objectives for rule in BURN_RULES]


def slo_groups(objectives: Iterable[Objective]) -> list[dict[str, object]]:
    """Return the rule group of all promises."""
    return [
        {
            "name": "cortex-slo",
            "interval": INTERVAL,
            "rules": [*recording_rules(), *alert_rules(objectives)],
        }
    ]


def _alert(objective: Objective, rule: BurnRule) -> dict[str, object]:
    long, short = span(rule.long_seconds), span(rule.short_seconds)
    limit = f"{rule.bad_ratio(objective):.{RATIO_DIGITS}f}".rstrip("0")
    chosen = f'{{objective="{objective.name}"}}'
    return {
        "alert": "CortexSloBurn",
        "expr": (
            f"{RATIO_RECORD}{long}{chosen} > {limit} and "
            f"{RATIO_RECORD}{short}{chosen} > {limit} and "
            f"{BAD_RECORD}{long}{chosen} >= {rule.bad_min:g}"
        ),
        "labels": {
            "severity": rule.severity.value,
            "burn": rule.name,
            "group": objective.group,
            "objective": objective.name,
        },
        "annotations": {
            "summary": (
                f"{objective.name} burns its error budget "
                f"{rule.factor(objective):.3g} times too fast"
            ),
            "description": (
                f"More than {rule.budget_share:.0%} of the budget of "
                f"{span(objective.period_seconds)} within {long}, and still in the "
                f"last {short}. `cortex slo report` shows what is left."
            ),
        },
    }
