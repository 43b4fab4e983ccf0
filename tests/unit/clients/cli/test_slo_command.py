"""``cortex slo`` and ``cortex alerts`` against a scripted server."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

OBJECTIVE = {
    "name": "memory:availability",
    "group": "memory",
    "target": 0.999,
    "threshold_ms": None,
    "good_ratio": 0.9995,
    "state": "ok",
    "budget": {
        "requests": 10_000.0, "bad": 5.0, "allowed": 10.0,
        "spent": 0.5, "remaining": 0.5,
    },
    "burn": [
        {"window_seconds": 300.0, "rate": 0.0},
        {"window_seconds": 3600.0, "rate": 0.5},
    ],
}  # fmt: skip
LINE = {
    "route": "/memory/search", "requests": 100.0, "success_ratio": 1.0,
    "p50_ms": 5.0, "p95_ms": 50.0, "p99_ms": None,
}  # fmt: skip


def slo(state: str = "ok", **more: Any) -> dict[str, Any]:
    other = {**OBJECTIVE, "name": "context:availability", "group": "context"}
    return {
        "state": state,
        "objectives": [{**OBJECTIVE, "state": state, **more}, other],
        "baseline": [LINE],
        "baseline_since": 1_700_000_000.0,
    }


def test_the_report_shows_promises_and_routes(cortex: Any, server: Any, reply: Any):
    server.then(reply(200, slo()))
    done = cortex("slo", "report")
    assert done.exit_code == 0
    for text in ("memory:availability", "99.950%", "50.0%", "/memory/search", "100.0"):
        assert text in done.stdout


def test_the_budget_is_told_in_requests(cortex: Any, server: Any, reply: Any):
    server.then(reply(200, slo()), reply(200, slo()))
    assert "10.0" in cortex("slo", "budget").stdout
    told = json.loads(cortex("slo", "budget", "--json").stdout)
    assert told["memory:availability"]["remaining"] == 0.5


@pytest.mark.parametrize(
    ("state", "flags", "code"),
    [
        ("ok", (), 0),
        ("no_data", (), 0),
        ("no_data", ("--required",), 1),
        ("burning", (), 1),
        ("exhausted", (), 1),
        ("exhausted", ("--group", "context"), 0),
    ],
)
def test_a_check_fails_what_is_broken(
    cortex: Any, server: Any, reply: Any, state: str, flags: tuple[str, ...], code: int
):
    server.then(reply(200, slo(state)), reply(200, slo(state)))
    assert cortex("slo", "check", *flags).exit_code == code
    done = cortex("slo", "check", "--json", *flags)
    assert done.exit_code == code
    assert json.loads(done.stdout)["ok"] is (code == 0)


def test_a_check_of_a_group_that_is_not_there_does_not_pass(
    cortex: Any, server: Any, reply: Any
):
    server.then(reply(200, slo()))
    done = cortex("slo", "check", "--group", "memmory")
    assert done.exit_code == 2
    assert "Groups are: context, memory." in done.stderr


def test_a_check_without_a_server_does_not_pass(cortex: Any, monkeypatch: Any):
    monkeypatch.setenv("CORTEX_MAX_RETRIES", "0")
    assert cortex("slo", "check", "--url", "http://127.0.0.1:9").exit_code == 3


def test_a_file_is_read_without_a_server(cortex: Any, tmp_path: Path):
    file = tmp_path / ".slo.yml"
    file.write_text("slo: {memory: {p95_ms: 400, error_rate: 0.01}}")
    done = cortex("slo", "validate", str(file))
    assert (done.exit_code, "99.0000%" in done.stdout) == (0, True)
    file.write_text("slo: {memory: {p95_ms: -1}}")
    refused = cortex("slo", "validate", str(file))
    assert refused.exit_code == 2
    assert "slo.memory.p95_ms" in refused.stderr


@pytest.mark.parametrize("asked", [("validate",), ("rules", "--file")])
@pytest.mark.parametrize(
    ("content", "said"), [(b"\xaa\xff\x00", "UTF-8"), (None, "No such file")]
)
def test_a_file_that_cannot_be_read_is_told_in_one_line(
    cortex: Any, tmp_path: Path, asked: tuple[str, ...], content: Any, said: str
):
    file = tmp_path / "promises.yml"
    if content is not None:
        file.write_bytes(content)
    done = cortex("slo", *asked, str(file))
    assert done.exit_code == 2
    assert said in done.stderr
    assert "promises.yml" in done.stderr.replace("\n", "")


def test_rules_come_as_yaml_for_the_file_given(cortex: Any, tmp_path: Path):
    file = tmp_path / ".slo.yml"
    file.write_text("slo: {/memory/search: {error_rate: 0.01}}")
    done = cortex("slo", "rules", "--file", str(file))
    groups = yaml.safe_load(done.stdout)["groups"]
    text = json.dumps(groups)
    assert "/memory/search:availability" in text
    assert json.loads(cortex("slo", "rules", "--json").stdout)["groups"]


def test_alerts_are_listed_and_acknowledged(cortex: Any, server: Any, reply: Any):
    alert = {
        "name": "HighCpu", "phase": "firing", "severity": "warning",
        "since": 1_700_000_000.0, "value": 0.9, "acknowledged_by": "ann",
    }  # fmt: skip
    server.then(reply(200, {"alerts": [alert]}), reply(200, alert))
    assert "HighCpu" in cortex("alerts", "list").stdout
    done = cortex("alerts", "acknowledge", "HighCpu")
    assert done.stdout == "HighCpu is known to ann\n"
    assert server.seen[-1].body == {"name": "HighCpu"}


def test_energy_says_who_tells_it(cortex: Any, server: Any, reply: Any):
    told = {
        "power": {"watts": 2.0, "low": 1.0, "high": 4.0, "measured": False, "source": "model"},
        "machine_watts": 20.0, "seconds": 120.0, "joules": 240.0, "co2e_grams": 0.03,
        "grid_grams_per_kwh": 473.0, "background_joules": 40.0,
        "sci": {"co2e_grams": 0.5, "per_recalls": 1000},
        "routes": [
            {"route": "/context", "requests": 4, "cpu_seconds": 0.2, "joules": 200.0,
             "joules_per_request": 50.0}
        ],
    }  # fmt: skip
    server.then(reply(200, told), reply(200, told))
    out = cortex("energy").stdout
    for text in ("2.00 W (1.00 to 4.00), estimated by model", "/context", "40.00"):
        assert text in out
    assert json.loads(cortex("energy", "--json").stdout) == told


def test_energy_without_a_reading_says_so(cortex: Any, server: Any, reply: Any):
    power = {"watts": 0.0, "low": 0.0, "high": 0.0, "measured": False, "source": ""}
    server.then(reply(200, {"power": power}))
    assert cortex("energy").stdout.startswith("no reading yet")
