"""The Model Context Protocol at ``/mcp`` of the server."""

import asyncio

from starlette.types import ASGIApp, Receive, Scope, Send

import cortex
from cortex.telemetry.logs import Logger
from cortex.telemetry.metrics import Metrics
from cortex.usecases.catalog import UseCases

MCP_PATH = "/mcp"


class LazyMcp:
    """The endpoint, made for its first request.

    The SDK takes half a second to import, which a server that is never asked over this
    protocol need not spend before it is ready.
    """

    def __init__(
        self, cases: UseCases, max_token_budget: int, metrics: Metrics, log: Logger
    ) -> None:
        """Take what the endpoint will be made of."""
        self._cases = cases
        self._max_token_budget = max_token_budget
        self._metrics = metrics
        self._log = log
        self._made: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand the request to the endpoint."""
        if self._made is None:
            self._made = await asyncio.to_thread(self._make)
        await self._made(scope, receive, send)

    def _make(self) -> ASGIApp:
        from cortex.service.mcp.endpoint import McpEndpoint  # noqa: PLC0415
        from cortex.service.mcp.server import McpOptions  # noqa: PLC0415

        options = McpOptions(
            cortex.__version__, self._max_token_budget, observe=self._metrics.mcp_call
        )
        return McpEndpoint(self._cases, options, self._log)
