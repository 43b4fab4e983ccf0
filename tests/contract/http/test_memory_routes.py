import json

import pytest

from cortex.foundation.limits import IMPORT_LINE_BYTES_MAX

NDJSON = {"Content-Type": "application/x-ndjson"}


async def remember(http, *contents, **fields):
    items = [{"content": content, **fields} for content in contents]
    answer = await http.post("/memory", json={"items": items})
    assert answer.status_code == 200
    return answer.json()["ids"]


async def test_ids_come_in_the_order_of_the_items(http):
    answer = await http.post(
        "/memory",
        json={
            "items": [
                {"content": "one", "namespace": "a"},
                {"content": "two", "namespace": "b"},
                {"content": "three", "namespace": "a"},
            ]
        },
    )
    body = answer.json()
    contents = []
    for memory_id, place in zip(body["ids"], "aba", strict=True):
        found = await http.get(f"/memory/{memory_id}", params={"namespace": place})
        contents.append(found.json()["content"])
    assert contents == ["one", "two", "three"]
    assert [item["created"] for item in body["items"]] == [True, True, True]


async def test_the_same_item_twice_is_one_item(http):
    first = await remember(http, "tea", idempotency_key="k")
    answer = await http.post(
        "/memory", json={"items": [{"content": "tea", "idempotency_key": "k"}]}
    )
    assert answer.json()["ids"] == first
    assert answer.json()["items"][0]["created"] is False


async def test_a_key_names_what_was_stored_under_it(http):
    first = await remember(http, "tea", idempotency_key="k")
    await remember(http, "coffee", idempotency_key="other")
    named = {"idempotency_key": "k"}
    page = (await http.get("/memory", params=named)).json()
    assert [memory["id"] for memory in page["memories"]] == first
    gone = (await http.delete("/memory", params=named)).json()
    assert gone["ids"] == first
    assert (await http.get("/memory", params=named)).json()["memories"] == []


async def test_a_namespace_may_be_named_once_for_all_items(http):
    await http.post("/memory", json={"items": [{"content": "x"}], "namespace": "team"})
    page = (await http.get("/memory", params={"namespace": "team"})).json()
    assert [memory["namespace"] for memory in page["memories"]] == ["team"]


async def test_every_field_survives(http):
    item = {
        "content": "Tea at five — ☕ 'quoted' \"twice\" <b>",
        "author": "Ana",
        "kind": "fact",
        "session_id": "s1",
        "agent_id": "a1",
        "user_id": "u1",
        "importance": 1,
        "tags": ["drink", "habit"],
        "metadata": {"cups": 2, "nested": {"deep": [None, True, 1.5]}},
        "occurred_at": 1_600_000_000.25,
        "valid_from": "2020-01-01T00:00:00Z",
        "valid_to": "2030-01-01T01:00:00+01:00",
        "ttl_seconds": 60,
        "modality": "text",
    }
    answer = await http.post("/memory", json={"items": [item]})
    [memory_id] = answer.json()["ids"]
    found = (await http.get(f"/memory/{memory_id}")).json()
    expected = item | {"valid_from": 1577836800.0, "valid_to": 1893456000.0}
    del expected["ttl_seconds"]
    assert {name: found[name] for name in expected} == expected
    assert found["expires_at"] == found["created_at"] + 60


async def test_a_time_without_a_zone_is_utc(http):
    [memory_id] = await remember(http, "x", occurred_at="1970-01-02")
    assert (await http.get(f"/memory/{memory_id}")).json()["occurred_at"] == 86400.0


async def test_a_search_finds_and_explains(http):
    await remember(http, "tea is served at five", "coffee is served at nine")
    asked = {"query": "tea five", "explain": True}
    body = (await http.post("/memory/search", json=asked)).json()
    [hit] = body["hits"]
    assert hit["content"] == "tea is served at five"
    assert hit["signals"] == {"words": hit["score"]}
    assert body["low_confidence"] is False


async def test_a_search_explains_only_when_asked(http):
    await remember(http, "tea")
    body = (await http.post("/memory/search", json={"query": "tea"})).json()
    assert "signals" not in body["hits"][0]


async def test_what_was_never_stored_has_low_confidence(http):
    body = (await http.post("/memory/search", json={"query": "tea"})).json()
    assert (body["hits"], body["low_confidence"]) == ([], True)


async def test_a_search_can_be_narrowed(http):
    await remember(http, "tea one", user_id="u1", occurred_at=100)
    await remember(http, "tea two", user_id="u2", occurred_at=200, metadata={"n": 2})
    for narrowing in (
        {"user_id": "u2"},
        {"filter": {"n": {"gte": 2}}},
        {"time_range": {"start": 150}},
        {"time_range": {"start": 150, "end": 250}, "tiers": ["hot"]},
    ):
        asked = {"query": "tea", **narrowing}
        body = (await http.post("/memory/search", json=asked)).json()
        assert [hit["content"] for hit in body["hits"]] == ["tea two"]


async def test_a_listing_goes_page_by_page(http):
    ids = await remember(http, *"abcde")
    found, cursor = [], None
    while True:
        params = {"limit": 2} | ({"cursor": cursor} if cursor else {})
        page = (await http.get("/memory", params=params)).json()
        found += [memory["id"] for memory in page["memories"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert found == ids


async def test_a_memory_can_be_changed(http):
    [memory_id] = await remember(http, "tea", tags=["a"])
    answer = await http.patch(
        f"/memory/{memory_id}", json={"content": "coffee", "tags": []}
    )
    assert answer.status_code == 200
    assert (answer.json()["content"], answer.json()["tags"]) == ("coffee", [])


async def test_a_forgotten_memory_is_gone(http):
    [memory_id] = await remember(http, "secret plan")
    answer = await http.delete(f"/memory/{memory_id}")
    assert answer.json()["ids"] == [memory_id]
    assert answer.json()["forgotten"] == 1
    assert "secret plan" not in answer.text
    for again in (http.get, http.delete):
        gone = await again(f"/memory/{memory_id}")
        assert gone.status_code == 404
        assert gone.json()["error"]["code"] == "MEMORY_NOT_FOUND"


async def test_forgetting_takes_what_the_conditions_select(http):
    kept = await remember(http, "keep", user_id="u1")
    gone = await remember(http, "one", "two", user_id="u2")
    answer = await http.delete("/memory", params={"user_id": "u2"})
    assert answer.json()["ids"] == gone
    page = (await http.get("/memory")).json()
    assert [memory["id"] for memory in page["memories"]] == kept


@pytest.mark.parametrize("query", ["", "?user=u1", "?sesion_id=s1", "?all=true"])
async def test_a_mistyped_condition_forgets_nothing(http, served, query):
    await remember(http, "keep")
    assert (await http.delete(f"/memory{query}")).status_code == 422
    assert len(served.world.memory.rows) == 1


async def test_one_tenant_sees_nothing_of_another(http, served):
    [memory_id] = await remember(http, "tea")
    async with served.client("other-token-0123456789") as other:
        assert (await other.get(f"/memory/{memory_id}")).status_code == 404
        assert (await other.delete(f"/memory/{memory_id}")).status_code == 404
        assert (await other.get("/memory")).json()["memories"] == []
        asked = await other.post("/memory/search", json={"query": "tea"})
        assert asked.json()["hits"] == []
        assert (await other.get("/memory/stats")).json()["total"] == 0


async def test_counts(http):
    await remember(http, "abc", "defg", kind="fact", namespace="team")
    body = (await http.get("/memory/stats")).json()
    assert (body["total"], body["bytes_total"]) == (2, 7)
    assert body["by_namespace"] == {"team": 2}
    narrowed = await http.get("/memory/stats", params={"namespace": "none"})
    assert narrowed.json()["total"] == 0


async def test_an_export_imports_into_another_namespace(http):
    await remember(http, "one", "two\nlines", "drei — ☕")
    exported = (await http.get("/memory/export")).content
    answer = await http.post(
        "/memory/import",
        content=exported,
        headers=NDJSON | {"Accept": "application/json"},
        params={"namespace": "copy"},
    )
    assert answer.json()["stored"] == 3
    again = await http.get("/memory/export", params={"namespace": "copy"})
    assert again.content == exported


async def test_an_import_tells_line_by_line_what_it_refused(http):
    body = b'{"content": "a"}\nnot json\n\n{"content": "b"}\n{"author": "x"}'
    answer = await http.post("/memory/import", content=body, headers=NDJSON)
    assert answer.headers["content-type"] == "application/x-ndjson"
    last = json.loads(answer.text.splitlines()[-1])
    assert last["done"] is True
    assert (last["line"], last["stored"], last["failed"]) == (5, 2, 2)
    assert [error["line"] for error in last["errors"]] == [2, 5]


async def test_an_import_goes_on_after_a_line(http):
    lines = b'{"content": "a"}\n{"content": "b"}\n'
    accept = NDJSON | {"Accept": "application/json"}
    answer = await http.post(
        "/memory/import", content=lines, headers=accept, params={"start_line": 1}
    )
    assert (answer.json()["line"], answer.json()["stored"]) == (2, 1)


async def test_an_import_line_without_end_costs_no_memory(http):
    async def body():
        yield b'{"content": "'
        for _ in range(2 * IMPORT_LINE_BYTES_MAX // 262_144):
            yield b"x" * 262_144
        yield b'"}\n{"content": "fine"}\n'

    accept = NDJSON | {"Accept": "application/json"}
    answer = await http.post("/memory/import", content=body(), headers=accept)
    told = answer.json()
    assert (told["stored"], told["failed"]) == (1, 1)
    assert str(IMPORT_LINE_BYTES_MAX) in told["errors"][0]["message"]
    assert len(answer.content) < 1_000


async def test_an_import_tells_progress_as_time_passes(http, served):
    async def slow():
        for number in range(10):
            served.clock.advance(0.3)
            yield json.dumps({"content": f"memory {number}"}).encode() + b"\n"

    answer = await http.post("/memory/import", content=slow(), headers=NDJSON)
    told = [json.loads(line) for line in answer.text.splitlines()]
    assert len(told) > 2
    assert [step["done"] for step in told][-2:] == [False, True]
    lines = [step["line"] for step in told]
    assert lines == sorted(lines)


async def test_only_the_first_thousand_refusals_are_told(http):
    body = b"x\n" * 1_500
    answer = await http.post("/memory/import", content=body, headers=NDJSON)
    told = [json.loads(line) for line in answer.text.splitlines()]
    assert told[-1]["failed"] == 1_500
    assert sum(len(step["errors"]) for step in told) == 1_000


async def test_a_batch_that_fails_halfway_names_what_was_kept(http, served):
    real = served.world.use_cases.remember
    from cortex.foundation.errors import StorageFull

    async def full_after_one(principal, ns, items, context, /):
        if ns.name == "b":
            message = "the disk is full"
            raise StorageFull(message, retry_after_seconds=30)
        return await real(principal, ns, items, context)

    object.__setattr__(served.world.use_cases, "remember", full_after_one)
    items = [{"content": "x", "namespace": "a"}, {"content": "y", "namespace": "b"}]
    answer = await http.post("/memory", json={"items": items})
    assert answer.status_code == 507
    assert answer.headers["retry-after"] == "30"
    [kept] = served.world.memory.rows
    assert answer.json()["error"]["stored"] == {"0": kept}
