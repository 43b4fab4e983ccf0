"""The MCP edge behind the HTTP edge over fakes, asked by the official client."""

import random
from collections.abc import Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from io import StringIO

import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from cortex.foundation.ids import Uuid7Source
from cortex.foundation.tenancy import Principal
from cortex.security.authorization import Authorization
from cortex.security.doors import Doors
from cortex.security.intrusion import Watch
from cortex.security.tokens import Tokens, parse_tokens
from cortex.service.http.app import create_app
from cortex.service.http.options import Edge, HttpOptions
from cortex.service.mcp.endpoint import McpEndpoint
from cortex.service.mcp.server import McpOptions
from cortex.telemetry.exposition import Exposition
from cortex.telemetry.logs import LogOptions, build_logger
from cortex.telemetry.metrics import Metrics
from cortex.telemetry.tracing.sampling import Sampling
from cortex.telemetry.tracing.tracer import Tracer
from cortex.testing.memory import VirtualClock
from cortex.testing.surroundings import FakeWorld, fake_world

TOKENS = (
    '{"admin": {"token": "admin-token-0123456789", "scopes": ["*"]},'
    ' "reader": {"token": "reader-token-012345678", "scopes": ["memory"]},'
    ' "bound": {"token": "bound-token-0123456789", "scopes": ["memory"],'
    '           "namespaces": ["team/*"]},'
    ' "builder": {"token": "builder-token-01234567", "scopes": ["context"]},'
    ' "writer": {"token": "writer-token-012345678",'
    '            "scopes": ["context", "agents"]},'
    ' "other": {"token": "other-token-0123456789", "scopes": ["*"],'
    '           "tenant": "acme"}}'
)
ADDRESS = "http://127.0.0.1:4949"


@dataclass
class Served:
    """The edges, everything behind them, and what was logged."""

    world: FakeWorld
    make: Callable[..., object]
    log: StringIO
    authorization: Authorization
    metrics: Metrics
    clock: VirtualClock

    def http(self, token: str | None = "admin", **options) -> httpx2.AsyncClient:
        """Return a plain client; ``token`` is the name of one."""
        transport = httpx2.ASGITransport(
            self.make(**options), raise_app_exceptions=False
        )
        return httpx2.AsyncClient(
            transport=transport, base_url=ADDRESS, headers=headers_of(token)
        )

    @asynccontextmanager
    async def client(
        self, token: str | None = "admin", *, query: str = "", mode="auto", **options
    ):
        """Yield the connected official client."""
        async with self.http(token, **options) as http:
            transport = streamable_http_client(
                f"{ADDRESS}/mcp{query}", http_client=http
            )
            async with Client(transport, mode=mode, cache=None) as client:
                yield client


def headers_of(token: str | None) -> dict[str, str]:
    """Return the header with the token of this name."""
    if token is None:
        return {}
    known = {
        "admin": "admin-token-0123456789",
        "reader": "reader-token-012345678",
        "bound": "bound-token-0123456789",
        "other": "other-token-0123456789",
        "builder": "builder-token-01234567",
        "writer": "writer-token-012345678",
    }
    return {"Authorization": f"Bearer {known[token]}"}


def serve(tokens: str = TOKENS, anonymous: Principal | None = None) -> Served:
    clock = VirtualClock()
    ids = Uuid7Source(clock)
    world = fake_world(clock, ids)
    text = StringIO()
    log = build_logger(LogOptions(level="debug"), clock, text)
    doors = Doors(
        Tokens(parse_tokens(tokens), clock, anonymous=anonymous), Watch(clock)
    )
    authorization = Authorization(clock)
    metrics = Metrics(brand="brAInwav", version="0.1.0")
    edge = Edge(
        use_cases=world.use_cases,
        doors=doors,
        authorization=authorization,
        clock=clock,
        ids=ids,
        metrics=metrics,
        exposition=Exposition(metrics.registry),
        tracer=Tracer(clock, random.Random(1).getrandbits, Sampling()),
        log=log,
        state=lambda: "ready",
        carried={
            "/mcp": McpEndpoint(
                world.use_cases,
                McpOptions("0.1.0", 4_096, observe=metrics.mcp_call),
                log,
            )
        },
    )

    def make(**options):
        return create_app(
            edge, HttpOptions(brand="brAInwav", version="0.1.0", **options)
        )

    return Served(world, make, text, authorization, metrics, clock)


@pytest.fixture
def served() -> Served:
    return serve()


@pytest.fixture
def open_served() -> Served:
    """A development server on loopback, without tokens."""
    return serve("", Principal("anonymous", scopes=frozenset({"*"})))
