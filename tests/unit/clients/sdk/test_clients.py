"""Both clients against a real server: requests, answers, faults, retries."""

import builtins
import inspect
import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from secrets import token_hex
from typing import Any

import pytest

from cortex_client import (
    AuthError,
    ClosedError,
    ConflictError,
    ConnectionError,  # noqa: A004
    CortexClient,
    CortexClientSync,
    CortexError,
    NewMemory,
    NotFoundError,
    RateLimitError,
    RequestError,
    ServerError,
    SignatureError,
)
from cortex_client.discovery import target
from cortex_client.exchange import http_options
from cortex_client.signature import sign

STORED = {"ids": ["m1"], "items": [{"id": "m1", "created": True, "embedding": "ready"}]}


class Both:
    """Runs one call through the chosen client; keeps how long it waited."""

    def __init__(self, kind: str, url: str) -> None:
        self._kind = kind
        self._url = url
        self.waits: list[float] = []

    async def _asleep(self, seconds: float) -> None:
        self.waits.append(seconds)

    async def __call__(self, use: Callable[[Any], Any], **options: Any) -> Any:
        common = {"environ": {}, "jitter": lambda: 1.0, "new_key": lambda: "key-1"}
        given = {**common, **options}
        if self._kind == "sync":
            given.setdefault("sleep", self.waits.append)
            with CortexClientSync(self._url, **given) as client:
                result = use(client)
                return list(result) if inspect.isgenerator(result) else result
        given.setdefault("sleep", self._asleep)
        async with CortexClient(self._url, **given) as client:
            result = use(client)
            if inspect.isasyncgen(result):
                return [item async for item in result]
            return await result


@pytest.fixture(params=["async", "sync"])
def both(request: pytest.FixtureRequest, server: Any) -> Both:
    return Both(request.param, server.url)


def problem(code: str, message: str = "no", **more: Any) -> dict[str, Any]:
    return {
        "detail": message,
        "error": {"code": code, "message": message, **more},
        "correlation_id": "c-1",
    }


async def test_remember_sends_items_as_they_are_said(
    both: Any, server: Any, reply: Any
):
    server.then(reply(201, STORED))
    done = await both(
        lambda c: c.remember("tea", author="Ana", correlation_id="abc"), token="s3"
    )
    assert done.ids == ("m1",)
    (seen,) = server.seen
    assert (seen.method, seen.path) == ("POST", "/memory")
    assert seen.body == {
        "items": [{"content": "tea", "author": "Ana"}],
    }
    assert seen.headers["x-correlation-id"] == "abc"
    assert seen.headers["authorization"] == "Bearer s3"


async def test_only_messages_of_a_conversation_need_a_key(
    both: Any, server: Any, reply: Any
):
    server.then(reply(201, STORED))
    items = [
        NewMemory("tea", occurred_at=5.0, tags=("a",)),
        {"content": "milk", "idempotency_key": "own"},
        {"content": "ok", "session_id": "s"},
        {"content": "ok", "session_id": "s", "occurred_at": 5.0},
    ]
    await both(lambda c: c.remember(items, namespace="n"))
    assert server.seen[0].body["items"] == [
        {"namespace": "n", "content": "tea", "occurred_at": 5.0, "tags": ["a"]},
        {"namespace": "n", "content": "milk", "idempotency_key": "own"},
        {
            "namespace": "n",
            "content": "ok",
            "session_id": "s",
            "idempotency_key": "key-1",
        },
        {"namespace": "n", "content": "ok", "session_id": "s", "occurred_at": 5.0},
    ]


async def test_a_dropped_answer_to_remember_is_sent_again_with_the_same_key(
    both: Any, server: Any, reply: Any
):
    server.then(reply(drop=True), reply(drop=True), reply(201, STORED))
    await both(lambda c: c.remember("tea", session_id="s"), new_key=token_hex)
    assert len(server.seen) == 3
    assert len({request.raw for request in server.seen}) == 1
    assert both.waits == [1.0, 2.0]


async def test_retry_after_is_honoured(both: Any, server: Any, reply: Any, hit: Any):
    busy = reply(503, problem("UNAVAILABLE"), {"Retry-After": "4"})
    server.then(busy, reply(200, {"hits": [hit()], "low_confidence": False}))
    found = await both(lambda c: c.recall("tea?", 3, mode="keyword"))
    assert found.hits[0].content == "tea"
    assert both.waits == [4.0]
    assert server.seen[1].body == {"query": "tea?", "top_k": 3, "mode": "keyword"}


async def test_rate_limits_are_told_when_tries_run_out(
    both: Any, server: Any, reply: Any
):
    limited = reply(429, problem("RATE_LIMITED"), {"Retry-After": "2"})
    server.then(limited, limited)
    with pytest.raises(RateLimitError) as caught:
        await both(lambda c: c.stats(), max_retries=1)
    assert caught.value.retry_after == 2.0
    assert both.waits == [2.0]


async def test_a_long_retry_after_is_left_to_the_caller(
    both: Any, server: Any, reply: Any
):
    server.then(reply(429, problem("RATE_LIMITED"), {"Retry-After": "3600"}))
    with pytest.raises(RateLimitError) as caught:
        await both(lambda c: c.stats())
    assert (caught.value.retry_after, both.waits) == (3600.0, [])


async def test_an_audit_record_that_may_be_written_is_not_sent_again(
    both: Any, server: Any, reply: Any
):
    server.then(reply(drop=True))
    with pytest.raises(ConnectionError):
        await both(lambda c: c.record_audit("r", "a", "m", "p", "o"))
    assert len(server.seen) == 1


async def test_an_audit_record_refused_at_the_door_is_sent_again(
    both: Any, server: Any, reply: Any
):
    receipt = {"run_id": "r", "entry_id": "e", "index": 1, "recorded_at": 5.0}
    server.then(reply(503, problem("DRAINING")), reply(201, receipt))
    got = await both(lambda c: c.record_audit("r", "a", "m", "p", "o", latency_ms=3.0))
    assert got.entry_id == "e"
    assert server.seen[1].body["latency_ms"] == 3.0


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, RequestError),
        (401, AuthError),
        (403, AuthError),
        (404, NotFoundError),
        (409, ConflictError),
        (412, ConflictError),
        (413, RequestError),
        (422, RequestError),
        (500, ServerError),
        (507, ServerError),
    ],
)
async def test_each_status_is_its_error(
    both: Any, server: Any, reply: Any, status: int, kind: type[CortexError]
):
    server.then(reply(status, problem("SOME_CODE", "it is wrong", field="items[0]")))
    with pytest.raises(kind, match="it is wrong") as caught:
        await both(lambda c: c.get_memory("m 1/x"))
    error = caught.value
    assert (error.status, error.code, error.correlation_id) == (
        status,
        "SOME_CODE",
        "c-1",
    )
    assert error.data["field"] == "items[0]"
    assert server.seen[0].path == "/memory/m%201%2Fx"


@pytest.mark.parametrize("name", [".", ".."])
async def test_a_name_of_dots_asks_for_no_other_path(
    both: Any, server: Any, reply: Any, name: str
):
    server.then(reply(404, problem("MEMORY_NOT_FOUND", "none")))
    with pytest.raises(NotFoundError):
        await both(lambda c: c.get_memory(name))
    assert server.seen[0].path == "/memory/" + "%2E" * len(name)


async def test_a_foreign_answer_is_a_server_error(both: Any, server: Any, reply: Any):
    server.then(reply(200, b"<html>hello</html>"))
    with pytest.raises(ServerError, match="expected"):
        await both(lambda c: c.stats())
    server.then(reply(418, b"teapot"))
    with pytest.raises(RequestError, match="status 418"):
        await both(lambda c: c.stats())


async def test_nobody_listening_is_a_connection_error(both: Any, server: Any):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    both._url = f"http://127.0.0.1:{port}"
    with pytest.raises(builtins.ConnectionError, match=f"127.0.0.1:{port}") as caught:
        await both(lambda c: c.stats(), max_retries=2)
    assert "cortex serve" in str(caught.value)
    assert both.waits == [1.0, 2.0]


async def test_a_slow_answer_times_out(both: Any, server: Any, reply: Any):
    server.then(reply(200, {}, delay_seconds=0.5))
    with pytest.raises(ConnectionError, match=r"within 0\.1 s") as caught:
        await both(lambda c: c.stats(), timeout=0.1, max_retries=0)
    assert caught.value.code == "TIMEOUT"


async def test_snapshots_are_verified_with_a_key(both: Any, server: Any, reply: Any):
    pack: dict[str, Any] = {
        "generated_at": "2026-11-21T08:00:00Z",
        "ttl_seconds": 120,
        "summary": "quiet",
        "resources": [],
        "hot_facts": [],
        "token_count": 1,
        "freshness": "fresh",
    }
    pack["signature"] = sign(pack, "key")
    server.then(reply(200, pack), reply(200, {**pack, "summary": "loud"}))
    got = await both(lambda c: c.get_snapshot(since="x"), signing_key="key")
    assert (got.summary, got.freshness) == ("quiet", "fresh")
    assert server.seen[0].query == {"since": ["x"]}
    with pytest.raises(SignatureError):
        await both(lambda c: c.get_snapshot(), signing_key="key")


async def test_state_is_compared_and_set(both: Any, server: Any, reply: Any):
    entry = {"namespace": "n", "key": "k", "value": {"a": 1}, "etag": "e2"}
    server.then(reply(200, entry), reply(204), reply(200, entry))
    got = await both(lambda c: c.put_state("n", "k/1", {"a": 1}, if_match="e1"))
    assert (got.etag, got.value) == ("e2", {"a": 1})
    assert server.seen[0].headers["if-match"] == '"e1"'
    assert server.seen[0].path == "/state/n/k%2F1"
    assert await both(lambda c: c.delete_state("n", "k", if_match="*")) is None
    assert server.seen[1].headers["if-match"] == "*"
    assert (await both(lambda c: c.get_state("n", "k"))).key == "k"


async def test_an_unready_server_answers_without_retries(
    both: Any, server: Any, reply: Any
):
    server.then(
        reply(503, {"ready": False, "status": "draining"}),
        reply(200, {"ready": True, "status": "ready"}),
        reply(503, {"status": "unhealthy", "service": "cortex", "checks": {}}),
    )
    told = await both(lambda c: c.ready())
    assert (told.ready, told.reason) == (False, "draining")
    assert (await both(lambda c: c.ready())).ready
    assert (await both(lambda c: c.health())).status == "unhealthy"
    assert both.waits == []


async def test_export_streams_lines(both: Any, server: Any, reply: Any):
    server.then(reply(200, b'{"content":"a"}\n{"content":"b"}\n'))
    lines = await both(lambda c: c.export_lines(namespace="n", start="2026-01-01"))
    assert lines == ['{"content":"a"}', '{"content":"b"}']
    assert server.seen[0].query == {"namespace": ["n"], "start": ["2026-01-01"]}


async def test_a_stream_that_is_refused_raises(both: Any, server: Any, reply: Any):
    server.then(reply(403, problem("PERMISSION_DENIED")))
    with pytest.raises(AuthError):
        await both(lambda c: c.export_lines())
    server.then(reply(drop=True))
    with pytest.raises(ConnectionError):
        await both(lambda c: c.events())


async def test_events_are_followed(both: Any, server: Any, reply: Any):
    body = b'id: 1\nevent: memory.stored\ndata: {"id":"e"}\n\n: beat\n\n'
    server.then(reply(200, body, {"Content-Type": "text/event-stream"}))
    (event,) = await both(lambda c: c.events(last_event_id="0"))
    assert (event.type, event.data) == ("memory.stored", {"id": "e"})
    assert server.seen[0].headers["last-event-id"] == "0"


async def test_import_numbers_lines_of_the_file(both: Any, server: Any, reply: Any):
    step = {"line": 2, "stored": 2, "existing": 0, "failed": 0, "errors": []}
    server.then(reply(200, {**step, "done": True}))
    got = await both(lambda c: c.import_lines([b"{}", b"{}"], 100, namespace="n"))
    assert got.line == 102
    assert server.seen[0].raw == b"{}\n{}\n"
    assert server.seen[0].headers["content-type"] == "application/x-ndjson"


async def test_a_forget_with_a_lost_answer_is_not_repeated(
    both: Any, server: Any, reply: Any
):
    server.then(reply(drop=True))
    with pytest.raises(ConnectionError):
        await both(lambda c: c.forget(user_id="ana"))
    server.then(reply(200, {"forgotten": 1, "ids": ["m"], "content_sha256": ["h"]}))
    assert (await both(lambda c: c.forget("m"))).ids == ("m",)
    assert [(s.method, s.path, dict(s.query)) for s in server.seen] == [
        ("DELETE", "/memory", {"user_id": ["ana"]}),
        ("DELETE", "/memory/m", {}),
    ]


VERBS: list[tuple[Callable[[Any], Any], str, str, Any]] = [
    (lambda c: c.list_memories(tag="x", limit=2), "GET", "/memory", {"memories": []}),
    (
        lambda c: c.update_memory("m", content="y", namespace="n"),
        "PATCH",
        "/memory/m",
        {"id": "m", "content": "y"},
    ),
    (lambda c: c.create_session("t", id="s"), "POST", "/sessions", {"id": "s"}),
    (lambda c: c.list_sessions(limit=3), "GET", "/sessions", {"sessions": []}),
    (lambda c: c.get_session("s"), "GET", "/sessions/s", {"id": "s"}),
    (
        lambda c: c.list_messages("s"),
        "GET",
        "/sessions/s/messages",
        {"memories": [], "next_cursor": None},
    ),
    (
        lambda c: c.append_messages("s", ["hi"]),
        "POST",
        "/sessions/s/messages",
        {"items": []},
    ),
    (
        lambda c: c.build_context("q", model="gpt-4o", max_tokens=100),
        "POST",
        "/context",
        {"blocks": [], "total_tokens": 0},
    ),
    (
        lambda c: c.optimize_context([{"content": "x"}], 200),
        "POST",
        "/context/optimize",
        {
            "items": [],
            "total_tokens": 0,
            "items_included": 0,
            "items_dropped": 0,
            "budget_used_percent": 0,
        },
    ),
    (lambda c: c.discover(), "GET", "/state/discover", {"resources": []}),
    (lambda c: c.vector_search("q"), "POST", "/vector/search", {"hits": []}),
    (lambda c: c.embed("x"), "POST", "/embed", {"embedding": [0.5, 1]}),
    (
        lambda c: c.embed("x", normalize=False),
        "POST",
        "/embed/multimodal",
        {"embedding": [0.5, 1]},
    ),
    (
        lambda c: c.embed(file=b"RIFF", modality="AUDIO"),
        "POST",
        "/embed/multimodal",
        {"embedding": [0.5], "found": {"transcript": "hello", "seconds": 1}},
    ),
    (
        lambda c: c.remember_file(b"GIF", modality="IMAGE", caption="Ana", tags=["a"]),
        "POST",
        "/memory/media",
        {"id": "m1"},
    ),
    (lambda c: c.models(), "GET", "/models", {"models": [{"name": "m"}]}),
    (lambda c: c.inference_status(), "GET", "/inference", {"power": {}}),
    (lambda c: c.warm_model("m"), "POST", "/models/warm", {"seconds": 0.1}),
    (lambda c: c.set_power("low"), "PUT", "/inference/power", {"low": True}),
    (lambda c: c.scale_workers(2, "x"), "PUT", "/inference/workers", {"after": 2}),
    (lambda c: c.plan("goal"), "POST", "/agents/plan", {"id": "p", "goal": "goal"}),
    (
        lambda c: c.reflect("out", goal="g"),
        "POST",
        "/agents/reflect",
        {"quality_score": 0.8, "approved": True},
    ),
]


@pytest.mark.parametrize(("use", "method", "path", "answer"), VERBS)
async def test_every_other_verb_goes_where_the_contract_says(
    both: Any,
    server: Any,
    reply: Any,
    use: Callable[[Any], Any],
    method: str,
    path: str,
    answer: Any,
):
    server.then(reply(200, answer))
    assert await both(use) is not None
    assert (server.seen[0].method, server.seen[0].path) == (method, path)


async def test_fifty_lives_leak_no_descriptor(both: Any, server: Any, reply: Any):
    server.usual = lambda _: reply(200, {"total": 1}, {"Connection": "close"})
    await both(lambda c: c.stats())
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(50):
        await both(lambda c: c.stats())
    assert len(list(Path("/proc/self/fd").iterdir())) <= before + 2


@pytest.mark.parametrize(
    ("url", "authorities"),
    [
        ("http://127.0.0.1:1", False),
        ("http://localhost:1", False),
        ("https://127.0.0.1:1", True),
        ("http://cortex.example", True),
        ("https://cortex.example", True),
    ],
)
def test_certificates_are_read_where_tls_may_be_spoken(url, authorities):
    where = target(url, None, None, None, {})
    verify = http_options(where)["verify"]
    assert (verify is True) == authorities
    if not authorities:
        assert verify.verify_mode is ssl.CERT_REQUIRED
        assert verify.get_ca_certs() == []


def test_a_closed_sync_client_says_so(server: Any):
    client = CortexClientSync(server.url, environ={})
    client.close()
    with pytest.raises(ClosedError, match="closed"):
        client.recall("tea?")
    with pytest.raises(ClosedError, match="closed"):
        list(client.export_lines())
    assert server.seen == []


async def test_a_closed_async_client_says_so(server: Any):
    client = CortexClient(server.url, environ={})
    await client.close()
    with pytest.raises(ClosedError, match="closed"):
        await client.recall("tea?")
    with pytest.raises(ClosedError, match="closed"):
        _ = [line async for line in client.export_lines()]
    assert server.seen == []
