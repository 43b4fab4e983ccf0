"""The client and the HTTP edge mean the same: a real socket, fakes behind the edge."""

import json
import random
import threading
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from typer.testing import CliRunner

from cortex.cli.application import build
from cortex.foundation.ids import Uuid7Source
from cortex.security.authorization import Authorization
from cortex.security.doors import Doors
from cortex.security.intrusion import Watch
from cortex.security.tokens import Tokens, parse_tokens
from cortex.service.http.app import create_app
from cortex.service.http.options import Edge, HttpOptions
from cortex.service.http.server import listen
from cortex.telemetry.exposition import Exposition
from cortex.telemetry.logs import LogOptions, build_logger
from cortex.telemetry.metrics import Metrics
from cortex.telemetry.tracing.sampling import Sampling
from cortex.telemetry.tracing.tracer import Tracer
from cortex.testing.memory import VirtualClock
from cortex.testing.surroundings import fake_world
from cortex_client import (
    AuthError,
    ConflictError,
    CortexClient,
    CortexClientSync,
    NotFoundError,
    RequestError,
)
from cortex_client.lines import batches
from cortex_client.mem0 import Memory

TOKEN = "client-token-0123456789"


class _Quiet(uvicorn.Server):
    def install_signal_handlers(self) -> None:
        """Leave the process's handlers alone."""


@pytest.fixture
def url() -> Iterator[str]:
    clock = VirtualClock()
    ids = Uuid7Source(clock)
    tokens = json.dumps({"client": {"token": TOKEN, "scopes": ["*"]}})
    metrics = Metrics(brand="brAInwav", version="0.1.0")
    edge = Edge(
        use_cases=fake_world(clock, ids).use_cases,
        doors=Doors(Tokens(parse_tokens(tokens), clock), Watch(clock)),
        authorization=Authorization(clock),
        clock=clock,
        ids=ids,
        metrics=metrics,
        exposition=Exposition(metrics.registry),
        tracer=Tracer(clock, random.Random(1).getrandbits, Sampling()),
        log=build_logger(LogOptions(level="debug"), clock, StringIO()),
        state=lambda: "ready",
    )
    app = create_app(edge, HttpOptions(brand="brAInwav", version="0.1.0"))
    bound = listen("127.0.0.1", 0)
    running = _Quiet(uvicorn.Config(app, log_config=None, lifespan="off"))
    thread = threading.Thread(target=running.run, kwargs={"sockets": [bound]})
    thread.start()
    yield f"http://127.0.0.1:{bound.getsockname()[1]}"
    running.should_exit = True
    thread.join()
    bound.close()


@pytest.fixture
def client(url: str) -> Iterator[CortexClientSync]:
    with CortexClientSync(url, token=TOKEN, environ={}, max_retries=0) as made:
        yield made


def test_a_memory_lives_and_is_forgotten(client: CortexClientSync) -> None:
    stored = client.remember(
        ["Ana prefers tea", {"content": "Ben prefers milk", "user_id": "ben"}],
        author="Ana",
        user_id="ana",
        namespace="team",
        tags=["drinks"],
        metadata={"k": 1},
        importance=0.7,
        occurred_at="2026-01-01T00:00:00Z",
    )
    assert [item.created for item in stored.items] == [True, True]
    found = client.get_memory(stored.ids[0], namespace="team")
    assert (found.content, found.author, found.tags) == (
        "Ana prefers tea",
        "Ana",
        ("drinks",),
    )
    assert found.occurred_at == 1_767_225_600.0
    changed = client.update_memory(found.id, namespace="team", content="Ana likes tea")
    assert changed.content == "Ana likes tea"
    page = client.list_memories(namespace="team", user_id="ana", limit=1)
    assert [memory.id for memory in page.memories] == [found.id]
    assert client.stats(namespace="team").total == 2
    gone = client.forget(namespace="team", user_id="ana")
    assert gone.ids == (found.id,)
    with pytest.raises(NotFoundError):
        client.get_memory(found.id, namespace="team")
    assert client.forget(stored.ids[1], namespace="team").ids == (stored.ids[1],)


def test_a_search_answers_with_signals_when_asked(client: CortexClientSync) -> None:
    client.remember("Ana prefers tea", user_id="ana", metadata={"k": 1})
    found = client.recall(
        "tea",
        3,
        mode="hybrid",
        explain=True,
        filter={"k": {"gte": 1}},
        user_id="ana",
        tiers=["hot", "warm"],
        time_range={"start": 0},
    )
    assert found.hits[0].content == "Ana prefers tea"
    assert found.hits[0].signals is not None
    assert client.recall("tea").hits[0].signals is None
    assert client.vector_search("tea", 2, {"k": 1}) is not None


def test_lines_go_in_and_come_out(client: CortexClientSync) -> None:
    lines = [json.dumps({"content": f"turn {n}"}).encode() for n in range(450)]
    lines[300] = b'{"content": ""}'
    steps = [
        client.import_lines(batch, start, namespace="talk")
        for start, batch in batches(lines)
    ]
    assert steps[-1].line == 450
    assert sum(step.stored for step in steps) == 449
    (error,) = [error for step in steps for error in step.errors]
    assert error.line == 301
    out = list(client.export_lines(namespace="talk"))
    assert len(out) == 449
    again = [line.encode() for line in out]
    total = sum(
        client.import_lines(batch, start, namespace="copy").stored
        for start, batch in batches(again)
    )
    assert total == 449


def test_sessions_and_state(client: CortexClientSync) -> None:
    session = client.create_session("Trip", id="trip-1", user_id="ana")
    client.append_messages("trip-1", [{"content": "by train", "author": "Ana"}])
    assert client.get_session(session.id).message_count == 1
    assert client.list_messages("trip-1").memories[0].content == "by train"
    assert [s.id for s in client.list_sessions(limit=5).sessions] == ["trip-1"]
    entry = client.put_state("n", "key", {"a": 1}, ttl_seconds=60)
    assert client.get_state("n", "key").value == {"a": 1}
    with pytest.raises(ConflictError):
        client.put_state("n", "key", 2, if_match="other")
    second = client.put_state("n", "key", 2, if_match=entry.etag)
    assert client.delete_state("n", "key", if_match=second.etag) is None
    with pytest.raises(NotFoundError):
        client.get_state("n", "key")


def test_contexts_and_surroundings(client: CortexClientSync) -> None:
    client.remember("Ana prefers tea")
    built = client.build_context("tea", model="gpt-4o", max_tokens=200)
    assert 0 < built.total_tokens <= built.budget
    fitted = client.optimize_context([{"content": "x", "priority": 2}], 200)
    assert fitted.items_included == 1
    assert client.get_snapshot().ttl_seconds > 0
    assert client.discover() is not None
    assert client.models()[0].name
    assert client.ready().ready
    assert client.health().service == "cortex"


def test_refusals_are_told_by_kind(url: str, client: CortexClientSync) -> None:
    with pytest.raises(RequestError, match="items") as caught:
        client.remember([])
    assert caught.value.data["field"] == "items"
    assert caught.value.correlation_id
    with pytest.raises(RequestError):
        client.recall("x", filter={"k": {"near": 1}})
    with (
        pytest.raises(AuthError),
        CortexClientSync(url, token="wrong", environ={}) as stranger,
    ):
        stranger.stats()


async def test_the_async_client_speaks_the_same(url: str) -> None:
    async with CortexClient(url, token=TOKEN, environ={}) as client:
        stored = await client.remember("Ana prefers tea", correlation_id="c-1")
        assert (await client.get_memory(stored.ids[0])).content == "Ana prefers tea"
        lines = [line async for line in client.export_lines()]
        assert json.loads(lines[0])["content"] == "Ana prefers tea"


def test_mem0_users_change_one_import(url: str) -> None:
    with Memory(base_url=url, token=TOKEN) as memory:
        messages = [
            {"role": "user", "content": "I like tea"},
            {"role": "assistant", "content": "Noted"},
        ]
        added = memory.add(messages, user_id="ana", run_id="r1", metadata={"k": 1})
        first = added["results"][0]["id"]
        assert len(memory.get_all(filters={"user_id": "ana"})["results"]) == 2
        found = memory.search("tea", user_id="ana", filters={"k": {"gte": 1}})
        assert found["results"][0]["memory"] == "I like tea"
        memory.update(first, text="I like coffee", metadata={"l": 2})
        record = memory.get(first)
        assert record is not None
        assert (record["memory"], record["metadata"], record["role"]) == (
            "I like coffee",
            {"k": 1, "l": 2},
            "user",
        )
        assert memory.history(first)[0]["event"] == "ADD"
        memory.delete(first)
        assert memory.get(first) is None
        memory.delete_all(user_id="ana")
        assert memory.get_all(user_id="ana") == {"results": []}


def test_commands_reach_the_edge(url: str, tmp_path: Path) -> None:
    def run(*arguments: str) -> Any:
        env = {"CORTEX_URL": url, "CORTEX_TOKEN": TOKEN, "COLUMNS": "200"}
        done = CliRunner().invoke(build(), list(arguments), env=env)
        assert done.exit_code == 0, done.output
        return done

    memory_id = run("remember", "Ana prefers tea", "--author", "Ana").stdout.strip()
    assert "Ana prefers tea" in run("recall", "tea", "--explain").stdout
    assert "Ana prefers tea" in run("context", "tea", "--model", "gpt-4o").stdout
    target = tmp_path / "out.jsonl"
    assert "1 lines" in run("export", str(target)).stdout
    assert run("import", str(target), "-n", "copy").stdout.startswith("1 stored")
    session = run("sessions", "new", "Trip").stdout.strip()
    assert session in run("sessions", "list").stdout
    assert "Trip" in run("sessions", "show", session).stdout
    assert run("models", "list").stdout
    assert run("models", "warm").stdout
    assert run("forget", memory_id, "--yes").stdout == "forgot 1 memory\n"
