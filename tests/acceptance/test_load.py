"""A short load of every kind by the real k6: nothing fails, and failures are told."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SCRIPTS = Path(__file__).parents[1] / "performance"
K6 = Path(sys.executable).with_name("k6")

BUSY = 20
"""Factor on latency budgets: machines that test do much besides. `make load` has 1."""


def names() -> list[str]:
    return sorted(path.name for path in SCRIPTS.glob("load-*.test.js"))


def run_k6(script: str, url: str, folder: Path) -> dict[str, Any]:
    """Run a short load; return its result with the exit status and what k6 said."""
    result = folder / f"{script}.json"
    told = {"BASE_URL": url, "RESULT": str(result), "SLACK": str(BUSY)}
    done = subprocess.run(
        [str(K6), "run", "--quiet", "--address", "", str(SCRIPTS / script)],
        env={**os.environ, "K6_NO_USAGE_REPORT": "true", **told},
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert result.exists(), done.stderr
    found = json.loads(result.read_text("utf-8"))
    return {**found, "status": done.returncode, "log": done.stderr}


@pytest.fixture
def server(serve):
    return serve(CORTEX_TRUSTED_PROXIES="127.0.0.1")


def test_the_scripts_pass_and_a_failing_run_is_failed(server, tmp_path: Path):
    assert len(names()) == 5
    for name in names():
        found = run_k6(name, server.url, tmp_path)
        assert found["verdict"] == "passed", (name, found["broken"], found["log"])
        assert found["status"] == 0
        assert found["all"]["success_rate"] > 0.995
        for route, line in found["routes"].items():
            assert line["requests"] > 0, route
            assert line["p95_ms"] is not None, route
            assert line["success_rate"] is not None, route
    server.stop()
    found = run_k6("load-health.test.js", server.url, tmp_path)
    assert found["verdict"] == "failed"
    assert found["status"] != 0
    assert found["all"]["success_rate"] == 0.0
