"""What commands ask, print, and end with."""

import json
import socket
from typing import Any

import pytest


def problem(code: str, message: str, hint: str = "") -> dict[str, Any]:
    return {"error": {"code": code, "message": message, "hint": hint}}


def test_remember_prints_the_id(cortex: Any, server: Any, reply: Any):
    server.then(reply(201, {"items": [{"id": "m1", "created": True}]}))
    done = cortex("remember", "tea", "--author", "Ana", "--tag", "a", "--tag", "b")
    assert (done.exit_code, done.stdout) == (0, "m1\n")
    (item,) = server.seen[0].body["items"]
    assert item == {"content": "tea", "author": "Ana", "tags": ["a", "b"]}


def test_remember_reads_standard_input(cortex: Any, server: Any, reply: Any):
    stored = {"ids": ["m1"], "items": [{"id": "m1", "created": False}]}
    server.usual = lambda _: reply(201, stored)
    done = cortex("remember", "-", "--at", "2026-01-01", "-n", "x", stdin="long text")
    assert "there already" in done.stdout
    assert server.seen[0].body["items"] == [
        {"namespace": "x", "content": "long text", "occurred_at": "2026-01-01"}
    ]
    told = json.loads(cortex("remember", "x", "--json").stdout)
    assert told["ids"] == ["m1"]


def test_recall_shows_hits_with_their_parts(
    cortex: Any, server: Any, reply: Any, hit: Any
):
    found = hit("[bold]tea[/] with milk", signals={"dense": 0.2, "lexical": 1.3})
    server.usual = lambda _: reply(200, {"hits": [found], "low_confidence": False})
    done = cortex("recall", "drink?", "-k", "3", "--explain", "--after", "2026-01-01")
    assert done.exit_code == 0
    assert "[bold]tea[/] with milk" in done.stdout
    assert "lexical 1.300  dense 0.200" in done.stdout
    assert server.seen[0].body == {
        "query": "drink?",
        "top_k": 3,
        "mode": "hybrid",
        "time_range": {"start": "2026-01-01"},
        "explain": True,
    }
    told = json.loads(cortex("recall", "drink?", "--json").stdout)
    assert told["hits"][0]["access_count"] == 0, "what the client does not know stays"


def test_recall_says_when_nothing_answers(cortex: Any, server: Any, reply: Any):
    server.then(reply(200, {"hits": [], "low_confidence": True}))
    done = cortex("recall", "Maria's dog?")
    assert (done.exit_code, done.stdout) == (0, "")
    assert "low confidence" in done.stderr
    assert "nothing found" in done.stderr


def test_context_prints_the_text_alone(cortex: Any, server: Any, reply: Any):
    built = {
        "blocks": [{"content": "Ana: tea"}],
        "text": "Ana: tea",
        "total_tokens": 4,
        "budget": 90,
        "token_method": "quicktok:o200k",
        "token_exact": True,
        "dropped": [{"id": "m", "reason": "budget", "tokens": 99}],
    }
    server.usual = lambda _: reply(200, built)
    done = cortex("context", "drink?", "-t", "100", "--reserve", "10")
    assert done.stdout == "Ana: tea\n"
    assert "4 of 90 tokens (exact, quicktok:o200k)" in done.stderr
    assert "1 left out (budget)" in done.stderr
    assert server.seen[0].body == {
        "query": "drink?",
        "max_tokens": 100,
        "reserve_tokens": 10,
    }
    assert json.loads(cortex("context", "q", "--json").stdout)["total_tokens"] == 4
    assert cortex("context").exit_code == 2


@pytest.mark.parametrize(
    ("arguments", "path", "query"),
    [
        (("m1",), "/memory/m1", {}),
        (("m1", "-n", "x"), "/memory/m1", {"namespace": ["x"]}),
        (("--user", "ana"), "/memory", {"user_id": ["ana"]}),
        (("-n", "x"), "/memory", {"namespace": ["x"]}),
        (
            ("--tag", "t", "--before", "2026-01-01"),
            "/memory",
            {"tag": ["t"], "end": ["2026-01-01"]},
        ),
    ],
)
def test_forget(
    cortex: Any, server: Any, reply: Any, arguments: Any, path: str, query: Any
):
    server.then(reply(200, {"forgotten": 2, "ids": ["a", "b"]}))
    done = cortex("forget", *arguments, "--yes")
    assert (done.exit_code, done.stdout) == (0, "forgot 2 memories\n")
    (seen,) = server.seen
    assert (seen.method, seen.path, dict(seen.query)) == ("DELETE", path, query)


@pytest.mark.parametrize(
    "arguments", [("--yes",), ("m1", "--user", "ana", "--yes"), ("m1",)]
)
def test_forget_does_nothing_by_accident(cortex: Any, server: Any, arguments: Any):
    assert cortex("forget", *arguments).exit_code == 2
    assert server.seen == []


def test_sessions(cortex: Any, server: Any, reply: Any, memory: Any):
    session = {"id": "s1", "title": "Trip", "message_count": 1, "updated_at": 5.0}
    server.then(reply(200, {"sessions": [session]}))
    assert "Trip" in cortex("sessions", "list").stdout
    server.then(reply(201, session))
    assert cortex("sessions", "new", "Trip", "--user", "ana").stdout == "s1\n"
    assert server.seen[1].body == {"title": "Trip", "user_id": "ana"}
    page = {"memories": [memory("by train")], "next_cursor": None}
    server.then(reply(200, session), reply(200, page))
    shown = cortex("sessions", "show", "s1").stdout
    assert "Trip: 1 messages" in shown
    assert "by train" in shown
    server.then(reply(200, session), reply(200, page))
    told = json.loads(cortex("sessions", "show", "s1", "--json").stdout)
    assert told["messages"][0]["content"] == "by train"


def test_models(cortex: Any, server: Any, reply: Any):
    model = {"name": "minilm", "dimensions": 384, "loaded": True}
    server.then(reply(200, {"models": [model]}))
    assert "384" in cortex("models", "list").stdout
    server.then(reply(200, {"models": [model]}))
    assert json.loads(cortex("models", "list", "--json").stdout) == {"models": [model]}
    server.then(reply(200, {"seconds": 0.25}))
    assert "0.25 s" in cortex("models", "warm").stdout
    server.then(reply(200, {"low": True, "since": 1_700_000_000}))
    assert "saving since" in cortex("models", "power", "low").stdout
    server.then(reply(200, {"before": 0, "after": 2}))
    assert "0 -> 2" in cortex("models", "scale", "2").stdout
    status = {
        "power": {"low": False, "mode": "normal", "reason": "settings"},
        "pool": {
            "target": "minilm",
            "losses": 1,
            "workers": [{"name": "worker-2", "state": "ready", "pid": 77}],
        },
        "memory_bytes": 100 * 1024**2,
        "process": {"gc_thresholds": [10000, 20, 50]},
    }
    server.then(reply(200, status))
    shown = cortex("models", "status").stdout
    assert "worker-2 (ready, pid 77)" in shown
    assert "100 MB of ?" in shown
    server.then(reply(200, status))
    assert json.loads(cortex("models", "status", "--json").stdout) == status


@pytest.mark.parametrize(
    ("status", "code", "exit_code"),
    [
        (401, "UNAUTHENTICATED", 5),
        (403, "PERMISSION_DENIED", 5),
        (404, "MEMORY_NOT_FOUND", 4),
        (422, "VALIDATION_ERROR", 2),
        (413, "PAYLOAD_TOO_LARGE", 2),
        (409, "CONFLICT", 1),
        (429, "RATE_LIMITED", 1),
        (500, "INTERNAL_ERROR", 1),
        (507, "STORAGE_FULL", 1),
    ],
)
def test_errors_are_one_line_and_a_code(
    cortex: Any, server: Any, reply: Any, status: int, code: str, exit_code: int
):
    server.then(reply(status, problem(code, "it [red]cannot[/] be", "Do otherwise.")))
    done = cortex("recall", "x")
    assert done.exit_code == exit_code
    assert done.stderr == "error: it [red]cannot[/] be. Do otherwise.\n"
    assert done.stdout == ""


def test_no_server_is_one_clear_sentence(cortex: Any):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    done = cortex("recall", "x", CORTEX_URL=f"http://127.0.0.1:{port}")
    assert done.exit_code == 3
    assert done.stderr.count("\n") == 1
    assert "cortex serve" in done.stderr
    assert cortex("recall", "x", "--url", "nonsense").exit_code == 2


def test_plan_shows_steps_and_ways(cortex: Any, server: Any, reply: Any):
    step = {"id": "s1", "description": "[bold]pack[/]", "dependencies": []}
    way = {"id": "b1", "description": "at once", "steps": [step], "score": 7.5}
    plan = {
        "id": "m1", "goal": "move", "strategy": "tot", "steps": [step],
        "branches": [way], "best_branch_id": "b1", "method": "recall",
    }  # fmt: skip
    server.then(reply(200, plan))
    done = cortex("plan", "move", "--strategy", "tot", "--fact", "boxes=3", "-n", "x")
    assert done.exit_code == 0
    assert "[bold]pack[/]" in done.stdout
    assert "* 7.5  at once" in done.stderr
    assert server.seen[0].body == {
        "goal": "move", "strategy": "tot", "context": {"boxes": "3"}, "namespace": "x",
    }  # fmt: skip
    wrong = cortex("plan", "move", "--fact", "boxes")
    assert wrong.exit_code == 2
    assert "name=value" in wrong.stderr


def test_reflect_ends_with_1_unless_approved(
    cortex: Any, server: Any, reply: Any, tmp_path: Any
):
    issue = {"severity": "high", "message": "wrong number", "evidence": "530"}
    judged = {"quality_score": 0.2, "approved": False, "issues": [issue]}
    server.then(reply(200, judged | {"action_items": ["correct it"]}))
    source = tmp_path / "page.txt"
    source.write_text("503")
    done = cortex(
        "reflect", "-", "--goal", "g", "--criterion", "short", "--source", str(source),
        "--iteration", "2", "--previous", "m0", stdin="530",
    )  # fmt: skip
    assert done.exit_code == 1
    assert "wrong number" in done.stdout
    assert "- correct it" in done.stderr
    assert server.seen[0].body == {
        "output": {"content": "530", "iteration": 2},
        "goal": "g",
        "criteria": ["short"],
        "context": {"page.txt": "503"},
        "previous_id": "m0",
    }
    server.then(reply(200, {"quality_score": 0.9, "approved": True}))
    assert cortex("reflect", "-", "--json", stdin="x").exit_code == 0


def test_what_json_cannot_say_is_one_line(cortex: Any):
    done = cortex("remember", "tea", "--ttl", "nan")
    assert done.exit_code == 2
    assert "cannot be sent as JSON" in done.stderr


def test_a_picture_that_is_not_there_is_told_as_that(cortex: Any):
    done = cortex("embed", "--file", "no-such-file")
    assert done.exit_code == 2
    assert "No such file or directory: no-such-file" in done.stderr


def test_no_port_is_that_high(cortex: Any):
    done = cortex("demo", "--port", "99999")
    assert done.exit_code == 2
    assert "65535" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "hint", "told"),
    [
        (
            ("sessions", "show", "x"),
            404,
            "Begin it with POST /sessions.",
            "sessions new",
        ),
        (
            ("events", "retry", "x"),
            404,
            "GET /events/dead-letters lists.",
            "dead-letters",
        ),
    ],
)
def test_hints_name_commands_not_routes(
    cortex: Any,
    server: Any,
    reply: Any,
    arguments: Any,
    code: int,
    hint: str,
    told: str,
):
    server.usual = lambda _: reply(code, problem("NOT_FOUND", "none", hint))
    said = cortex(*arguments).stderr
    assert f"{told}`" in said
    assert "GET /" not in said
    assert "POST /" not in said


def test_what_was_given_is_named_as_it_was_given(cortex: Any, server: Any, reply: Any):
    message = "time_range.start must be epoch seconds or an ISO 8601 time"
    server.then(reply(422, problem("VALIDATION_ERROR", message)))
    said = cortex("recall", "tea", "--after", "yesterday").stderr
    assert said.startswith("error: --after must be epoch seconds")
