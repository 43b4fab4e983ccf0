"""The Model Context Protocol over standard streams, for clients that start a process.

Without an address the use cases run in this process, over the files of the home. The
stores are made for several processes (as with ``--workers``: locked commits, shards
caught up by version), so a server may run over the same home at the same time. With an
address every request is handed on to that server, and no file is opened here.
"""

import asyncio
import signal
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import httpx2
import uvloop
from mcp import MCPError
from mcp.server import Server

import cortex
from cortex.bootstrap.mcp import MCP_PATH
from cortex.bootstrap.process import build
from cortex.foundation.clock import SystemClock
from cortex.foundation.errors import Unavailable
from cortex.foundation.ids import Uuid7Source
from cortex.foundation.tenancy import ALL_SCOPES, Principal
from cortex.service.mcp.server import McpOptions
from cortex.service.mcp.stdio import (
    bridge_server,
    local_server,
    remote_client,
    serve_stdio,
)
from cortex.settings import Settings
from cortex.telemetry.logs import LogOptions, build_logger, route_stdlib

SUBJECT = "mcp"
"""Actor in the ledger: who may read the home's files may use all of it."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What the command line chose.

    Attributes:
        namespace: of calls that name none; None is ``default``.
        plain_names: list ``memory_store`` instead of ``memory.store``.
    """

    namespace: str | None = None
    plain_names: bool = False


def run_local(settings: Settings, choice: Choice) -> None:
    """Serve the home of these settings until the client closes its end."""
    app = build(settings)
    clock = SystemClock()
    log = build_logger(
        LogOptions(
            level=settings.log_level.value,
            json=settings.json_logs,
            brand=settings.brand,
            version=cortex.__version__,
        ),
        clock,
    )
    route_stdlib(log, "warning", "mcp")
    server = local_server(
        app.use_cases,
        McpOptions(cortex.__version__, settings.max_token_budget, choice.plain_names),
        principal=Principal(SUBJECT, scopes=frozenset({ALL_SCOPES})),
        namespace=choice.namespace,
        ids=Uuid7Source(clock),
        log=log,
    )

    async def serve() -> None:
        async with app.running():
            await _until_stopped(server)

    _run(serve())


def run_remote(url: str, token: str | None, choice: Choice) -> None:
    """Hand requests on to the server at ``url`` until the client closes its end.

    Raises:
        Unavailable: the server does not answer, or not to this token.
    """
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    query = {"names": "plain" if choice.plain_names else "dotted"}
    if choice.namespace is not None:
        query["namespace"] = choice.namespace
    client = remote_client(f"{url.rstrip('/')}{MCP_PATH}?{urlencode(query)}", headers)

    async def serve() -> None:
        async with client as connected:
            await _until_stopped(bridge_server(connected, cortex.__version__))

    try:
        _run(serve())
    except* (MCPError, httpx2.HTTPError) as errors:
        reason = _first(errors)
        message = f"the server at {url} cannot be used over MCP: {reason}"
        raise Unavailable(message, hint="Look at its address and token.") from None


def _first(errors: BaseExceptionGroup[Exception]) -> str:
    found: BaseException = errors
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]
    return str(found) or type(found).__name__


async def _until_stopped(server: Server[Any]) -> None:
    """Serve until the client closes its end, or SIGTERM or Ctrl-C comes."""
    async with asyncio.TaskGroup() as tasks:
        serving = tasks.create_task(serve_stdio(server))
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, serving.cancel)


def _run(work: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(work)
