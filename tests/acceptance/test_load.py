"""All journeys by the real k6, for seconds: nothing fails, and failures are told.

And the data to try a server with: made up, the same each time, with known answers.
"""

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

SCRIPTS = Path(__file__).parents[1] / "performance"
MAKER = Path(__file__).parents[2] / "tools" / "make_memories.py"
K6 = Path(sys.executable).with_name("k6")
HEAVY = os.environ.get("CORTEX_HEAVY") == "1"

BUSY = 100
"""Factor on latency goals: machines that test do much besides. `make load` has 1."""


def names() -> list[str]:
    return sorted(path.name for path in SCRIPTS.glob("load-*.test.js"))


def run_k6(script: str, url: str, folder: Path) -> dict[str, Any]:
    """Run a short load; return its result with the exit status and what k6 said."""
    result = folder / f"{script}.json"
    told = {"BASE_URL": url, "RESULT": str(result), "SLACK": str(BUSY)}
    done = subprocess.run(
        [str(K6), "run", "--quiet", "--address", "", str(SCRIPTS / script)],
        env={**os.environ, "K6_NO_USAGE_REPORT": "true", **told},
        capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    assert result.exists(), done.stderr
    found = json.loads(result.read_text("utf-8"))
    return {**found, "status": done.returncode, "log": done.stderr}


def operations(described: dict[str, Any]) -> Iterator[str]:
    for path, methods in described["paths"].items():
        yield from (f"{method.upper()} {path}" for method in methods)


@pytest.fixture
def server(serve, tmp_path: Path):
    shown = tmp_path / "shown"
    shown.mkdir()
    (shown / "note.txt").write_text("a note")
    with closing(sqlite3.connect(shown / "load.db")) as database:
        database.execute("CREATE TABLE notes (text TEXT)")
    return serve(
        CORTEX_TRUSTED_PROXIES="127.0.0.1",
        CORTEX_FS_ROOTS=json.dumps({"load": str(shown)}),
        CORTEX_DATABASES=json.dumps({"load": str(shown / "load.db")}),
    )


def test_every_route_answers_rightly_and_a_failing_run_is_failed(server, tmp_path):
    scripts = names() if HEAVY else ["load-everything.test.js"]
    called = set()
    for name in scripts:
        found = run_k6(name, server.url, tmp_path)
        assert found["verdict"] == "passed", (name, found["broken"], found["log"])
        assert found["status"] == 0
        assert found["answers"]["good"] == found["checks"]["passes"]
        assert sum(found["answers"].values()) == found["answers"]["good"]
        for route, line in found["routes"].items():
            assert line["requests"] > 0, route
            assert line["p95_ms"] is not None, route
            assert line["success_rate"] == 1.0, route
            called.add(" ".join(route.split()[:2]))
    described = server.client.get("/openapi.json").json()
    # A stream has no end that k6 could wait for; benchmarks/streams.py loads it.
    assert set(operations(described)) - called == {"GET /events/stream"}

    server.stop()
    found = run_k6("load-health.test.js", server.url, tmp_path)
    assert found["verdict"] == "failed"
    assert found["status"] != 0
    assert found["all"]["success_rate"] == 0.0
    assert found["answers"]["broken"] == found["all"]["requests"]


def test_made_memories_are_the_same_each_time_and_answer_their_questions(
    server, tmp_path
):
    kept = tmp_path / "questions.jsonl"
    command = [sys.executable, MAKER, "--count", "300", "--questions", str(kept)]
    lines = subprocess.run(command, capture_output=True, check=True).stdout
    assert lines == subprocess.run(command, capture_output=True, check=True).stdout
    answered = server.client.post(
        "/memory/import",
        content=lines,
        headers={"Content-Type": "application/x-ndjson", "Accept": "application/json"},
    ).json()
    assert (answered["stored"], answered["failed"]) == (300, 0)
    questions = [json.loads(line) for line in kept.read_text("utf-8").splitlines()]
    assert len(questions) > 100
    found = 0
    for one in questions[:20]:
        query = {"query": one["question"], "top_k": 5}
        hits = server.client.post("/memory/search", json=query).json()["hits"]
        found += one["answer"] in [hit["content"] for hit in hits]
    assert found >= 18
