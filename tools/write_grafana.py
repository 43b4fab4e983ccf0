"""Write the files of Grafana and Prometheus below deploy/, from what is stated here.

Usage: python tools/write_grafana.py [--check]   (--check: exit 1 when one is stale)

A panel may only ask for metrics that the server has:
``tests/unit/operations/test_deploy_files.py`` compares.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from cortex.operations.rules_file import rules_yaml
from cortex.operations.slo.defaults import default_objectives
from cortex.operations.slo.prometheus import RATIO_RECORD

DEPLOY = Path(__file__).resolve().parent.parent / "deploy"
SCHEMA_VERSION = 39
"""Of Grafana 10.4 and later; newer ones read it."""

DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
COLUMNS = 24
WIDTH, HEIGHT = 8, 8
RATE = "$__rate_interval"


@dataclass(frozen=True, slots=True)
class Query:
    """One line of a panel."""

    expression: str
    legend: str = ""


@dataclass(frozen=True, slots=True)
class Panel:
    """One picture; ``kind`` is timeseries, stat, gauge or bargauge."""

    title: str
    queries: Sequence[Query]
    unit: str = "short"
    kind: str = "timeseries"
    about: str = ""
    width: int = WIDTH
    bounds: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Dashboard:
    """One page."""

    uid: str
    title: str
    about: str
    panels: Sequence[Panel]


def one(title: str, expression: str, unit: str, legend: str = "", **more: Any) -> Panel:
    """Return a panel with one line, or one line a label."""
    return Panel(title, (Query(expression, legend),), unit, **more)


def quantiles(title: str, metric: str, by: str = "", **more: Any) -> Panel:
    """Return a panel with quantiles of a histogram; only P95 where split by label."""
    labels = f"le, {by}" if by else "le"
    shown = f" {{{{{by}}}}}" if by else ""
    return Panel(
        title,
        [
            Query(
                f"histogram_quantile({q}, sum by ({labels}) "
                f"(rate({metric}_bucket[{RATE}])))",
                f"p{q * 100:g}{shown}",
            )
            for q in ((0.95,) if by else (0.5, 0.95, 0.99))
        ],
        "s",
        **more,
    )


REQUESTS = "cortex_http_requests_total"

OVERVIEW = Dashboard(
    "cortex-overview",
    "Cortex overview",
    "Traffic, failures, latency and the machine.",
    (
        one("Requests a second", f"sum(rate({REQUESTS}[{RATE}]))", "reqps", "all"),
        one(
            "Requests by route",
            f"sum by (route) (rate({REQUESTS}[{RATE}]))",
            "reqps",
            "{{route}}",
        ),
        one(
            "Answers by status",
            f"sum by (status) (rate({REQUESTS}[{RATE}]))",
            "reqps",
            "{{status}}",
        ),
        quantiles("Latency", "cortex_http_request_seconds"),
        quantiles("Latency by route, P95", "cortex_http_request_seconds", "route"),
        one(
            "Share that fails",
            f'(sum(rate({REQUESTS}{{status="5xx"}}[{RATE}])) or vector(0)) / '
            f"sum(rate({REQUESTS}[{RATE}]))",
            "percentunit",
            "5xx",
        ),
        one("In flight", "cortex_http_requests_in_flight", "short", "requests"),
        one(
            "Memories stored",
            f"rate(cortex_memories_stored_total[{RATE}])",
            "ops",
            "stored",
        ),
        one(
            "Searches by mode",
            f"sum by (mode) (rate(cortex_searches_total[{RATE}]))",
            "ops",
            "{{mode}}",
        ),
        one(
            "Searches below the floor",
            f"rate(cortex_searches_low_confidence_total[{RATE}])",
            "ops",
            "low confidence",
        ),
        quantiles("Time to embed", "cortex_embedding_seconds"),
        quantiles("Lag of the event loop", "cortex_event_loop_lag_seconds"),
        one("Processors busy", "cortex_host_cpu_ratio", "percentunit", "machine"),
        one("Memory in use", "cortex_host_memory_ratio", "percentunit", "machine"),
        one("Resident memory", "process_resident_memory_bytes", "bytes", "Cortex"),
    ),
)

SLO = Dashboard(
    "cortex-slo",
    "Cortex promises",
    "What is promised, how fast its budget burns, and what is left of it.",
    (
        one(
            "Good share, one hour",
            f"1 - {RATIO_RECORD}1h",
            "percentunit",
            "{{objective}}",
            kind="bargauge",
            width=12,
            bounds={"min": 0, "max": 1},
        ),
        one(
            "Budget left, 3 days' traffic",
            f"clamp_min(1 - {RATIO_RECORD}3d"
            '{objective=~"(service|memory|context|audit):availability"} / 0.001, 0)',
            "percentunit",
            "{{objective}}",
            kind="bargauge",
            about="Of a promise of 99.9 %; `cortex slo budget` tells the whole period.",
            width=12,
            bounds={"min": 0, "max": 1},
        ),
        *(
            one(
                f"Bad share, {window}",
                f"{RATIO_RECORD}{window}",
                "percentunit",
                "{{objective}}",
            )
            for window in ("5m", "1h", "6h")
        ),
        one(
            "Requests that count",
            f"sum by (objective) (rate(cortex_slo_requests_total[{RATE}]))",
            "reqps",
            "{{objective}}",
        ),
        one(
            "Bad requests",
            f"sum by (objective) (rate(cortex_slo_bad_requests_total[{RATE}]))",
            "reqps",
            "{{objective}}",
        ),
        one(
            "Alerts that fire",
            'count(ALERTS{alertname=~"Cortex.*",alertstate="firing"}) or vector(0)',
            "short",
            "firing",
            kind="stat",
        ),
    ),
)

ENERGY = Dashboard(
    "cortex-energy",
    "Cortex energy",
    "Power, what used it, and what that emits. The source of each figure is its label.",
    (
        one("Power of Cortex", "cortex_power_watts", "watt", "Cortex"),
        one(
            "Power of the machine",
            "sum by (part, source, measured) "
            f"(rate(cortex_machine_joules_total[{RATE}]))",
            "watt",
            "{{part}} by {{source}}, measured: {{measured}}",
        ),
        one(
            "Mean of five minutes",
            "sum(rate(cortex_energy_joules_total[5m]))",
            "watt",
            "Cortex",
            kind="stat",
        ),
        one(
            "Power by route",
            f"sum by (route) (rate(cortex_request_joules_total[{RATE}]))",
            "watt",
            "{{route}}",
        ),
        one(
            "Power without a request",
            f"rate(cortex_background_joules_total[{RATE}])",
            "watt",
            "background",
        ),
        one(
            "Energy of a request",
            f"sum by (route) (rate(cortex_request_joules_total[{RATE}])) / "
            f"sum by (route) (rate({REQUESTS}[{RATE}]) > 0)",
            "joule",
            "{{route}}",
        ),
        one("Power is saved", "cortex_low_power", "short", "low power", kind="stat"),
        one("Energy", "cortex_energy_joules_total", "joule", "Cortex", kind="stat"),
        one("Emissions", "cortex_co2e_grams_total", "massg", "CO2e", kind="stat"),
        one(
            "Grams for 1 000 recalls, one hour",
            "1000 * sum(increase(cortex_request_joules_total"
            '{route=~"/memory/search|/vector/search|/context"}[1h])) / '
            f"sum(increase({REQUESTS}"
            '{route=~"/memory/search|/vector/search|/context"}[1h])) * '
            "scalar(sum(cortex_co2e_grams_total) / sum(cortex_energy_joules_total))",
            "massg",
            "CO2e",
            kind="stat",
        ),
    ),
)

CACHE = Dashboard(
    "cortex-cache",
    "Cortex caches",
    "How often a text had been embedded before.",
    (
        one(
            "Texts embedded",
            f"sum by (source) (rate(cortex_embeddings_total[{RATE}]))",
            "ops",
            "{{source}}",
        ),
        one(
            "Hit rate, ten minutes",
            'sum(increase(cortex_embeddings_total{source="cache"}[10m])) / '
            "sum(increase(cortex_embeddings_total[10m]))",
            "percentunit",
            "hits",
            kind="stat",
            bounds={"min": 0, "max": 1},
        ),
    ),
)

DASHBOARDS = (OVERVIEW, SLO, ENERGY, CACHE)
"""Scaling, routing and GPUs have no metrics yet, and so no dashboard."""


def grafana(dashboard: Dashboard) -> dict[str, object]:
    """Return a dashboard as Grafana's model of it."""
    panels, x, y = [], 0, 0
    for number, panel in enumerate(dashboard.panels, 1):
        if x + panel.width > COLUMNS:
            x, y = 0, y + HEIGHT
        place = {"h": HEIGHT, "w": panel.width, "x": x, "y": y}
        panels.append(_panel(panel, number, place))
        x += panel.width
    return {
        "uid": dashboard.uid,
        "title": dashboard.title,
        "description": dashboard.about,
        "tags": ["cortex"],
        "schemaVersion": SCHEMA_VERSION,
        "version": 1,
        "editable": False,
        "timezone": "browser",
        "refresh": "10s",
        "time": {"from": "now-1h", "to": "now"},
        "templating": {
            "list": [
                {
                    "name": "datasource",
                    "label": "Prometheus",
                    "type": "datasource",
                    "query": "prometheus",
                }
            ]
        },
        "annotations": {"list": []},
        "panels": panels,
    }


def _panel(panel: Panel, number: int, place: dict[str, int]) -> dict[str, object]:
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.about,
        "datasource": DATASOURCE,
        "gridPos": place,
        "fieldConfig": {
            "defaults": {"unit": panel.unit, **panel.bounds},
            "overrides": [],
        },
        "options": {},
        "targets": [
            {
                "refId": chr(ord("A") + index),
                "datasource": DATASOURCE,
                "expr": query.expression,
                "legendFormat": query.legend,
                "range": panel.kind == "timeseries",
                "instant": panel.kind != "timeseries",
            }
            for index, query in enumerate(panel.queries)
        ],
    }


def prometheus_config() -> str:
    """Return a configuration that scrapes one server and reads the rules."""
    config = {
        "global": {"scrape_interval": "10s", "evaluation_interval": "10s"},
        "rule_files": ["cortex-rules.yml"],
        "scrape_configs": [
            {"job_name": "cortex", "static_configs": [{"targets": ["cortex:4949"]}]}
        ],
    }
    return yaml.safe_dump(config, sort_keys=False)


def provisioning(kind: str) -> str:
    """Return what tells Grafana where its data and dashboards are."""
    if kind == "datasources":
        body: dict[str, object] = {
            "apiVersion": 1,
            "datasources": [
                {
                    "name": "Prometheus",
                    "type": "prometheus",
                    "access": "proxy",
                    "url": "http://prometheus:9090",
                    "isDefault": True,
                }
            ],
        }
    else:
        body = {
            "apiVersion": 1,
            "providers": [
                {
                    "name": "cortex",
                    "type": "file",
                    "options": {"path": "/var/lib/grafana/dashboards"},
                }
            ],
        }
    return yaml.safe_dump(body, sort_keys=False)


def files() -> dict[str, str]:
    """Return every file by its path below deploy/."""
    found = {
        f"grafana/dashboards/{d.uid}.json": json.dumps(grafana(d), indent=1) + "\n"
        for d in DASHBOARDS
    }
    for kind in ("datasources", "dashboards"):
        found[f"grafana/provisioning/{kind}/cortex.yml"] = provisioning(kind)
    found["prometheus/prometheus.yml"] = prometheus_config()
    found["prometheus/cortex-rules.yml"] = rules_yaml(default_objectives())
    return found


def main(arguments: list[str]) -> int:
    """Write the files, or check that they are as they would be written."""
    stale = []
    for name, text in files().items():
        path = DEPLOY / name
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        stale.append(name)
        if "--check" not in arguments:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    if stale and "--check" in arguments:
        print(f"stale: {', '.join(stale)}; run: python tools/write_grafana.py")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
