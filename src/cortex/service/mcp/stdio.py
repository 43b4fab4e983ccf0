"""MCP over standard input and output: one process for one client, on this machine.

Either in process over the use cases, or handed on to a running server.
"""

from collections.abc import Mapping
from typing import Any

import httpx2
from mcp import Client, types
from mcp.client.streamable_http import streamable_http_client
from mcp.server import Server, ServerRequestContext
from mcp.server.stdio import stdio_server

from cortex.foundation.ids import IdSource
from cortex.foundation.tenancy import Principal
from cortex.service.mcp.calling import Caller
from cortex.service.mcp.server import INSTRUCTIONS, NAME, McpHandlers, McpOptions
from cortex.telemetry.logs import Logger
from cortex.usecases.catalog import UseCases
from cortex.usecases.model import CallContext

CALL_SECONDS_MAX = 120.0
"""Time for one call handed on: a verification of a long ledger fits."""

Request = ServerRequestContext[Any, Any]


async def serve_stdio(server: Server[Any]) -> None:
    """Serve until the client closes its end."""
    async with stdio_server() as (reading, writing):
        await server.run(reading, writing, server.create_initialization_options())


def local_server(
    cases: UseCases,
    options: McpOptions,
    *,
    principal: Principal,
    namespace: str | None,
    ids: IdSource,
    log: Logger,
) -> Server[Any]:
    """Return a server for the person at this machine."""

    def caller(_request: Request) -> Caller:
        context = CallContext(ids.new(), principal.subject, scopes=principal.scopes)
        return Caller(principal, context, namespace, _allowed, _free)

    return McpHandlers(cases, options, caller, log).server()


def _allowed(_action: str, _namespace: str | None) -> None:
    """Allow all: policies are for callers from outside, this one owns the files."""


async def _free(_route: str) -> None:
    """Charge nothing: the person's own machine does the work."""


def remote_client(url: str, headers: Mapping[str, str]) -> Client:
    """Return a client of a running server's ``/mcp``, not yet connected."""
    http = httpx2.AsyncClient(headers=dict(headers), timeout=CALL_SECONDS_MAX)
    return Client(streamable_http_client(url, http_client=http), cache=None)


def bridge_server(client: Client, version: str) -> Server[Any]:
    """Return a server that hands every request on to a connected client."""

    async def list_tools(_: Request, params: Any) -> types.ListToolsResult:
        return await client.list_tools(cursor=params.cursor if params else None)

    async def call_tool(
        _: Request, params: types.CallToolRequestParams
    ) -> types.CallToolResult:
        return await client.call_tool(params.name, params.arguments)

    async def list_resources(_: Request, params: Any) -> types.ListResourcesResult:
        return await client.list_resources(cursor=params.cursor if params else None)

    async def templates(_: Request, _params: Any) -> types.ListResourceTemplatesResult:
        return await client.list_resource_templates()

    async def read_resource(
        _: Request, params: types.ReadResourceRequestParams
    ) -> types.ReadResourceResult:
        return await client.read_resource(params.uri)

    async def list_prompts(_: Request, _params: Any) -> types.ListPromptsResult:
        return await client.list_prompts()

    async def get_prompt(
        _: Request, params: types.GetPromptRequestParams
    ) -> types.GetPromptResult:
        return await client.get_prompt(params.name, params.arguments)

    return Server(
        NAME,
        version=version,
        title="Cortex",
        instructions=INSTRUCTIONS,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
        on_list_resources=list_resources,
        on_list_resource_templates=templates,
        on_read_resource=read_resource,
        on_list_prompts=list_prompts,
        on_get_prompt=get_prompt,
    )
