"""The whole file of Prometheus rules: promises, and the thresholds that ship."""

from collections.abc import Iterable

import yaml

from cortex.operations.alerts.thresholds import (
    THRESHOLDS,
    power_threshold,
    threshold_group,
)
from cortex.operations.slo.model import Objective
from cortex.operations.slo.prometheus import slo_groups

ALARM_WATTS = 100.0
"""The default alarm of power."""

HEADER = "# Written by `cortex slo rules`; change the objectives instead.\n"


def rules_file(objectives: Iterable[Objective]) -> dict[str, object]:
    """Return the file as Prometheus reads it."""
    thresholds = (*THRESHOLDS, power_threshold(ALARM_WATTS))
    return {"groups": [*slo_groups(objectives), threshold_group(thresholds)]}


def rules_yaml(objectives: Iterable[Objective]) -> str:
    """Return the file as YAML."""
    text = yaml.safe_dump(rules_file(objectives), sort_keys=False, width=88)
    return HEADER + text
