"""Builds the ASGI application from the use cases and its options."""

from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match

from cortex.foundation.bucket import LocalRates
from cortex.foundation.errors import CortexError, ValidationError
from cortex.service import problems
from cortex.service.errors import MethodNotAllowed, NoSuchPath
from cortex.service.faults import invalid_input
from cortex.service.http.answers import problem_answer
from cortex.service.http.caller import Door, Limits
from cortex.service.http.connected import CLIENT_CLOSED_REQUEST, ClientGone
from cortex.service.http.description import describe
from cortex.service.http.middleware.access import Access
from cortex.service.http.middleware.body_limit import BodyLimit
from cortex.service.http.middleware.boundary import Boundary
from cortex.service.http.middleware.correlation import Correlation
from cortex.service.http.middleware.crowd import Crowd
from cortex.service.http.middleware.forwarding import Forwarding
from cortex.service.http.middleware.gate import Gate
from cortex.service.http.middleware.metering import Metering
from cortex.service.http.middleware.porter import Porter
from cortex.service.http.options import Edge, HttpOptions
from cortex.service.http.record import record_of
from cortex.service.http.routes.agents import AgentRoutes
from cortex.service.http.routes.alerts import AlertRoutes
from cortex.service.http.routes.audit import AuditRoutes
from cortex.service.http.routes.carried import CarriedRoutes
from cortex.service.http.routes.configuration import ConfigurationRoutes
from cortex.service.http.routes.context import ContextRoutes
from cortex.service.http.routes.docs import DocsRoutes
from cortex.service.http.routes.embeddings import EmbeddingRoutes
from cortex.service.http.routes.events import EventRoutes
from cortex.service.http.routes.health import HealthRoutes
from cortex.service.http.routes.inference import InferenceRoutes
from cortex.service.http.routes.media import MediaRoutes
from cortex.service.http.routes.memory import MemoryRoutes
from cortex.service.http.routes.observed import ObservedRoutes
from cortex.service.http.routes.operations import OperationsRoutes
from cortex.service.http.routes.pages import PageRoutes
from cortex.service.http.routes.quarantine import QuarantineRoutes
from cortex.service.http.routes.quotas import QuotaRoutes
from cortex.service.http.routes.sessions import SessionRoutes
from cortex.service.http.routes.state import StateRoutes
from cortex.service.http.routes.surroundings import SurroundingsRoutes
from cortex.service.http.routes.tokens import TokenRoutes
from cortex.service.http.routes.transfer import TransferRoutes
from cortex.service.http.routes.well_known import WellKnownRoutes

Lifespan = Callable[[Any], AbstractAsyncContextManager[None]]

DESCRIPTION = (
    "Remember, recall, and build contexts in an exact token budget. Errors have one "
    "body everywhere; every answer carries X-Correlation-ID. Names, tags, sources and "
    "reasons hold no control characters (U+0000 to U+001F, U+007F); contents and "
    "queries hold no U+0000. Integers lie within 64 bits, those in metadata and state "
    "within 53; longer ones are sent as texts. A head has 10 seconds, a body comes "
    "with 25 bytes a second at least."
)

_METHOD_CHARACTERS_MAX = 20
"""Characters of an unknown method that are repeated."""


def create_app(
    edge: Edge, options: HttpOptions, lifespan: Lifespan | None = None
) -> FastAPI:
    """Return the application.

    Args:
        edge: the use cases and the objects the edge itself works with.
        options: limits and names.
        lifespan: starts and stops what lies below, around the serving.
    """
    app = FastAPI(
        title="Cortex",
        version=options.version,
        description=DESCRIPTION,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
        middleware=_middleware(edge, options),
        exception_handlers={
            RequestValidationError: _refuse_input,
            HTTPException: _refuse_route,
            ClientGone: _answer_nobody,
        },
        generate_unique_id_function=_operation_id,
    )
    app.state.door = Door(
        edge.doors,
        edge.authorization,
        Limits(
            edge.rates or LocalRates(edge.clock), edge.rate or (lambda: options.rate)
        ),
        edge.clock,
        options,
    )
    for router in _routers(edge, options):
        app.router.routes.extend(router.routes)
    description: dict[str, Any] = {}

    def openapi() -> dict[str, Any]:
        if not description:
            description.update(describe(app))
        return description

    app.openapi = openapi  # type: ignore[method-assign]
    return app


def _routers(edge: Edge, options: HttpOptions) -> Iterator[APIRouter]:
    """Yield the routes of every noun; where two fit a path, the first wins."""
    for routes in (
        HealthRoutes(edge.use_cases, edge.exposition, options),
        TransferRoutes(edge.use_cases, edge.clock),
        QuarantineRoutes(edge.use_cases),
        MediaRoutes(edge.use_cases),
        MemoryRoutes(edge.use_cases),
        SessionRoutes(edge.use_cases),
        StateRoutes(edge.use_cases),
        ContextRoutes(edge.use_cases, options.max_token_budget),
        SurroundingsRoutes(edge.use_cases),
        AuditRoutes(edge.use_cases),
        EmbeddingRoutes(edge.use_cases),
        InferenceRoutes(edge.use_cases),
        AgentRoutes(edge.use_cases),
        EventRoutes(edge.use_cases),
        ObservedRoutes(edge.use_cases),
        OperationsRoutes(edge.use_cases),
        QuotaRoutes(edge.use_cases),
        ConfigurationRoutes(edge.use_cases),
        CarriedRoutes(edge.carried),
        PageRoutes(edge.pages),
        DocsRoutes(),
        WellKnownRoutes(options.resources),
        AlertRoutes(edge.doors),
    ):
        yield routes.router()
    if edge.tokens is not None:
        yield TokenRoutes(edge.tokens, edge.clock).router()


def _middleware(edge: Edge, options: HttpOptions) -> list[Middleware]:
    """Return the layers, outermost first."""
    return [
        Middleware(Forwarding, proxies=options.proxies),
        Middleware(Correlation, ids=edge.ids),
        *_crowd(edge),
        Middleware(Metering, meters=edge.meters),
        Middleware(Porter, doors=edge.doors, metrics=edge.metrics),
        Middleware(
            Access,
            clock=edge.clock,
            metrics=edge.metrics,
            tracer=edge.tracer,
            log=edge.log,
        ),
        Middleware(Boundary, log=edge.log, resources=options.resources),
        Middleware(Gate, state=edge.state),
        Middleware(
            BodyLimit,
            bytes_max=options.body_bytes_max,
            by_path=options.route_body_bytes_max,
        ),
    ]


def _crowd(edge: Edge) -> list[Middleware]:
    """Return what lets requests wait; none where all begin at once."""
    if edge.lines is None:
        return []
    waiting = Middleware(
        Crowd, lines=edge.lines, clock=edge.clock, metrics=edge.metrics, log=edge.log
    )
    return [waiting]


def _operation_id(route: APIRoute) -> str:
    return route.name


async def _refuse_input(request: Request, error: Exception) -> Response:
    """Answer what the framework's own validation of paths and queries found."""
    findings = error.errors() if isinstance(error, RequestValidationError) else []
    return _told(request, invalid_input(findings, placed=True))


async def _answer_nobody(_request: Request, _gone: Exception) -> Response:
    return Response(status_code=CLIENT_CLOSED_REQUEST)


async def _refuse_route(request: Request, error: Exception) -> Response:
    """Answer the framework's own refusals, such as an unknown path."""
    status = error.status_code if isinstance(error, HTTPException) else 0
    if status == problems.MEANINGS["NO_SUCH_PATH"].status:
        hint = "GET /docs lists all paths."
        return _told(request, NoSuchPath("no route has this path", hint=hint))
    if status == problems.MEANINGS["METHOD_NOT_ALLOWED"].status:
        allowed = ", ".join(_methods_of_path(request))
        refused = MethodNotAllowed(
            f"{request.method[:_METHOD_CHARACTERS_MAX]} is not a method of this path",
            hint=f"It takes {allowed}.",
            field="method",
        )
        return _told(request, refused, {"Allow": allowed})
    return _told(request, ValidationError("the request cannot be read"))


def _methods_of_path(request: Request) -> list[str]:
    """Return every method some route takes at this path."""
    methods: set[str] = set()
    for route in request.app.routes:
        match, _ = route.matches(request.scope)
        if match is not Match.NONE:
            methods |= getattr(route, "methods", None) or set()
    return sorted(methods)


def _told(
    request: Request, error: CortexError, headers: dict[str, str] | None = None
) -> Response:
    record = record_of(request.scope)
    record.error_code = error.code
    return problem_answer(error, record.correlation_id, headers)
