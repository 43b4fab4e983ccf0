"""Who gets in, how far, and what the HTTP edge around MCP keeps doing."""

import json

import pytest
from mcp import MCPError

from cortex.foundation.bucket import Rate
from cortex.security.policy_file import parse_policy

ASKED = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
HEADERS = {"Accept": "application/json, text/event-stream"}


async def test_without_a_token_nobody_gets_in(served):
    async with served.http(None) as http:
        answer = await http.post("/mcp", json=ASKED, headers=HEADERS)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert answer.json()["error"]["code"] == "UNAUTHENTICATED"
    with pytest.raises((MCPError, ExceptionGroup)):
        async with served.client(None) as client:
            await client.list_tools()


async def test_only_tools_within_the_scopes_are_listed_and_run(served):
    async with served.client("reader") as client:
        names = {tool.name for tool in (await client.list_tools()).tools}
        assert "memory.search" in names
        assert not names & {"memory.context", "embedding.generate", "audit.verify"}
        assert not names & {"performance.status", "slo.status", "alerts.list"}
        answer = await client.call_tool("embedding.generate", {"text": "a"})
        assert answer.structured_content["error"]["code"] == "PERMISSION_DENIED"


async def test_who_has_a_model_retell_needs_the_scope_of_agents(served):
    asked = {"query": "tea", "compression": "abstractive"}
    async with served.client("builder") as client:
        plain = await client.call_tool("memory.context", {"query": "tea"})
        assert "error" not in plain.structured_content
        refused = await client.call_tool("memory.context", asked)
        assert refused.structured_content["error"]["code"] == "PERMISSION_DENIED"
    async with served.client("writer") as client:
        built = await client.call_tool("memory.context", asked)
        assert "error" not in built.structured_content


async def test_tenants_do_not_meet(served):
    async with served.client() as mine, served.client("other") as theirs:
        kept = await mine.call_tool("memory.store", {"content": "our secret"})
        uri = kept.structured_content["uri"]
        found = await theirs.call_tool("memory.search", {"query": "our secret"})
        assert found.structured_content["hits"] == []
        stats = await theirs.call_tool("memory.stats", {})
        assert stats.structured_content["total"] == 0
        gone = await theirs.call_tool("memory.forget", {"ids": [uri]})
        assert gone.structured_content["forgotten"] == 0
        with pytest.raises(MCPError):
            await theirs.read_resource(uri)
        spaces = await theirs.read_resource("cortex://namespaces")
        assert json.loads(spaces.contents[0].text) == {"namespaces": {}}


async def test_a_bound_token_keeps_to_its_namespaces(served):
    async with served.client("bound") as client:
        refused = await client.call_tool("memory.store", {"content": "a"})
        assert refused.structured_content["error"]["code"] == "PERMISSION_DENIED"
    async with served.client("bound", query="?namespace=team/a") as client:
        kept = await client.call_tool("memory.store", {"content": "a"})
        assert kept.structured_content["namespace"] == "team/a"
        assert kept.structured_content["uri"].startswith("cortex://memory/team%2Fa/")
        found = await client.call_tool("search", {"query": "a"})
        page = found.structured_content["results"][0]
        fetched = await client.call_tool("fetch", {"id": page["url"]})
        assert fetched.structured_content["text"] == "a"


async def test_the_edge_around_it_goes_on_working(served):
    async with served.http(rate=Rate(2)) as http:
        headers = {**HEADERS, "X-Correlation-ID": "told-by-me"}
        first = await http.post("/mcp", json=ASKED, headers=headers)
        assert first.status_code == 200
        assert first.headers["x-correlation-id"] == "told-by-me"
        assert first.headers["x-ratelimit-limit"] == "2"
        assert "mcp-session-id" not in first.headers
        await http.post("/mcp", json=ASKED, headers=headers)
        third = await http.post("/mcp", json=ASKED, headers=headers)
        assert third.status_code == 429
        assert int(third.headers["retry-after"]) >= 1
    assert '"told-by-me"' in served.log.getvalue()


@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_there_is_no_session_to_listen_to_or_to_end(served, method):
    async with served.http() as http:
        answer = await http.request(method, "/mcp", headers=HEADERS)
    assert answer.status_code == 405
    assert answer.headers["allow"] == "POST"


@pytest.mark.parametrize(
    ("query", "field"),
    [("?names=loud", "names"), ("?namespace=no%20good", "namespace")],
)
async def test_a_wrong_address_is_refused(served, query, field):
    async with served.http() as http:
        answer = await http.post(f"/mcp{query}", json=ASKED, headers=HEADERS)
    assert answer.status_code == 422
    assert answer.json()["error"]["field"] == field


async def test_too_much_is_refused_before_it_is_read(served):
    async with served.http(body_bytes_max=1_000) as http:
        body = {**ASKED, "params": {"padding": "a" * 2_000}}
        answer = await http.post("/mcp", json=body, headers=HEADERS)
    assert answer.status_code == 413


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[1]", b'{"jsonrpc":"2.0"}', b"\xff", b"[" * 100_000]
)
async def test_what_is_no_request_gets_a_protocol_error(served, body):
    headers = {**HEADERS, "Content-Type": "application/json"}
    async with served.http() as http:
        answer = await http.post("/mcp", content=body, headers=headers)
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] in {-32700, -32600, -32602}


@pytest.mark.parametrize("version", ["2025-06-18", None])
@pytest.mark.parametrize(
    "metadata", ['{"a": NaN}', '{"a": -Infinity}', '{"a":' * 60 + "1" + "}" * 60]
)
async def test_json_is_as_strict_as_over_http(served, version, metadata):
    body = (
        '{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": '
        '"memory.store", "arguments": {"content": "a", "metadata": ' + metadata + "}}}"
    )
    headers = {**HEADERS, "Content-Type": "application/json"}
    if version is not None:
        headers["MCP-Protocol-Version"] = version
    async with served.http() as http:
        answer = await http.post("/mcp", content=body, headers=headers)
    result = answer.json()["result"]
    assert result["isError"]
    assert result["structuredContent"]["error"]["field"] == "arguments"
    assert not served.world.memory.rows


async def test_an_open_server_refuses_foreign_pages(open_served):
    async with open_served.http(None) as http:
        for origin, status in (
            ("https://evil.example", 403),
            ("http://127.0.0.1:4949", 200),
            ("null", 403),
        ):
            headers = {**HEADERS, "Origin": origin}
            answer = await http.post("/mcp", json=ASKED, headers=headers)
            assert answer.status_code == status, origin


POLICY = """
version = 1

[[rules]]
id = "keep-everything"
effect = "deny"
actions = ["memory.forget"]

[[rules]]
id = "rest"
effect = "allow"
actions = ["*"]
"""


async def test_the_policy_of_http_holds_here_too(served):
    async with served.client() as client:
        kept = await client.call_tool("memory.store", {"content": "a"})
        served.authorization.replace(parse_policy(POLICY))
        uri = kept.structured_content["uri"]
        refused = await client.call_tool("memory.forget", {"ids": [uri]})
        assert refused.structured_content["error"]["rule"] == "keep-everything"
        assert (await client.read_resource(uri)).contents
