"""The official MCP client against real processes: over HTTP and standard streams."""

import json
import os
import subprocess
import sys
from contextlib import asynccontextmanager

import httpx2
import pytest
from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client

TOKENS = {
    "ana": {"token": "ana-token-0123456789", "scopes": ["*"], "tenant": "ana"},
    "bo": {"token": "bo-token-01234567890", "scopes": ["*"], "tenant": "bo"},
}
QUESTION = "What does Ana drink in the morning?"
FACT = "Ana drinks black coffee every morning."


@asynccontextmanager
async def over_http(server, name, query=""):
    headers = {"Authorization": f"Bearer {TOKENS[name]['token']}"}
    async with httpx2.AsyncClient(headers=headers, timeout=30) as http:
        url = f"{server.url}/mcp{query}"
        transport = streamable_http_client(url, http_client=http)
        async with Client(transport, cache=None) as client:
            await client.list_tools()
            yield client


@asynccontextmanager
async def over_streams(*flags, **variables):
    kept = {k: v for k, v in os.environ.items() if not k.startswith("CORTEX_")}
    started = StdioServerParameters(
        command=sys.executable,
        args=["-m", "cortex", "mcp", *flags],
        env={**kept, **variables},
    )
    async with Client(started, cache=None) as client:
        await client.list_tools()
        yield client


async def answers(client):
    found = await client.call_tool("memory.search", {"query": QUESTION})
    assert not found.is_error, found
    return [hit["content"] for hit in found.structured_content["hits"]]


@pytest.fixture
def server(serve):
    return serve(CORTEX_TOKENS=json.dumps(TOKENS))


async def test_a_real_server_remembers_for_one_tenant_and_not_for_another(server):
    async with over_http(server, "ana") as ana, over_http(server, "bo") as bo:
        kept = await ana.call_tool("memory.store", {"content": FACT})
        assert await answers(ana) == [FACT]
        assert await answers(bo) == []
        built = await ana.call_tool("memory.context", {"query": QUESTION})
        assert FACT in built.structured_content["text"]
        verified = await ana.call_tool("audit.verify", {})
        assert verified.structured_content["verdict"] == "intact"
        gone = await ana.call_tool(
            "memory.forget", {"ids": [kept.structured_content["id"]]}
        )
        assert gone.structured_content["forgotten"] == 1
        assert await answers(ana) == []


def test_without_a_token_the_endpoint_is_closed(server):
    asked = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    answer = server.client.post("/mcp", json=asked)
    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == "UNAUTHENTICATED"


async def test_standard_streams_work_on_the_files_without_a_server(tmp_path):
    home = str(tmp_path / "home")
    async with over_streams(CORTEX_HOME=home) as client:
        await client.call_tool("memory.store", {"content": FACT})
        assert await answers(client) == [FACT]
    async with over_streams("--names", "plain", CORTEX_HOME=home) as client:
        names = [tool.name for tool in (await client.list_tools()).tools]
        assert "memory_search" in names
        assert await answers(client) == [FACT]


async def test_a_process_of_its_own_and_a_server_share_the_files(serve):
    server = serve()
    async with over_streams(CORTEX_HOME=str(server.home)) as client:
        await client.call_tool("memory.store", {"content": FACT})
        found = server.client.post("/memory/search", json={"query": QUESTION}).json()
        assert [hit["content"] for hit in found["hits"]] == [FACT]
        told = {"items": [{"content": "Bo takes tea every morning."}]}
        server.client.post("/memory", json=told)
        assert "Bo takes tea every morning." in await answers(client)


async def test_standard_streams_hand_on_to_a_server(server):
    token = TOKENS["ana"]["token"]
    flags = ("--url", server.url, "--namespace", "work")
    async with over_streams(*flags, CORTEX_TOKEN=token) as client:
        kept = await client.call_tool("memory.store", {"content": FACT})
        assert kept.structured_content["namespace"] == "work"
        assert await answers(client) == [FACT]
        read = await client.read_resource(kept.structured_content["uri"])
        assert FACT in read.contents[0].text
        refused = await client.call_tool("memory.search", {"query": ""})
        assert refused.structured_content["error"]["code"] == "VALIDATION_ERROR"
    async with over_http(server, "ana", "?namespace=work") as client:
        assert await answers(client) == [FACT]


@pytest.mark.parametrize("token", ["wrong-token-0123456789", None])
def test_a_wrong_token_is_told_in_one_line(server, token):
    given = {} if token is None else {"CORTEX_TOKEN": token}
    finished = run("mcp", "--url", server.url, **given)
    assert finished.returncode != 0
    assert "Traceback" not in finished.stderr
    assert "token" in finished.stderr
    assert finished.stdout == ""


def test_no_server_is_told_in_one_line():
    finished = run("mcp", "--url", "http://127.0.0.1:9")
    assert finished.returncode != 0
    assert "Traceback" not in finished.stderr
    assert finished.stderr.count("\n") <= 2


@pytest.mark.parametrize(
    ("client", "key"),
    [
        ("claude-desktop", "mcpServers"),
        ("cursor", "mcpServers"),
        ("vscode", "servers"),
        ("windsurf", "mcpServers"),
        ("zed", "context_servers"),
        ("generic", "mcpServers"),
    ],
)
async def test_a_printed_configuration_starts_a_working_server(tmp_path, client, key):
    home = str(tmp_path / "home")
    finished = run("mcp", "--print-config", client, CORTEX_HOME=home)
    assert finished.returncode == 0, finished.stderr
    entry = json.loads(finished.stdout)[key]["cortex"]
    assert entry["env"] == {"CORTEX_HOME": home}
    assert os.access(entry["command"], os.X_OK)
    if client == "generic":
        started = StdioServerParameters(
            command=entry["command"], args=entry["args"],
            env={**os.environ, **entry["env"]},
        )  # fmt: skip
        async with Client(started, cache=None) as connected:
            names = [tool.name for tool in (await connected.list_tools()).tools]
            assert "memory_store" in names


def test_a_secret_token_is_never_printed():
    flags = ("mcp", "--print-config", "cursor", "--url", "http://127.0.0.1:4949")
    finished = run(*flags, CORTEX_TOKEN="secret-token-0123456789")
    assert "secret-token" not in finished.stdout
    assert "CORTEX_TOKEN" in finished.stdout
    unknown = run("mcp", "--print-config", "notepad")
    assert unknown.returncode == 2


def run(*arguments, **variables):
    kept = {k: v for k, v in os.environ.items() if not k.startswith("CORTEX_")}
    return subprocess.run(
        [sys.executable, "-m", "cortex", *arguments],
        env={**kept, **variables},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
