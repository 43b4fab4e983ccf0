"""Planning and reflection of a real server, by SDK and command line, in its ledger."""

import asyncio
import json
import os
import subprocess
import sys
import time
from pathlib import Path

from cortex.testing.chat import Fault, chat_server
from cortex_client import CortexClient, CortexClientSync

GOAL = "Back up the database, then migrate it to PostgreSQL 16 without downtime"
PAGE = "The bridge was opened in 1932 and is 503 metres long."
CHAIN = {
    "reasoning": "safety first",
    "steps": [
        {"id": "move", "description": "Migrate it", "dependencies": ["save"]},
        {"id": "save", "description": "Back up", "dependencies": []},
    ],
    "complexity": 4,
}


def entries(client: CortexClientSync, kind: str, number: int):
    """Return the newest entries of a kind, once there are as many."""
    for _ in range(200):
        found = client.audit_entries(kind=kind).entries
        if len(found) >= number:
            return found
        time.sleep(0.05)
    raise AssertionError(f"no {number} entries of {kind}")


def cortex(url: str, *arguments: str, stdin: str = "") -> tuple[int, str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("CORTEX_")}
    done = subprocess.run(
        [sys.executable, "-m", "cortex", *arguments],
        env={**kept, "CORTEX_URL": url, "COLUMNS": "200"},
        input=stdin, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


def test_without_a_model_plans_are_kept_found_and_told_to_the_ledger(
    serve, tmp_path: Path
) -> None:
    server = serve()
    with CortexClientSync(server.url) as client:
        plan = client.plan(GOAL, context={"database size": "4 TB"})
        assert plan.method == "decomposition"
        assert [step["dependencies"] for step in plan.steps[:2]] == [[], ["s1"]]
        near = "Migrate the database to PostgreSQL 16 after backing it up, no downtime"
        again = client.plan(near, strategy="tot")
        assert plan.id in again.memories
        assert again.best_branch_id in {branch["id"] for branch in again.branches}
        assert client.get_memory(plan.id).kind == "plan"
        found = client.recall("What is the plan for moving to PostgreSQL?", 1)
        assert found.hits[0].kind == "plan"

        bad = PAGE.replace("503", "530")
        goal = "Describe the bridge: opening and length"
        first = client.reflect(bad, goal=goal, context={"page": PAGE})
        assert not first.approved
        assert first.issues[0]["kind"] == "number_not_in_sources"
        better = client.reflect(
            {"content": PAGE, "iteration": 2},
            goal=goal, context={"page": PAGE}, previous_id=first.id,
        )  # fmt: skip
        assert better.approved
        assert better.progress["score_change"] > 0

        planned = entries(client, "agents.planned", 2)
        assert planned[-1].data["ids"] == [plan.id]
        reflected = entries(client, "agents.reflected", 2)
        assert [one.data["approved"] for one in reflected] == [True, False]
        assert "530" not in json.dumps([one.data for one in reflected])

    source = tmp_path / "page.txt"
    source.write_text(PAGE)
    code, out, err = cortex(
        server.url, "reflect", "-", "--goal", goal, "--source", str(source), stdin=bad
    )
    assert code == 1
    assert "not approved" in err
    assert "530" in out
    code, out, _ = cortex(server.url, "plan", GOAL, "--fact", "size=4 TB", "--json")
    assert code == 0
    assert json.loads(out)["steps"][0]["id"] == "s1"
    metrics = server.client.get("/metrics").text
    assert 'cortex_plans_total{method="decomposition",strategy="cot"}' in metrics
    assert 'cortex_reflections_total{method="checks",verdict="approved"} 1.0' in metrics


async def ask_all(url: str) -> list[str]:
    async with CortexClient(url) as client:
        plans = await asyncio.gather(*(client.plan(f"{GOAL} {n}") for n in range(3)))
    return [plan.method for plan in plans]


def test_with_a_model_every_call_is_in_the_ledger_and_its_content_only_sealed(
    serve,
) -> None:
    with chat_server() as model:
        model.answers.extend([json.dumps(CHAIN)] * 3)
        server = serve(
            CORTEX_LLM__PROVIDER="openai",
            CORTEX_LLM__URL=model.url,
            CORTEX_LLM__MODEL="tiny",
            CORTEX_LLM__API_KEY="sk-secret-of-the-model",
            CORTEX_LLM__RECORD_CONTENT="true",
        )
        assert asyncio.run(ask_all(server.url)) == ["model:openai/tiny"] * 3
        with CortexClientSync(server.url) as client:
            called = entries(client, "model.called", 3)
            data = called[0].data
            assert (data["provider"], data["model"], data["status"]) == (
                "openai", "tiny", "ok",
            )  # fmt: skip
            assert data["total_tokens"] > 0
            assert data["latency_ms"] > 0
            recorded = client.audit_log(10).entries
            assert len(recorded) == 3
            content = client.audit_content(recorded[0].index)
            assert GOAL in json.dumps(content)
            model.faults.extend([Fault(503, body=b"{}")] * 3)
            plan = client.plan(GOAL)
            assert plan.method in {"decomposition", "recall"}
            assert "GENERATION_ERROR" in plan.notes[0]
        metrics = server.client.get("/metrics").text
        assert 'cortex_model_calls_total{outcome="ok",provider="openai"} 3.0' in metrics
        assert server.stop() == 0
        assert server.files_holding("sk-secret-of-the-model") == []
        assert "sk-secret" not in server.log.read_text()
