"""The protocol's requests, answered by tools, resources and prompts.

A tool that fails answers with ``isError`` and the same error body as HTTP, so that an
agent can read what to do; other requests fail with a JSON-RPC error that carries it.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from mcp import MCPError, types
from mcp.server import Server, ServerRequestContext

from cortex.foundation.errors import CortexError, NotFound
from cortex.service import problems
from cortex.service.mcp.calling import Caller
from cortex.service.mcp.prompts import Prompts
from cortex.service.mcp.resources import Resources
from cortex.service.mcp.tool import Tool
from cortex.service.mcp.tools.agents import AgentTools
from cortex.service.mcp.tools.connector import ConnectorTools
from cortex.service.mcp.tools.inference import InferenceTools
from cortex.service.mcp.tools.memory import MemoryTools
from cortex.service.mcp.tools.operations import OperationsTools
from cortex.service.mcp.tools.performance import PerformanceTools
from cortex.telemetry.logs import Logger
from cortex.usecases.catalog import UseCases

NAME = "cortex"

INSTRUCTIONS = (
    "Long-term memory. Before answering from earlier conversations, call the memory "
    "search or context tool; low_confidence means that nothing stored answers. Store "
    "lasting facts one a call, as full sentences. Forgetting cannot be undone."
)

RESOURCE_NOT_FOUND = -32002
"""The protocol's own code for an address without a resource."""

_FAILED_STATUS = 500

Request = ServerRequestContext[Any, Any]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class McpOptions:
    """Settings of this edge.

    Attributes:
        version: of the service.
        max_token_budget: budget of a context whose caller names none, in tokens.
        plain_names: list ``memory_store`` instead of ``memory.store``. The protocol
            allows dots since 2025-11-25, but several clients refuse every tool of a
            server that has one. Calls may use either.
        observe: told the name of each called tool, and ``ok`` or the error's code.
    """

    version: str
    max_token_budget: int
    plain_names: bool = False
    observe: Callable[[str, str], None] | None = None


class McpHandlers:
    """Answers requests of any transport."""

    def __init__(
        self,
        cases: UseCases,
        options: McpOptions,
        caller_of: Callable[[Request], Caller],
        log: Logger,
    ) -> None:
        """Take the use cases and how to tell who calls."""
        self._options = options
        self._caller_of = caller_of
        self._log = log
        self._resources = Resources(cases)
        self._prompts = Prompts(cases)
        self._tools = _tools(cases, options)
        self._by_name = {tool.name: tool for tool in self._tools}
        self._by_name |= {tool.plain: tool for tool in self._tools}
        self._listed = {
            tool.name: tool.described(plain=options.plain_names) for tool in self._tools
        }

    def server(self) -> Server[Any]:
        """Return the SDK's server over these handlers."""
        return Server(
            NAME,
            version=self._options.version,
            title="Cortex",
            instructions=INSTRUCTIONS,
            get_tool_input_schema=self._input_schema,
            on_list_tools=self.list_tools,
            on_call_tool=self.call_tool,
            on_list_resources=self.list_resources,
            on_list_resource_templates=self.list_resource_templates,
            on_read_resource=self.read_resource,
            on_list_prompts=self.list_prompts,
            on_get_prompt=self.get_prompt,
        )

    async def list_tools(
        self, request: Request, _params: object
    ) -> types.ListToolsResult:
        """Return the tools that the caller's scopes allow."""
        caller = self._caller_of(request)
        held = [tool.name for tool in self._tools if caller.holds(tool.scope)]
        return types.ListToolsResult(tools=[self._listed[name] for name in held])

    async def call_tool(
        self, request: Request, params: types.CallToolRequestParams
    ) -> types.CallToolResult:
        """Run a tool."""
        tool = self._by_name.get(params.name)
        if tool is None:
            raise MCPError(types.INVALID_PARAMS, f"no tool named {params.name[:80]!r}")
        caller = self._caller_of(request)
        try:
            answer = await tool.call(caller, params.arguments or {})
        except CortexError as error:
            self._observe(tool.name, error.code)
            return self._refused(error, caller)
        except Exception as error:  # noqa: BLE001 - request boundary: logged, told
            self._observe(tool.name, CortexError.code)
            self._log.error("tool failed", tool=tool.name, exc_info=error)
            return _failed(problems.internal(caller.context.correlation_id))
        self._observe(tool.name, "ok")
        text = types.TextContent(text=answer.text)
        return types.CallToolResult(
            content=[text], structured_content=dict(answer.content)
        )

    async def list_resources(
        self, request: Request, _params: object
    ) -> types.ListResourcesResult:
        """Return the fixed resources."""
        listed = self._resources.listed(self._caller_of(request))
        return types.ListResourcesResult(resources=listed)

    async def list_resource_templates(
        self, request: Request, _params: object
    ) -> types.ListResourceTemplatesResult:
        """Return the addresses with blanks."""
        listed = self._resources.templates(self._caller_of(request))
        return types.ListResourceTemplatesResult(resource_templates=listed)

    async def read_resource(
        self, request: Request, params: types.ReadResourceRequestParams
    ) -> types.ReadResourceResult:
        """Return a resource."""
        caller = self._caller_of(request)
        text = await self._told(caller, self._resources.read(caller, params.uri))
        held = types.TextResourceContents(
            uri=params.uri, mime_type="application/json", text=text
        )
        return types.ReadResourceResult(contents=[held])

    async def list_prompts(
        self, _request: Request, _params: object
    ) -> types.ListPromptsResult:
        """Return the prompts."""
        return types.ListPromptsResult(prompts=self._prompts.listed())

    async def get_prompt(
        self, request: Request, params: types.GetPromptRequestParams
    ) -> types.GetPromptResult:
        """Return a prompt with its blanks filled."""
        caller = self._caller_of(request)
        asked = self._prompts.get(caller, params.name, params.arguments or {})
        return await self._told(caller, asked)

    def _input_schema(self, name: str) -> dict[str, Any] | None:
        tool = self._by_name.get(name)
        return None if tool is None else self._listed[tool.name].input_schema

    def _observe(self, tool: str, outcome: str) -> None:
        if self._options.observe is not None:
            self._options.observe(tool, outcome)

    def _refused(self, error: CortexError, caller: Caller) -> types.CallToolResult:
        if problems.meaning_of(error) is problems.INTERNAL:
            self._log.error("tool failed", code=error.code, exc_info=error)
        return _failed(problems.body_of(error, caller.context.correlation_id))

    async def _told(self, caller: Caller, work: Awaitable[T]) -> T:
        """Await the work; its refusals become JSON-RPC errors."""
        try:
            return await work
        except CortexError as error:
            body = problems.body_of(error, caller.context.correlation_id)
            raise MCPError(_rpc_code(error), str(body["detail"]), body) from error


def _tools(cases: UseCases, options: McpOptions) -> tuple[Tool[Any], ...]:
    return (
        *MemoryTools(cases, options.max_token_budget).tools(),
        *ConnectorTools(cases).tools(),
        *InferenceTools(cases).tools(),
        *AgentTools(cases).tools(),
        *OperationsTools(cases).tools(),
        *PerformanceTools(cases).tools(),
    )


def _failed(body: dict[str, object]) -> types.CallToolResult:
    text = types.TextContent(text=str(body["detail"]))
    return types.CallToolResult(content=[text], structured_content=body, is_error=True)


def _rpc_code(error: CortexError) -> int:
    if isinstance(error, NotFound):
        return RESOURCE_NOT_FOUND
    status = problems.meaning_of(error).status
    return types.INVALID_PARAMS if status < _FAILED_STATUS else types.INTERNAL_ERROR
