"""Against a living Prometheus; run by ``make test-peers`` alone."""

import contextlib
import importlib.util
import json
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import pytest

TESTS = Path(__file__).resolve().parents[1]
SECONDS = 100.0
"""How long requests come; a rate over a minute then has both its ends."""

MEDIAN = (
    "histogram_quantile(0.5, sum by (le) "
    "(rate(cortex_http_request_seconds_bucket{%s}[1m])))"
)

SCRAPE = """
global: {scrape_interval: 5s}
scrape_configs:
  - job_name: cortex
    static_configs: [{targets: ["127.0.0.1:%d"]}]
"""


def _peer():
    path = TESTS / "peers/prometheus.py"
    spec = importlib.util.spec_from_file_location("peer_prometheus", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


PEER = _peer()


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_what_was_recorded_is_what_it_answers_today(tmp_path):
    target = tmp_path / "answers.json"
    PEER.record(target, tmp_path, _free_port())
    today = json.loads(target.read_text())["answers"]
    kept = (TESTS / "data/prometheus/answers.json").read_text()
    assert today == json.loads(kept)["answers"]


@pytest.mark.parametrize("workers", [1, 2])
def test_our_history_tells_what_a_scraping_prometheus_tells(tmp_path, workers):
    port = _free_port()
    env = {k: v for k, v in os.environ.items() if not k.startswith("CORTEX_")}
    env |= {
        "CORTEX_HOME": str(tmp_path / "home"),
        "CORTEX_FAST_TEST": "1",
        "CORTEX_WORKERS": str(workers),
        "CORTEX_RATE_LIMIT_PER_MINUTE": "1000000",
    }
    command = [sys.executable, "-m", "cortex", "serve", "--port", str(port)]
    log = (tmp_path / "server.log").open("w")
    server = subprocess.Popen(command, env=env, stdout=log, stderr=log)
    config = tmp_path / "prometheus.yml"
    config.write_text(SCRAPE % port)
    stop = threading.Event()
    url = f"http://127.0.0.1:{port}"
    load = threading.Thread(target=_load, args=(url, stop))
    try:
        with PEER.running(tmp_path, config, _free_port()) as peer:
            load.start()
            time.sleep(SECONDS)
            _compare(url, peer)
    finally:
        stop.set()
        load.join()
        server.terminate()
        server.wait(40)
        log.close()


def _load(url, stop):
    with httpx.Client(base_url=url, timeout=10) as client:
        while not stop.is_set():
            with contextlib.suppress(httpx.TransportError):
                client.get("/memory", params={"limit": 1})
            stop.wait(0.04)


def _compare(url, peer):
    now = time.time() // 10 * 10
    selector = 'route="/memory"'
    for metric, fn, expression, off in (
        (
            "cortex_http_requests_total",
            "rate",
            "sum(rate(cortex_http_requests_total{%s}[1m]))",
            0.05,
        ),
        (
            "cortex_http_requests_total",
            "increase",
            "sum(increase(cortex_http_requests_total{%s}[1m]))",
            0.05,
        ),
        (
            "cortex_http_request_seconds",
            "quantile",
            MEDIAN,
            0.15,
        ),
    ):
        theirs = PEER.asked(peer, expression % selector, (now, now, 1))
        asked = {"metric": metric, "fn": fn, "labels": selector, "by": "", "q": 0.5}
        asked |= {"from": now, "to": now, "step": 1, "window": 60}
        answer = httpx.get(f"{url}/performance/history", params=asked).json()
        ours = answer["series"][0]["points"][0][1]
        assert ours == pytest.approx(float(theirs[0]["values"][0][1]), rel=off)
