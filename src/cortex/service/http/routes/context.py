"""/context and /vector: prompt contexts in an exact budget, and search by meaning."""

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from cortex.foundation.tenancy import DEFAULT_NAMESPACE, Namespace
from cortex.security.scopes import Scope
from cortex.service.http.answers import degraded, json_answer
from cortex.service.http.body import read_body
from cortex.service.http.caller import Admitted
from cortex.service.http.description import accepts
from cortex.service.http.wire import context as wire
from cortex.usecases.catalog import UseCases


class ContextRoutes:
    """Handlers of /context and /vector."""

    def __init__(self, cases: UseCases, max_tokens_default: int) -> None:
        """Take the use cases and the budget of a context that names none."""
        self._cases = cases
        self._max_tokens_default = max_tokens_default

    def router(self) -> APIRouter:
        """Return the routes."""
        router = APIRouter(tags=["context"])
        router.add_api_route(
            "/context",
            self.build_context,
            methods=["POST"],
            response_model=wire.ContextAnswer,
            openapi_extra=accepts(wire.ContextBody),
        )
        router.add_api_route(
            "/context/optimize",
            self.optimize_context,
            methods=["POST"],
            response_model=wire.OptimizedAnswer,
            openapi_extra=accepts(wire.OptimizeBody),
        )
        router.add_api_route(
            "/vector/search",
            self.vector_search,
            methods=["POST"],
            response_model=wire.VectorAnswer,
            openapi_extra=accepts(wire.VectorBody),
        )
        return router

    async def build_context(self, request: Request, caller: Admitted) -> Response:
        """Build a prompt context for a query, a session or both, within its budget."""
        caller.principal.require(Scope.CONTEXT)
        body = await read_body(request, wire.ContextBody)
        namespace = caller.namespace(Scope.CONTEXT, body.namespace)
        asked = body.domain(self._max_tokens_default)
        built = await self._cases.build_context(namespace, asked, caller.context)
        return json_answer(wire.context(built), headers=degraded(built.degraded))

    async def optimize_context(self, request: Request, caller: Admitted) -> Response:
        """Fit the caller's own items into a budget."""
        caller.require(Scope.CONTEXT)
        body = await read_body(request, wire.OptimizeBody)
        # Of no namespace; a language model's calls are told to the default one.
        place = Namespace(caller.principal.tenant, DEFAULT_NAMESPACE)
        fitted = await self._cases.optimize_context(
            place, body.domain(), caller.context
        )
        return json_answer(wire.optimized(fitted))

    async def vector_search(self, request: Request, caller: Admitted) -> Response:
        """Find documents by meaning alone."""
        caller.principal.require(Scope.VECTOR)
        body = await read_body(request, wire.VectorBody)
        namespace = caller.namespace(Scope.VECTOR, body.namespace)
        found = await self._cases.vector_search(
            namespace,
            body.query,
            body.top_k,
            body.filter_metadata,
            min_trust=body.min_trust,
        )
        return json_answer(wire.vector_hits(found))
