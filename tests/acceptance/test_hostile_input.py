"""Hostile input to a real server: 4xx that names field and limit, and nothing breaks."""

import json

import httpx
import pytest

from cortex.foundation.limits import (
    BODY_BYTES_MAX,
    CONTENT_CHARACTERS_MAX,
    IMPORT_LINE_BYTES_MAX,
    JSON_DEPTH_MAX,
    MEMORY_ITEMS_PER_REQUEST_MAX,
    METADATA_BYTES_MAX,
    OPTIMIZE_ITEM_CHARACTERS_MAX,
    QUERY_CHARACTERS_MAX,
    STATE_VALUE_BYTES_MAX,
    TOP_K_MAX,
)

JSON = {"Content-Type": "application/json"}
LINES = {"Content-Type": "application/x-ndjson", "Accept": "application/json"}
GOOD = {"content": "a good neighbour of something bad"}
SECRET = "do-not-repeat-me"


def nested(depth: int, value: object = 1) -> object:
    for _ in range(depth):
        value = {"a": value}
    return value


def raw(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def item(**fields: object) -> dict[str, object]:
    return {"items": [GOOD, {"content": "x"} | fields]}


def query(**fields: object) -> dict[str, object]:
    return {"query": "x"} | fields


# name: (path, body, status, field, limit); a str or bytes body is sent as it is
WRONG = {
    "memory: empty body": ("/memory", b"", 400, "body", None),
    "memory: not UTF-8": (
        "/memory", b'{"items": [{"content": "\xff\xfe"}]}', 400, "body", None
    ),
    "memory: UTF-16": (
        "/memory", json.dumps(item()).encode("utf-16"), 400, "body", None
    ),
    "memory: a lone surrogate": (
        "/memory", '{"items": [{"content": "a\\ud800b"}]}', 400, "body", None
    ),
    "memory: NaN": (
        "/memory", '{"items": [{"content": "x", "importance": NaN}]}', 400, "body", None
    ),
    "memory: a number too large to be one": (
        "/memory", '{"items": [{"content": "x", "importance": 1e999}]}', 400, "body",
        None,
    ),
    "memory: nested without end": ("/memory", "[" * 100_000, 400, "body", None),
    "memory: nested too deep": (
        "/memory", item(metadata=nested(JSON_DEPTH_MAX)), 400, "body", JSON_DEPTH_MAX
    ),
    "memory: two documents": ("/memory", '{"items": []}{"items": []}', 400, "body",
                              None),
    "memory: larger than a body may be": (
        "/memory", item(content="x" * 10_000_000), 413, "body", BODY_BYTES_MAX
    ),
    "memory: no items": ("/memory", {"items": []}, 422, "items", 1),
    "memory: too many items": (
        "/memory", {"items": [GOOD] * 501}, 422, "items", MEMORY_ITEMS_PER_REQUEST_MAX
    ),
    "memory: a content too long": (
        "/memory", item(content="x" * (CONTENT_CHARACTERS_MAX + 1)), 422,
        "items[1].content", CONTENT_CHARACTERS_MAX,
    ),
    "memory: an empty content": (
        "/memory", item(content=""), 422, "items[1].content", 1
    ),
    "memory: NUL": ("/memory", item(content="a\0b"), 422, "items[1].content", None),
    "memory: a content that is an object": (
        "/memory", item(content={"$ne": SECRET}), 422, "items[1].content", None
    ),
    "memory: metadata too large": (
        "/memory", item(metadata={"a": "x" * METADATA_BYTES_MAX}), 422,
        "items[1].metadata", None,
    ),
    "memory: an integer no other reader keeps": (
        "/memory", item(metadata={"a": 10**18}), 422, "items[1].metadata", None
    ),
    "memory: an integer of 5 000 digits": (
        "/memory", '{"items": [{"content": "x", "importance": ' + "9" * 5_000 + "}]}",
        (400, 422), None, None,
    ),
    "memory: a time after the end of time": (
        "/memory", item(occurred_at=1e300), 422, "items[1].occurred_at", None
    ),
    "memory: a namespace that climbs": (
        "/memory", item(namespace="../../etc/passwd"), 422, "items[1].namespace", None
    ),
    "memory: a namespace of SQL": (
        "/memory", item(namespace="x'; DROP TABLE memories;--"), 422,
        "items[1].namespace", None,
    ),
    "search: no query": ("/memory/search", {}, 422, "query", None),
    "search: a blank query": ("/memory/search", query(query=" \n"), 422, "query", None),
    "search: a query too long": (
        "/memory/search", query(query="x" * 10_001), 422, "query", QUERY_CHARACTERS_MAX
    ),
    "search: top_k of 1e9": (
        "/memory/search", query(top_k=1e9), 422, "top_k", TOP_K_MAX
    ),
    "search: top_k true": ("/memory/search", query(top_k=True), 422, "top_k", None),
    "search: top_k of one and a half": (
        "/memory/search", query(top_k=1.5), 422, "top_k", None
    ),
    "search: a filter of SQL": (
        "/memory/search", query(filter={"a": {"eq'; --": 1}}), 422, None, None
    ),
    "search: a filter that is text": (
        "/memory/search", query(filter="1=1"), 422, "filter", None
    ),
    "search: a filter nested too deep": (
        "/memory/search", query(filter=nested(JSON_DEPTH_MAX + 1)), 400, "body",
        JSON_DEPTH_MAX,
    ),
    "context: nothing asked": ("/context", {}, 422, "request", None),
    "context: a budget below nothing": (
        "/context", query(max_tokens=-1), 422, "max_tokens", 1
    ),
    "context: a budget beyond any model": (
        "/context", query(max_tokens=10**12), 422, "max_tokens", 2_000_000
    ),
    "context: all reserved": (
        "/context", query(max_tokens=10, reserve_tokens=10), 422, "reserve_tokens", 10
    ),
    "context: a model's name without end": (
        "/context", query(model="x" * 100_000), 422, "model", 200
    ),
    "optimize: nothing": ("/context/optimize", {"items": []}, 422, "items", 1),
    "optimize: too many": (
        "/context/optimize", {"items": [GOOD] * 501}, 422, "items", 500
    ),
    "optimize: too long": (
        "/context/optimize", item(content="x" * (OPTIMIZE_ITEM_CHARACTERS_MAX + 1)),
        422, "items[1].content", OPTIMIZE_ITEM_CHARACTERS_MAX,
    ),
    "optimize: a priority of infinity": (
        "/context/optimize", '{"items": [{"content": "x", "priority": Infinity}]}', 400,
        "body", None,
    ),
    "optimize: 128 001 tokens": (
        "/context/optimize", item() | {"max_tokens": 128_001}, 422, "max_tokens",
        128_000,
    ),
    "vector: a query of too many bytes": (
        "/vector/search", query(query="☕" * 4_000), 422, "query", None
    ),
    "vector: a filter that is a list": (
        "/vector/search", query(filter_metadata=[1]), 422, "filter_metadata", None
    ),
    "vector: top_k of nothing": ("/vector/search", query(top_k=0), 422, "top_k", 1),
}  # fmt: skip

WRONG_QUERIES = {
    "/db/schema/..%2F..%2Fetc%2Fpasswd": 404,
    "/db/schema/cortex'%20OR%201=1": 404,
    "/db/sample?database=notes&table=x'%3BDROP%20TABLE%20t": 404,
    "/db/sample?database=notes&table=t&limit=1001": 422,
    "/db/sample?database=notes&table=t&limit=NaN": 422,
    "/db/sample?database=cortex&table=memories": 403,
    "/fs/list?root=notes&path=../..": (403, 404, 422),
    "/fs/list?root=..&path=": (404, 422),
    "/fs/read_text?root=notes&path=/etc/passwd": (403, 404, 422),
    "/fs/read_text?root=notes&path=..%2F..%2Fetc%2Fpasswd": (403, 404, 422),
    "/fs/read_text?root=notes&path=%00": (404, 422),
    "/fs/read_text?root=notes&path=outside": (403, 404, 422),
    "/fs/read_text?root=notes&path=note.txt&num_bytes=8193": 422,
    "/fs/read_text?root=notes&path=" + "a/" * 2_000: 422,
    "/memory?cursor=%FF%FE": 422,
    "/memory?limit=99999999999999999999": 422,
    "/memory?tag=%00": 422,
    "/memory/..%2f..%2fetc": 404,
    "/state/team/..%2F..%2Fetc": (404, 422),
    "/audit/entries?before=99999999999999999999": 422,
}

STATE = {
    "/state/team/a%00b": ({"value": 1}, None),
    "/state/..%2f/key": ({"value": 1}, None),
    "/state/team/" + "k" * 300: ({"value": 1}, None),
    "/state/team/big": ({"value": "x" * STATE_VALUE_BYTES_MAX}, "value"),
    "/state/team/none": ({}, "value"),
    "/state/team/deep": ({"value": nested(JSON_DEPTH_MAX + 1)}, "body"),
    "/state/team/ttl": ({"value": 1, "ttl_seconds": -1}, "ttl_seconds"),
    "/state/team/large": ({"value": 10**18}, "value"),
}

HOSTILE_TEXTS = (
    "'; DROP TABLE memories; --",
    '" OR 1=1 --',
    'NEAR("a" "b", 5) AND content:* NOT (x OR "y',
    "* ^ \" ' ( ) { } [ ] : - + ~ \\",
    "../../../../etc/passwd",
    "<script>alert(1)</script>",
    "{{7*7}} ${7*7} %s %n %x",
    "\u202eright to left\u202c \u200b zero \ufeff width",
    "e\u0301" * 500,
    "\U0001f469\u200d\U0001f469\u200d\U0001f467" * 100,
    "a\r\nSet-Cookie: x=y",
)


@pytest.fixture
def server(serve, tmp_path):
    roots = tmp_path / "roots"
    roots.mkdir()
    (roots / "note.txt").write_text("a note")
    (roots / "outside").symlink_to("/etc/passwd")
    return serve(
        CORTEX_FAST_TEST="1",
        CORTEX_RATE_LIMIT_PER_MINUTE="1000000",
        CORTEX_FS_ROOTS=json.dumps({"notes": str(roots)}),
    )


def told(answer: httpx.Response, statuses: int | tuple[int, ...]) -> dict:
    """Return the error of a refusal that has everything a refusal must have."""
    allowed = statuses if isinstance(statuses, tuple) else (statuses,)
    assert answer.status_code in allowed, answer.text[:500]
    assert answer.headers["content-type"] == "application/problem+json"
    assert len(answer.content) < 5_000
    body = answer.json()
    assert body["correlation_id"] == answer.headers["x-correlation-id"]
    assert body["detail"]
    assert body["error"]["code"]
    assert body["error"]["message"]
    assert SECRET not in answer.text
    assert "root:" not in answer.text
    return body["error"]


def still_healthy(server) -> None:
    assert server.client.get("/healthz").json()["status"] == "ok"
    log = server.log.read_text()
    assert "request failed" not in log
    assert "Traceback" not in log
    assert SECRET not in log


def total(server) -> int:
    return server.client.get("/memory/stats").json()["total"]


def test_every_wrong_body_is_refused_and_nothing_of_it_is_stored(server):
    for name, (path, body, status, field, limit) in WRONG.items():
        content = body if isinstance(body, bytes | str) else json.dumps(body)
        answer = server.client.post(path, content=content, headers=JSON)
        try:
            error = told(answer, status)
            assert field is None or error["field"] == field
            assert limit is None or error["limit"] == limit
        except AssertionError as failure:
            raise AssertionError(f"{name}: {answer.status_code}") from failure
    # A batch is stored whole or not at all: no good neighbour of a bad item is there.
    assert total(server) == 0
    still_healthy(server)


def test_every_wrong_query_is_refused(server):
    for path, statuses in WRONG_QUERIES.items():
        answer = server.client.get(path)
        try:
            told(answer, statuses)
        except AssertionError as failure:
            raise AssertionError(f"{path}: {answer.text[:300]}") from failure
    still_healthy(server)


def test_hot_state_refuses_wrong_keys_and_values(server):
    for path, (body, field) in STATE.items():
        answer = server.client.put(path, content=json.dumps(body), headers=JSON)
        error = told(answer, (400, 404, 413, 422))
        assert field is None or error["field"] == field, path
    still_healthy(server)


def test_hostile_texts_are_only_texts(server):
    body = {"items": [{"content": text, "author": "Eve"} for text in HOSTILE_TEXTS]}
    ids = server.client.post("/memory", json=body).json()["ids"]
    assert len(set(ids)) == len(HOSTILE_TEXTS)
    for memory_id, text in zip(ids, HOSTILE_TEXTS, strict=True):
        assert server.client.get(f"/memory/{memory_id}").json()["content"] == text
        for mode in ("hybrid", "semantic", "keyword"):
            sent = {"query": text[:500], "mode": mode, "top_k": 100}
            assert server.client.post("/memory/search", json=sent).status_code == 200
        sent = {"query": text[:500], "max_tokens": 300, "model": "gpt-4o"}
        assert server.client.post("/context", json=sent).status_code == 200
        sent = {"query": text[:500], "filter_metadata": {text[:50]: text}}
        assert server.client.post("/vector/search", json=sent).status_code == 200
        for field in ("tag", "author", "user_id", "kind"):
            found = server.client.get("/memory", params={field: text[:50]})
            assert found.status_code in (200, 422)
    assert total(server) == len(HOSTILE_TEXTS)
    still_healthy(server)


def test_a_key_named_twice_counts_once(server):
    body = '{"items": [{"content": "first", "content": "second"}]}'
    answer = server.client.post("/memory", content=body, headers=JSON)
    if answer.status_code == 200:
        [stored] = answer.json()["ids"]
        assert server.client.get(f"/memory/{stored}").json()["content"] == "second"
    else:
        told(answer, 400)
    still_healthy(server)


def test_an_integer_may_be_written_with_a_point(server):
    sent = '{"query": "x", "top_k": 5.0}'
    found = server.client.post("/memory/search", content=sent, headers=JSON)
    assert found.status_code == 200


def test_a_bad_line_of_an_import_harms_no_other(server):
    bad = [
        b"nonsense",
        b"\xff\xfe not UTF-8",
        b'{"content": "\\ud800"}',
        b'{"content": "a\\u0000b"}',
        b'{"content": NaN}',
        b"[]",
        b"null",
        b"{}",
        b'{"content": ""}',
        b'{"content": 7}',
        b'{"content": "x", "colour": "red"}',
        b'{"content": "x", "importance": 1e999}',
        b'{"content": "x", "importance": -1}',
        b'{"content": "x", "occurred_at": "soon"}',
        b'{"content": "x", "tags": "red"}',
        b'{"content": "x", "metadata": {"a": ' + b"[" * 5_000 + b"]" * 5_000 + b"}}",
        b'{"content": "x", "ttl_seconds": 0}',
        b'{"content": "x", "tier": "icy"}',
        b'{"content": "x", "id": ' + b"9" * 400 + b"}",
        b'{"type": "session", "id": ""}',
        b'{"content": "x", "id": ""}',
        b'{"content": "' + b"x" * 10_000_000 + b'"}',
    ]
    lines = []
    for number, line in enumerate(bad):
        lines += [json.dumps({"content": f"good line {number}"}).encode(), line]
    answer = server.client.post(
        "/memory/import", content=b"\n".join(lines), headers=LINES
    )
    assert answer.status_code == 200
    body = answer.json()
    assert body["done"] is True
    assert body["stored"] == len(bad)
    assert body["failed"] == len(bad)
    assert body["line"] == len(lines)
    assert [one["line"] for one in body["errors"]] == list(range(2, len(lines) + 1, 2))
    assert all(one["code"] and one["message"] for one in body["errors"])
    assert str(IMPORT_LINE_BYTES_MAX) in body["errors"][-1]["message"]
    assert len(answer.content) < 20_000
    assert total(server) == len(bad)
    still_healthy(server)


def test_wrong_content_types_and_methods(server):
    form = server.client.post("/memory", data={"items": "x"})
    assert told(form, 415)["field"] == "content-type"
    told(server.client.post("/memory/import", data={"a": "b"}), 415)
    told(server.client.request("PUT", "/memory"), 405)
    told(server.client.get("/no/such/path"), 404)
    still_healthy(server)
