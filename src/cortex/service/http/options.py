"""What the HTTP edge is told, and what it is given to work with."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from starlette.types import ASGIApp

from cortex.foundation.bucket import Rate, Rates
from cortex.foundation.clock import Clock
from cortex.foundation.ids import IdSource
from cortex.foundation.limits import BODY_BYTES_MAX
from cortex.inference.media.kinds import VIDEO_BYTES_MAX
from cortex.operations.energy.meters import RequestMeters
from cortex.security.authorization import Authorization
from cortex.security.doors import Doors
from cortex.security.token_store import TokenStore
from cortex.service.http.forwarded import Proxies
from cortex.service.http.lines import Lines
from cortex.service.http.page import Page
from cortex.service.http.resources import Resources
from cortex.telemetry.exposition import Exposition
from cortex.telemetry.logs import Logger
from cortex.telemetry.metrics import Metrics
from cortex.telemetry.tracing.tracer import Tracer
from cortex.usecases.catalog import UseCases

SERVICE = "cortex"

SERVED_AT_ONCE_MAX = 512
"""Requests in work at the same time; tenants share them fairly. A worker answers some
hundreds a second: more would wait for seconds, each holding its body in memory."""

RATE_PER_MINUTE_DEFAULT = 6_000
"""Requests one client may send a minute: 100 a second, more than agents need."""

EMBED_RATE_PER_MINUTE = 120
"""Embedding requests one client may send a minute; one may hold 2048 texts."""

PLAN_RATE_PER_MINUTE = 10
"""Plans one client may ask for a minute: each may be a model's long answer."""

REFLECT_RATE_PER_MINUTE = 20
"""Reflections one client may ask for a minute: two rounds for each plan."""

EMBED_ROUTES = ("/embed", "/embeddings", "/v1/embeddings")

MEDIA_RATE_PER_MINUTE = 60
"""Files one client may send a minute; one may be a film of five minutes."""

MEDIA_ROUTES = ("/embed/multimodal", "/memory/media")

MEDIA_BODY_BYTES_MAX = VIDEO_BYTES_MAX + 1024 * 1024
"""Bytes of a form: the largest film, and the fields beside it."""

OPTIMIZE_BODY_BYTES_MAX = 64 * 1024 * 1024
"""Bytes of a POST /context/optimize: 500 items of 100 000 characters fit."""

DRAIN_RETRY_SECONDS = 5.0
"""Wait told while stopping or starting: a restart takes about as long."""

LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]")
"""Host headers an open server answers to: a web page cannot send these for another
name, so name rebinding does not reach it."""


def _body_limits() -> dict[str, int]:
    return {
        "/context/optimize": OPTIMIZE_BODY_BYTES_MAX,
        **dict.fromkeys(MEDIA_ROUTES, MEDIA_BODY_BYTES_MAX),
    }


def _route_rates() -> dict[str, Rate]:
    return {
        **dict.fromkeys(EMBED_ROUTES, Rate(EMBED_RATE_PER_MINUTE)),
        **dict.fromkeys(MEDIA_ROUTES, Rate(MEDIA_RATE_PER_MINUTE)),
        "/agents/plan": Rate(PLAN_RATE_PER_MINUTE),
        "/agents/reflect": Rate(REFLECT_RATE_PER_MINUTE),
    }


@dataclass(frozen=True, slots=True)
class HttpOptions:
    """Settings of the edge.

    Attributes:
        brand: in health answers.
        version: of the service, in health answers and the API description.
        rate: for routes that ``route_rates`` does not name.
        route_rates: by route template, such as ``/embed``.
        served_at_once: requests in work at the same time, shared by tenants.
        body_bytes_max: of a JSON body; ``route_body_bytes_max`` by path wins.
        max_token_budget: budget of a context whose caller names none, in tokens.
        trusted_hosts: accepted Host names for callers without a token.
        proxies: ours, whose word on a client's address is taken.
        resources: what OAuth clients are told.
    """

    brand: str
    version: str
    rate: Rate = field(default_factory=lambda: Rate(RATE_PER_MINUTE_DEFAULT))
    route_rates: Mapping[str, Rate] = field(default_factory=_route_rates)
    served_at_once: int = SERVED_AT_ONCE_MAX
    body_bytes_max: int = BODY_BYTES_MAX
    route_body_bytes_max: Mapping[str, int] = field(default_factory=_body_limits)
    max_token_budget: int = 4_096
    trusted_hosts: tuple[str, ...] = LOOPBACK_NAMES
    proxies: Proxies = field(default_factory=Proxies)
    resources: Resources = field(default_factory=Resources)


@dataclass(frozen=True, slots=True)
class Edge:
    """The objects behind the edge.

    Attributes:
        state: returns ``starting``, ``ready``, ``draining`` or ``stopped``.
        tokens: issued ones, for ``/admin/tokens``; None has no such routes.
        rates: charges clients; None does so for this process alone.
        rate: the default rate in force at each request; None takes the options'.
        lines: in which requests wait their turn; None lets all begin at once.
        carried: path → application for admitted POST requests, such as ``/mcp``; it
            finds the caller by ``cortex.service.admission``.
        pages: path → static page, open to all.
    """

    use_cases: UseCases
    doors: Doors
    authorization: Authorization
    clock: Clock
    ids: IdSource
    metrics: Metrics
    tracer: Tracer
    exposition: Exposition
    log: Logger
    state: Callable[[], str]
    tokens: TokenStore | None = None
    rates: Rates | None = None
    rate: Callable[[], Rate] | None = None
    lines: Lines | None = None
    meters: RequestMeters = field(default_factory=RequestMeters)
    carried: Mapping[str, ASGIApp] = field(default_factory=dict)
    pages: Mapping[str, Page] = field(default_factory=dict)
