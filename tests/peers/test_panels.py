"""Every panel shows something: a real server under load, a real Prometheus."""

import json
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
LOAD_SECONDS = 45.0
"""Enough for several looks of the server, ten seconds apart."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def load(client: httpx.Client, number: int) -> None:
    item = {"content": f"note {number} about tea, rain and the harbour"}
    client.post("/memory", json={"items": [item]}).raise_for_status()
    for mode in ("hybrid", "keyword"):
        asked = {"query": f"tea and rain {number}", "mode": mode}
        client.post("/memory/search", json=asked).raise_for_status()
    client.post("/context", json={"query": "harbour"}).raise_for_status()
    client.post("/embed", json={"text": "the same text"})
    client.post("/audit/record", json={
        "run_id": "r", "agent_name": "a", "method_name": "m", "prompt": "p",
        "raw_output": "o",
    }).raise_for_status()  # fmt: skip
    client.get("/models").raise_for_status()


@pytest.fixture
def prometheus(serve: Any, tmp_path: Path) -> Iterator[httpx.Client]:
    """A Prometheus that has scraped a server under load."""
    server = serve()
    port = free_port()
    rules = ROOT / "deploy/prometheus/cortex-rules.yml"
    config = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text())
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "5s"}
    config["rule_files"] = [str(rules)]
    target = server.url.removeprefix("http://")
    config["scrape_configs"][0]["static_configs"] = [{"targets": [target]}]
    file = tmp_path / "prometheus.yml"
    file.write_text(yaml.safe_dump(config))
    process = subprocess.Popen(
        [
            "prometheus", f"--config.file={file}",
            f"--storage.tsdb.path={tmp_path / 'tsdb'}",
            f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn",
        ]
    )  # fmt: skip
    try:
        end = time.monotonic() + LOAD_SECONDS
        number = 0
        while time.monotonic() < end:
            load(server.client, number)
            number += 1
            time.sleep(0.1)
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
            yield client
    finally:
        process.terminate()
        process.wait(20)


def test_every_panel_shows_something(prometheus: httpx.Client) -> None:
    empty = []
    for file in sorted((ROOT / "deploy/grafana/dashboards").glob("*.json")):
        for panel in json.loads(file.read_text("utf-8"))["panels"]:
            for target in panel["targets"]:
                expression = target["expr"].replace("$__rate_interval", "20s")
                answer = prometheus.get("/api/v1/query", params={"query": expression})
                body = answer.json()
                assert body["status"] == "success", (expression, body)
                values = [
                    one["value"][1]
                    for one in body["data"]["result"]
                    if one["value"][1] != "NaN"
                ]
                if not values:
                    empty.append(f"{file.stem}: {panel['title']}: {expression}")
    assert empty == []
    rules = prometheus.get("/api/v1/rules").json()["data"]["groups"]
    unwell = [
        (rule["name"], rule["lastError"])
        for group in rules
        for rule in group["rules"]
        if rule["health"] != "ok"
    ]
    assert unwell == []
