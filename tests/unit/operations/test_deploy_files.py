"""Grafana's and Prometheus' files: current, well formed, and about real metrics."""

import json
import re
import subprocess
import sys
from itertools import combinations
from pathlib import Path

import promql_parser
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
BOARDS = sorted((ROOT / "deploy/grafana/dashboards").glob("*.json"))
RULES = yaml.safe_load((ROOT / "deploy/prometheus/cortex-rules.yml").read_text())
PANEL_TYPES = {"timeseries", "stat", "gauge", "bargauge"}
NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")


def documented() -> set[str]:
    """Return the names of series that the server's page of metrics promises."""
    page = (ROOT / "docs/reference/metrics.md").read_text("utf-8")
    names: set[str] = set()
    for name, kind in re.findall(r"^\| `([a-z0-9_]+)` \| (\w+) \|", page, re.MULTILINE):
        names.add(name)
        if kind == "histogram":
            names |= {f"{name}_bucket", f"{name}_sum", f"{name}_count"}
    return names


KNOWN = (
    documented()
    | {"process_resident_memory_bytes", "ALERTS"}
    | {
        rule["record"]
        for group in RULES["groups"]
        for rule in group["rules"]
        if "record" in rule
    }
)


def selectors(node: object) -> set[str]:
    """Return the metrics an expression asks for."""
    if isinstance(node, promql_parser.VectorSelector):
        return {node.name} if node.name else set()
    if isinstance(node, promql_parser.MatrixSelector):
        return selectors(node.vector_selector)
    found: set[str] = set()
    for part in ("expr", "lhs", "rhs", "param"):
        inner = getattr(node, part, None)
        if inner is not None:
            found |= selectors(inner)
    for inner in getattr(node, "args", None) or ():
        found |= selectors(inner)
    return found


def parsed(expression: str) -> object:
    return promql_parser.parse(expression.replace("$__rate_interval", "1m"))


def test_the_files_are_as_they_would_be_written() -> None:
    done = subprocess.run(
        [sys.executable, "tools/write_grafana.py", "--check"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("file", BOARDS, ids=lambda f: f.stem)
def test_a_dashboard_has_the_shape_that_grafana_reads(file: Path) -> None:
    board = json.loads(file.read_text("utf-8"))
    assert board["uid"] == file.stem
    assert len(board["uid"]) <= 40
    assert board["schemaVersion"] >= 36
    assert {"title", "panels", "time", "templating", "refresh"} <= set(board)
    panels = board["panels"]
    assert len({p["id"] for p in panels}) == len(panels)
    assert len({p["title"] for p in panels}) == len(panels)
    for panel in panels:
        assert panel["type"] in PANEL_TYPES
        assert panel["fieldConfig"]["defaults"]["unit"]
        assert panel["datasource"]["uid"] == "${datasource}"
        refs = [target["refId"] for target in panel["targets"]]
        assert refs
        assert len(set(refs)) == len(refs)
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
    for one, other in combinations((p["gridPos"] for p in panels), 2):
        apart = (
            one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
            or one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        )  # fmt: skip
        assert apart


def expressions() -> list[str]:
    found = [
        target["expr"]
        for file in BOARDS
        for panel in json.loads(file.read_text("utf-8"))["panels"]
        for target in panel["targets"]
    ]
    found += [rule["expr"] for group in RULES["groups"] for rule in group["rules"]]
    return sorted(set(found))


def test_every_expression_parses_and_asks_for_metrics_there_are() -> None:
    unknown = {}
    for expression in expressions():
        asked = selectors(parsed(expression))
        assert asked, expression
        if asked - KNOWN:
            unknown[expression] = asked - KNOWN
    assert unknown == {}


def test_the_walk_over_expressions_finds_names_at_any_depth() -> None:
    deep = "1000 * sum(rate(a_total[5m])) / scalar(max(b) or c) > 0"
    assert selectors(parsed(deep)) == {"a_total", "b", "c"}


def test_alerts_say_what_and_how_bad() -> None:
    alerts = [r for g in RULES["groups"] for r in g["rules"] if "alert" in r]
    assert alerts
    for alert in alerts:
        assert alert["labels"]["severity"] in {"warning", "critical"}
        assert alert["annotations"]["summary"]
