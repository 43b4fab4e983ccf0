import pytest

ENTRY = "/state/team/plan"


async def test_a_value_comes_back_with_its_etag(http):
    put = await http.put(ENTRY, json={"value": {"a": [1, None]}, "ttl_seconds": 60})
    got = await http.get(ENTRY)
    assert got.json() == put.json()
    assert got.json()["value"] == {"a": [1, None]}
    assert got.headers["etag"] == f'"{got.json()["etag"]}"'
    assert got.json()["expires_at"] == 1_700_000_060.0


async def test_a_write_over_another_version_is_refused(http):
    first = await http.put(ENTRY, json={"value": 1})
    await http.put(ENTRY, json={"value": 2})
    condition = {"If-Match": first.headers["etag"]}
    for answer in (
        await http.put(ENTRY, json={"value": 3}, headers=condition),
        await http.delete(ENTRY, headers=condition),
    ):
        assert answer.status_code == 412
        assert answer.json()["error"]["code"] == "PRECONDITION_FAILED"
    assert (await http.get(ENTRY)).json()["value"] == 2


async def test_a_write_over_the_named_version_passes(http):
    first = await http.put(ENTRY, json={"value": 1})
    condition = {"If-Match": first.headers["etag"]}
    second = await http.put(ENTRY, json={"value": 2}, headers=condition)
    assert second.status_code == 200
    condition = {"If-Match": second.headers["etag"]}
    assert (await http.delete(ENTRY, headers=condition)).status_code == 204
    assert (await http.get(ENTRY)).status_code == 404


async def test_a_star_asks_for_any_version(http):
    condition = {"If-Match": "*"}
    absent = await http.put(ENTRY, json={"value": 1}, headers=condition)
    assert absent.status_code == 412
    await http.put(ENTRY, json={"value": 1})
    present = await http.put(ENTRY, json={"value": 2}, headers=condition)
    assert present.status_code == 200


@pytest.mark.parametrize(
    "etag", ['W/"v1"', "v1", '"a", "b"', '""', '"' + "x" * 300 + '"']
)
async def test_an_etag_that_cannot_be_compared_is_refused(http, etag):
    answer = await http.put(ENTRY, json={"value": 1}, headers={"If-Match": etag})
    assert answer.status_code == 422
    assert answer.json()["error"]["field"] == "if-match"


async def test_a_name_may_hold_an_escaped_slash(http, served):
    await http.put("/state/team%2Fred/plan%2Fb", json={"value": 1})
    [(namespace, key)] = served.world.state.rows
    assert (namespace.name, key) == ("team/red", "plan/b")


@pytest.mark.parametrize("path", ["/state//key", "/state/%20/key", "/state/ns/%00"])
async def test_a_bad_name_is_refused(http, path):
    assert (await http.get(path)).status_code == 422


async def test_fixed_names_are_not_taken_for_keys(http):
    assert "signature" in (await http.get("/state/snapshot")).json()
    assert "resources" in (await http.get("/state/discover")).json()


async def test_the_last_snapshot_can_be_asked_for(http):
    first = (await http.get("/state/snapshot")).json()
    again = await http.get("/state/snapshot", params={"since": first["generated_at"]})
    assert again.json()["freshness"] == "cached"


async def test_a_session_takes_messages_in_order(http):
    opened = await http.post("/sessions", json={"title": "Tea", "id": "s-1"})
    assert opened.json()["id"] == "s-1"
    messages = {"items": [{"content": "one", "author": "Ana"}, {"content": "two"}]}
    added = await http.post("/sessions/s-1/messages", json=messages)
    listed = (await http.get("/sessions/s-1/messages")).json()["memories"]
    assert [memory["id"] for memory in listed] == added.json()["ids"]
    assert {memory["session_id"] for memory in listed} == {"s-1"}
    assert (await http.get("/sessions/s-1")).json()["message_count"] == 2
    sessions = (await http.get("/sessions")).json()["sessions"]
    assert [session["title"] for session in sessions] == ["Tea"]


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_an_unknown_session_is_not_found(http, method):
    body = {"json": {"items": [{"content": "x"}]}} if method == "POST" else {}
    answer = await http.request(method, "/sessions/none/messages", **body)
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "SESSION_NOT_FOUND"


async def test_a_context_stays_within_its_budget(http):
    items = [{"content": f"tea {'word ' * 8}{n}"} for n in range(10)]
    await http.post("/memory", json={"items": items})
    asked = {"query": "tea", "model": "gpt-4o", "max_tokens": 40, "reserve_tokens": 10}
    body = (await http.post("/context", json=asked)).json()
    assert body["budget"] == 30
    assert 0 < body["total_tokens"] <= 30
    assert body["total_tokens"] == sum(block["tokens"] for block in body["blocks"])
    assert {entry["reason"] for entry in body["dropped"]} == {"budget"}


async def test_a_context_without_a_budget_takes_the_servers(served):
    async with served.client(max_token_budget=777) as http:
        body = (await http.post("/context", json={"query": "tea"})).json()
    assert body["budget"] == 777


async def test_items_are_fitted_by_priority(http):
    items = [
        {"content": "word " * 60, "priority": 1},
        {
            "content": "word " * 60,
            "priority": 9,
            "category": "rules",
            "metadata": {"a": 1},
        },
    ]
    asked = {"items": items, "max_tokens": 100}
    body = (await http.post("/context/optimize", json=asked)).json()
    assert (body["items_included"], body["items_dropped"]) == (1, 1)
    assert body["items"][0]["index"] == 1
    assert body["items"][0]["metadata"] == {"a": 1}
    assert body["dropped"] == [{"index": 0, "reason": "budget", "tokens": 60}]
    assert (body["total_tokens"], body["budget_used_percent"]) == (60, 60.0)


async def test_documents_are_found_by_meaning(http):
    await http.post(
        "/memory", json={"items": [{"content": "tea", "metadata": {"n": 1}}]}
    )
    asked = {"query": "tea", "filter_metadata": {"n": 1}}
    body = (await http.post("/vector/search", json=asked)).json()
    assert [hit["summary"] for hit in body["hits"]] == ["tea"]
    none = {"query": "tea", "filter_metadata": {"n": 2}}
    assert (await http.post("/vector/search", json=none)).json()["hits"] == []
