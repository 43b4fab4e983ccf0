"""Whatever comes in, the answer is 4xx, names field and reason, repeats nothing."""

import json

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cortex.foundation.limits import (
    BODY_BYTES_MAX,
    CONTENT_CHARACTERS_MAX,
    JSON_DEPTH_MAX,
    METADATA_BYTES_MAX,
    OPTIMIZE_ITEM_CHARACTERS_MAX,
    STATE_VALUE_BYTES_MAX,
    TAGS_MAX,
)
from cortex.service.http.body import parse_json

JSON = {"Content-Type": "application/json"}
SECRET = "do-not-repeat-me"


def item(**fields):
    return {"items": [{"content": "x"} | fields]}


def nested(depth):
    value = 1
    for _ in range(depth):
        value = [value]
    return value


CASES = {
    "no items": ("/memory", {"items": []}, "items", 1),
    "501 items": ("/memory", {"items": [{"content": "x"}] * 501}, "items", 500),
    "items missing": ("/memory", {}, "items", None),
    "items a text": ("/memory", {"items": SECRET}, "items", None),
    "body a list": ("/memory", [SECRET], "request", None),
    "body a text": ("/memory", SECRET, "request", None),
    "body null": ("/memory", None, "request", None),
    "item a text": ("/memory", {"items": [SECRET]}, "items[0]", None),
    "content missing": ("/memory", {"items": [{}]}, "items[0].content", None),
    "content empty": ("/memory", item(content=""), "items[0].content", 1),
    "content blank": ("/memory", item(content=" \n\t"), "items[0].content", None),
    "content a number": ("/memory", item(content=7), "items[0].content", None),
    "content null": ("/memory", item(content=None), "items[0].content", None),
    "content with NUL": (
        "/memory", item(content=f"{SECRET}\0"), "items[0].content", None
    ),
    "content too long": (
        "/memory", item(content="x" * (CONTENT_CHARACTERS_MAX + 1)),
        "items[0].content", CONTENT_CHARACTERS_MAX,
    ),
    "unknown field": ("/memory", item(colour=SECRET), "items[0].colour", None),
    "author too long": ("/memory", item(author="x" * 201), "items[0].author", 200),
    "author with newline": ("/memory", item(author="a\nb"), "items[0].author", None),
    "importance over 1": ("/memory", item(importance=1.5), "items[0].importance", 1),
    "importance a text": ("/memory", item(importance="1"), "items[0].importance", None),
    "importance true": ("/memory", item(importance=True), "items[0].importance", None),
    "too many tags": (
        "/memory", item(tags=["x"] * (TAGS_MAX + 1)), "items[0].tags", TAGS_MAX
    ),
    "tag too long": ("/memory", item(tags=["x" * 129]), "items[0].tags[0]", 128),
    "tags a text": ("/memory", item(tags=SECRET), "items[0].tags", None),
    "metadata a list": ("/memory", item(metadata=[1]), "items[0].metadata", None),
    "metadata too large": (
        "/memory", item(metadata={"a": "x" * METADATA_BYTES_MAX}),
        "items[0].metadata", None,
    ),
    "metadata with a huge integer": (
        "/memory", item(metadata={"a": 2**53}), "items[0].metadata", None
    ),
    "time a word": (
        "/memory", item(occurred_at=SECRET), "items[0].occurred_at", None
    ),
    "time out of range": (
        "/memory", item(occurred_at=1e15), "items[0].occurred_at", None
    ),
    "time true": ("/memory", item(occurred_at=True), "items[0].occurred_at", None),
    "valid backwards": (
        "/memory", item(valid_from=2, valid_to=1), "items[0]", None
    ),
    "ttl zero": ("/memory", item(ttl_seconds=0), "items[0].ttl_seconds", 0),
    "ttl a thousand years": (
        "/memory", item(ttl_seconds=3e10), "items[0].ttl_seconds", None
    ),
    "modality unknown": ("/memory", item(modality="smell"), "items[0].modality", None),
    "namespace climbs": (
        "/memory", item(namespace="../../etc"), "items[0].namespace", None
    ),
    "namespace too long": (
        "/memory", item(namespace="x" * 201), "items[0].namespace", 200
    ),
    "namespace with SQL": (
        "/memory", item(namespace="a'; DROP TABLE memories; --"),
        "items[0].namespace", None,
    ),
    "query missing": ("/memory/search", {}, "query", None),
    "query empty": ("/memory/search", {"query": ""}, "query", 1),
    "query too long": ("/memory/search", {"query": "x" * 10_001}, "query", 10_000),
    "query too many bytes": ("/memory/search", {"query": "☕" * 4_000}, "query", None),
    "top_k zero": ("/memory/search", {"query": "x", "top_k": 0}, "top_k", 1),
    "top_k 101": ("/memory/search", {"query": "x", "top_k": 101}, "top_k", 100),
    "top_k a text": ("/memory/search", {"query": "x", "top_k": "5"}, "top_k", None),
    "mode unknown": ("/memory/search", {"query": "x", "mode": SECRET}, "mode", None),
    "tier unknown": (
        "/memory/search", {"query": "x", "tiers": ["icy"]}, "tiers[0]", None
    ),
    "range backwards": (
        "/memory/search", {"query": "x", "time_range": {"start": 2, "end": 1}},
        "time_range", None,
    ),
    "filter unknown operator": (
        "/memory/search", {"query": "x", "filter": {"a": {"like": SECRET}}},
        None, None,
    ),
    "nothing to build from": ("/context", {"max_tokens": 100}, "request", None),
    "context of no tokens": (
        "/context", {"query": "x", "max_tokens": 0}, "max_tokens", 1
    ),
    "reserve negative": (
        "/context", {"query": "x", "reserve_tokens": -1}, "reserve_tokens", 0
    ),
    "strategy unknown": (
        "/context", {"query": "x", "strategy": SECRET}, "strategy", None
    ),
    "compression unknown": (
        "/context", {"query": "x", "compression": SECRET}, "compression", None
    ),
    "optimize nothing": ("/context/optimize", {"items": []}, "items", 1),
    "optimize 501 items": (
        "/context/optimize", {"items": [{"content": "x"}] * 501}, "items", 500
    ),
    "optimize a long item": (
        "/context/optimize",
        {"items": [{"content": "x" * (OPTIMIZE_ITEM_CHARACTERS_MAX + 1)}]},
        "items[0].content", OPTIMIZE_ITEM_CHARACTERS_MAX,
    ),
    "optimize 99 tokens": (
        "/context/optimize", item() | {"max_tokens": 99}, "max_tokens", 100
    ),
    "optimize 128 001 tokens": (
        "/context/optimize", item() | {"max_tokens": 128_001}, "max_tokens", 128_000
    ),
    "optimize a long category": (
        "/context/optimize", item(category="x" * 101), "items[0].category", 100
    ),
    "reserve all": (
        "/context/optimize", item() | {"max_tokens": 100, "reserve_tokens": 100},
        "request", None,
    ),
    "vector query missing": ("/vector/search", {"top_k": 5}, "query", None),
    "vector top_k": ("/vector/search", {"query": "x", "top_k": 101}, "top_k", 100),
    "session id with a slash": ("/sessions", {"id": "a/b"}, "id", None),
    "session title too long": ("/sessions", {"title": "x" * 201}, "title", 200),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
async def test_a_wrong_body_is_refused_by_field_and_limit(http, name):
    path, body, field, limit = CASES[name]
    answer = await http.post(path, content=json.dumps(body), headers=JSON)
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    told = answer.json()
    error = told["error"]
    assert field is None or error["field"] == field
    assert limit is None or error["limit"] == limit
    assert error["message"]
    assert told["detail"].startswith(error["message"].rstrip("."))
    assert SECRET not in answer.text
    assert len(answer.content) < 5_000


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/memory?limit=0", "limit"),
        ("/memory?limit=501", "limit"),
        ("/memory?limit=many", "limit"),
        ("/memory?tier=icy", "tier"),
        ("/memory?start=soon", "start"),
        ("/memory?start=2&end=1", "query"),
        ("/memory?namespace=..", "namespace"),
        ("/memory?cursor=nonsense", "cursor"),
        ("/memory?sesion_id=x", "sesion_id"),
        (f"/memory/{'x' * 201}", "memory_id"),
        ("/memory/stats?namespace=", "namespace"),
        ("/state/snapshot?since=" + "x" * 65, "since"),
        ("/db/sample", "database"),
        ("/db/sample?database=notes&table=note&limit=1001", "limit"),
        ("/fs/read_text?root=docs&path=x&num_bytes=255", "num_bytes"),
        ("/fs/read_text?root=docs&path=x&num_bytes=8193", "num_bytes"),
        ("/fs/list?root=docs&path=" + "x" * 1_025, "path"),
    ],
)
async def test_a_wrong_query_is_refused_by_field(http, path, field):
    answer = await http.get(path)
    assert answer.status_code == 422, answer.text
    assert answer.json()["error"]["field"] in {field, "request"}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"nonsense",
        b'{"items": [}',
        b"\xff\xfe{}",
        b'{"items": [{"content": "\xff"}]}',
        b'{"items": [{"content": "\\ud800"}]}',
        b'{"a": NaN}',
        b'{"a": Infinity}',
        b"[" * 100_000,
        orjson.dumps(nested(JSON_DEPTH_MAX + 1)),
        orjson.dumps({"items": [{"content": "x", "metadata": {"a": nested(40)}}]}),
    ],
)
async def test_a_body_that_is_no_json_is_malformed(http, body):
    headers = {"Content-Type": "application/json"}
    answer = await http.post("/memory", content=body, headers=headers)
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "MALFORMED_BODY"


async def test_a_body_of_the_greatest_depth_is_read(http):
    depth = JSON_DEPTH_MAX - 4
    answer = await http.post("/memory", json=item(metadata={"a": nested(depth)}))
    assert answer.status_code == 200
    parse_json(orjson.dumps(nested(JSON_DEPTH_MAX)))


async def test_ten_megabytes_are_too_many(http):
    assert BODY_BYTES_MAX < 10_000_000
    answer = await http.post("/memory", json=item(content="x" * 10_000_000))
    assert answer.status_code == 413
    assert answer.json()["error"]["limit"] == BODY_BYTES_MAX


async def test_hot_state_has_its_own_bound(http):
    value = "x" * STATE_VALUE_BYTES_MAX
    answer = await http.put("/state/team/key", json={"value": value})
    assert answer.status_code == 422
    assert answer.json()["error"]["field"] == "value"


async def test_several_faults_are_told_together(http):
    body = {"items": [{"content": ""}, {"author": 7}], "colour": 1}
    error = (await http.post("/memory", json=body)).json()["error"]
    fields = {told["field"] for told in error["errors"]}
    expected = {"items[0].content", "items[1].content", "items[1].author", "colour"}
    assert fields == expected


async def test_five_hundred_faults_make_a_short_answer(http):
    body = {"items": [{"content": 1, "author": 2}] * 500}
    answer = await http.post("/memory", json=body)
    assert len(answer.json()["error"]["errors"]) == 20
    assert "980 more" not in answer.text
    assert "997 more" in answer.text


async def test_a_patch_without_a_change_is_refused(http):
    answer = await http.patch("/memory/some-id", json={})
    assert answer.status_code == 422


@pytest.mark.parametrize(
    "content",
    [
        "'; DROP TABLE memories; --",
        'NEAR("a" "b", 5) OR content:*',
        "../../../etc/passwd",
        "<script>alert(1)</script>",
        "\u202e\u0000".replace("\0", ""),
        "{{7*7}} ${jndi:ldap://x}",
    ],
)
async def test_hostile_text_is_just_text(http, content):
    [memory_id] = (await http.post("/memory", json=item(content=content))).json()["ids"]
    assert (await http.get(f"/memory/{memory_id}")).json()["content"] == content
    found = await http.post("/memory/search", json={"query": content})
    assert found.status_code == 200


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["items", "content", "query", "value", "metadata", "filter"]
            )
            | st.text(max_size=5),
            inner,
            max_size=3,
        )
    ),
    max_leaves=10,
)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/memory"),
        ("POST", "/memory/search"),
        ("POST", "/context"),
        ("POST", "/context/optimize"),
        ("POST", "/vector/search"),
        ("POST", "/sessions"),
        ("PUT", "/state/team/key"),
    ],
)
@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(value=json_values)
async def test_no_json_value_makes_the_server_fail(http, method, path, value):
    body = json.dumps(value)
    answer = await http.request(method, path, content=body, headers=JSON)
    assert answer.status_code in {200, 400, 422}


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(body=st.binary(max_size=200))
async def test_no_bytes_make_the_server_fail(http, body):
    headers = {"Content-Type": "application/json"}
    answer = await http.post("/memory", content=body, headers=headers)
    assert answer.status_code in {400, 422}


@pytest.mark.parametrize(
    "number",
    [
        "18446744073709551616",
        "-9223372036854775809",
        "1" * 19 + "00",
        "-" + "9" * 300,
    ],
)
async def test_integers_beyond_64_bits_are_refused_and_not_rounded(http, number):
    for path, body in (
        ("/memory", '{"items": [{"content": "x", "metadata": {"a": %s}}]}'),
        ("/memory/search", '{"query": "x", "top_k": %s}'),
    ):
        headers = {"Content-Type": "application/json"}
        answer = await http.post(path, content=body % number, headers=headers)
        assert answer.status_code == 422
        assert "64 bits" in answer.json()["detail"]
        assert "text" in answer.json()["error"]["hint"]


async def test_long_digits_in_texts_and_fractions_are_fine(http):
    body = (
        '{"items": [{"content": "18446744073709551616", "metadata":'
        ' {"a": 0.12345678901234567890123, "b": 1e30, "c": "99999999999999999999"}}]}'
    )
    headers = {"Content-Type": "application/json"}
    answer = await http.post("/memory", content=body, headers=headers)
    assert answer.status_code == 200, answer.text
