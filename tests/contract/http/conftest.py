"""The HTTP edge over fakes, called without a network."""

import random
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from io import StringIO

import httpx
import pytest

from cortex.foundation.ids import Uuid7Source
from cortex.foundation.tenancy import Principal
from cortex.security.authorization import Authorization
from cortex.security.doors import Doors
from cortex.security.intrusion import Watch
from cortex.security.tokens import Tokens, parse_tokens
from cortex.service.http.app import create_app
from cortex.service.http.options import Edge, HttpOptions
from cortex.telemetry.errors import ErrorCollector
from cortex.telemetry.exposition import Exposition
from cortex.telemetry.logs import LogOptions, build_logger
from cortex.telemetry.metrics import Metrics
from cortex.telemetry.tracing.sampling import Sampling
from cortex.telemetry.tracing.tracer import Tracer
from cortex.testing.memory import VirtualClock
from cortex.testing.surroundings import FakeWorld, fake_world

TOKENS = (
    '{"admin": {"token": "admin-token-0123456789", "scopes": ["*"]},'
    ' "reader": {"token": "reader-token-012345678", "scopes": ["vector"]},'
    ' "bound": {"token": "bound-token-0123456789", "scopes": ["memory"],'
    '           "namespaces": ["team/*"]},'
    ' "builder": {"token": "builder-token-01234567", "scopes": ["context"]},'
    ' "writer": {"token": "writer-token-012345678",'
    '            "scopes": ["context", "agents"]},'
    ' "other": {"token": "other-token-0123456789", "scopes": ["*"],'
    '           "tenant": "acme"},'
    ' "old": {"token": "old-token-012345678901", "scopes": ["*"],'
    '         "expires_at": "2020-01-01T00:00:00Z"}}'
)


@dataclass
class Served:
    """A running edge, everything behind it, and what it logged."""

    world: FakeWorld
    clock: VirtualClock
    metrics: Metrics
    log: StringIO
    edge: Edge
    errors: ErrorCollector
    states: list[str] = field(default_factory=lambda: ["ready"])

    def client(self, token: str | None = "admin-token-0123456789", **options):
        """Return a client; ``options`` change the edge's own."""
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        made = HttpOptions(brand="brAInwav", version="0.1.0", **options)
        transport = httpx.ASGITransport(
            create_app(self.edge, made), raise_app_exceptions=False
        )
        return httpx.AsyncClient(
            transport=transport, base_url="http://127.0.0.1:4949", headers=headers
        )


def serve(tokens: str = TOKENS, anonymous: Principal | None = None) -> Served:
    clock = VirtualClock()
    ids = Uuid7Source(clock)
    world = fake_world(clock, ids)
    metrics = Metrics(brand="brAInwav", version="0.1.0")
    log = StringIO()
    errors = ErrorCollector(clock)
    states = ["ready"]
    edge = Edge(
        use_cases=world.use_cases,
        doors=Doors(
            Tokens(parse_tokens(tokens), clock, anonymous=anonymous), Watch(clock)
        ),
        authorization=Authorization(clock),
        clock=clock,
        ids=ids,
        metrics=metrics,
        exposition=Exposition(metrics.registry),
        tracer=Tracer(clock, random.Random(1).getrandbits, Sampling()),
        log=build_logger(LogOptions(level="debug"), clock, log, on_error=errors.caught),
        state=lambda: states[-1],
    )
    return Served(world, clock, metrics, log, edge, errors, states)


@pytest.fixture
def served() -> Iterator[Served]:
    return serve()


@pytest.fixture(scope="module")
def served_once() -> Served:
    """One edge for all examples of a property."""
    return serve()


@pytest.fixture
def open_served() -> Served:
    """A development server on loopback, without tokens."""
    everyone = Principal("anonymous", scopes=frozenset({"*"}))
    return serve("", everyone)


@pytest.fixture
async def http(served: Served) -> AsyncIterator[httpx.AsyncClient]:
    async with served.client() as client:
        yield client


@pytest.fixture
def serve_with() -> Callable[[str], Served]:
    """Serve with tokens of the test's own."""
    return serve
