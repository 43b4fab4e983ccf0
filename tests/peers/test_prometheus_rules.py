"""Prometheus' own tool reads our rules, and fires them when our engine does."""

import subprocess
from pathlib import Path

import pytest
import yaml

from cortex.operations.alerts.model import AlertState, Change, step
from cortex.operations.alerts.thresholds import THRESHOLDS
from cortex.operations.rules_file import rules_yaml
from cortex.operations.slo.burn import BURN_RULES
from cortex.operations.slo.controller import SloController
from cortex.operations.slo.defaults import default_objectives
from cortex.operations.slo.model import Counts, Kind, Objective

TICK = 10
PROMISE = Objective("api:availability", "api", Kind.AVAILABILITY, ("*",), 0.999)
HOUR, DAY = 3_600, 86_400

INCIDENTS = {
    "all fails for ten minutes": [(HOUR, 0), (600, 100), (HOUR, 0)],
    "a tenth fails for an hour": [(2 * HOUR, 0), (HOUR, 10), (2 * HOUR, 0)],
    "one of fifty fails": [(2 * HOUR, 0), (3 * HOUR, 2), (HOUR, 0)],
    "twice, with a rest": [(HOUR, 0), (300, 50), (900, 0), (300, 80), (HOUR, 0)],
    "one of 150 fails for hours": [(7 * HOUR, 0), (4 * HOUR, 0.7), (HOUR, 0)],
}
"""Name → (seconds, percent that fails) one after another, at 10 requests a second."""


def promtool(*arguments: str) -> str:
    done = subprocess.run(
        ["promtool", *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_promtool_accepts_the_rules_of_the_defaults(tmp_path: Path) -> None:
    file = tmp_path / "rules.yml"
    file.write_text(rules_yaml(default_objectives()))
    assert "SUCCESS" in promtool("check", "rules", str(file))


def replayed(phases: list[tuple[int, float]]) -> list[tuple[int, str, Change]]:
    """Return what our engine tells, and when."""
    counts = Counts()
    controller = SloController([PROMISE], lambda: {PROMISE.name: counts})
    states: dict[str, AlertState] = {}
    told = []
    controller.begin(0)
    now = 0
    for seconds, percent in phases:
        for _ in range(seconds // TICK):
            now += TICK
            counts = counts + Counts(10 * TICK, percent / 10 * TICK)
            for found in controller.look(now):
                name = found.rule.name
                before = states.get(name, AlertState())
                states[name], change = step(before, found, now)
                if change is not None:
                    told.append((now, name.rpartition(":")[2], change))
    return told


def series(phases: list[tuple[int, float]], of_bad: bool) -> str:
    """Return the counter as promtool writes series."""
    parts, value = ["0"], 0.0
    for seconds, percent in phases:
        added = (percent / 10 if of_bad else 10) * TICK
        parts.append(f"{value + added:g}+{added:g}x{seconds // TICK - 1}")
        value += added * (seconds // TICK)
    return " ".join(parts)


def expectation(name: str, at: int, firing: bool) -> dict[str, object]:
    rule = next(r for r in BURN_RULES if r.name == name)
    labels = {
        "severity": rule.severity.value, "burn": name,
        "group": "api", "objective": PROMISE.name,
    }  # fmt: skip
    return {
        "eval_time": f"{at}s",
        "alertname": "CortexSloBurn",
        "exp_alerts": [{"exp_labels": labels}] if firing else [],
    }


@pytest.mark.parametrize("incident", INCIDENTS)
def test_alerts_fire_and_end_at_the_same_instants(
    tmp_path: Path, incident: str
) -> None:
    phases = INCIDENTS[incident]
    told = replayed(phases)
    assert told
    rules = yaml.safe_load(rules_yaml([PROMISE]))
    group = rules["groups"][0]
    for rule in group["rules"]:
        rule.pop("annotations", None)
    for burn in BURN_RULES:
        mine = [(at, change) for at, name, change in told if name == burn.name]
        # promtool compares all alerts of a name: one file a rule tells them apart.
        kept = [
            r
            for r in group["rules"]
            if "record" in r or r["labels"]["burn"] == burn.name
        ]
        (tmp_path / "rules.yml").write_text(
            yaml.safe_dump({"groups": [{**group, "rules": kept}]})
        )
        checks = [expectation(burn.name, TICK, firing=False)]
        for at, change in mine:
            firing = change is Change.FIRED
            checks.append(expectation(burn.name, at - TICK, firing=not firing))
            checks.append(expectation(burn.name, at, firing=firing))
        labels = f'{{objective="{PROMISE.name}"}}'
        inputs = [
            ("cortex_slo_requests_total", False), ("cortex_slo_bad_requests_total", True)
        ]  # fmt: skip
        test = {
            "rule_files": ["rules.yml"],
            "evaluation_interval": f"{TICK}s",
            "tests": [
                {
                    "interval": f"{TICK}s",
                    "input_series": [
                        {"series": name + labels, "values": series(phases, of_bad)}
                        for name, of_bad in inputs
                    ],
                    "alert_rule_test": checks,
                }
            ],
        }
        (tmp_path / "test.yml").write_text(yaml.safe_dump(test))
        promtool("test", "rules", str(tmp_path / "test.yml"))


def test_a_threshold_waits_as_long_in_both(tmp_path: Path) -> None:
    """The processors are busy for 290 s, rest for 10 s, then are busy for 400 s."""
    cpu = next(one for one in THRESHOLDS if one.rule.name == "HighCpu")
    values = [0.9] * 30 + [0.5] + [0.9] * 41
    state, fired = AlertState(), 0
    for number, value in enumerate(values):
        now = number * TICK
        state, change = step(state, cpu.look({"cpu_ratio": value}), now)
        fired = now if change is Change.FIRED else fired
    rules = yaml.safe_load(rules_yaml([]))
    (tmp_path / "rules.yml").write_text(yaml.safe_dump(rules))
    checks = [
        {"eval_time": f"{at}s", "alertname": "CortexHighCpu", "exp_alerts": alerts}
        for at, alerts in (
            (fired - TICK, []),
            (
                fired,
                [
                    {
                        "exp_labels": {"severity": "warning", "component": "host"},
                        "exp_annotations": {"summary": cpu.rule.summary},
                    }
                ],
            ),
        )
    ]
    test = {
        "rule_files": ["rules.yml"],
        "evaluation_interval": f"{TICK}s",
        "tests": [
            {
                "interval": f"{TICK}s",
                "input_series": [
                    {
                        "series": "cortex_host_cpu_ratio",
                        "values": " ".join(map(str, values)),
                    }
                ],
                "alert_rule_test": checks,
            }
        ],
    }
    (tmp_path / "test.yml").write_text(yaml.safe_dump(test))
    promtool("test", "rules", str(tmp_path / "test.yml"))
    assert fired == 31 * TICK + 300
