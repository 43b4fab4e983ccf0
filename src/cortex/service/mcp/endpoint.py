"""MCP over streamable HTTP, carried by the HTTP edge.

Each request owns its transport: no session is kept, so any process behind a balancer
can answer, nothing runs between requests, and draining has nothing to wait for. The
caller comes admitted (``cortex.service.admission``). ``?namespace=`` sets the
namespace of calls that name none, ``?names=plain`` the listed names of tools.
"""

from dataclasses import replace
from typing import cast

from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from cortex.foundation.errors import ValidationError
from cortex.foundation.limits import BODY_BYTES_MAX
from cortex.foundation.tenancy import check_name
from cortex.service.admission import admission_of
from cortex.service.mcp.calling import Caller
from cortex.service.mcp.server import McpHandlers, McpOptions
from cortex.service.mcp.server import Request as McpRequest
from cortex.telemetry.logs import Logger
from cortex.usecases.catalog import UseCases

NAME_STYLES = ("dotted", "plain")


class McpEndpoint:
    """An ASGI application for admitted requests."""

    def __init__(self, cases: UseCases, options: McpOptions, log: Logger) -> None:
        """Take the use cases; both styles of names are served."""
        self._servers = {
            style: McpHandlers(
                cases, replace(options, plain_names=style == "plain"), _caller, log
            ).server()
            for style in NAME_STYLES
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request.

        Raises:
            ValidationError: a query parameter is wrong.
        """
        query = Request(scope).query_params
        style = query.get("names", NAME_STYLES[0])
        if style not in NAME_STYLES:
            raise ValidationError(
                f"names must be one of {', '.join(NAME_STYLES)}", field="names"
            )
        if "namespace" in query:
            check_name(query["namespace"], "namespace")
        manager = StreamableHTTPSessionManager(
            self._servers[style],
            json_response=True,
            stateless=True,
            max_request_body_size=BODY_BYTES_MAX,
        )
        async with manager.run():
            await manager.handle_request(scope, receive, send)


def _caller(request: McpRequest) -> Caller:
    http = cast("Request", request.request)
    admission = admission_of(http.scope)
    return Caller(
        admission.principal,
        admission.context,
        http.query_params.get("namespace"),
        admission.require,
        admission.charge,
    )
