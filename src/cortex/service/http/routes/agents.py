"""/agents: plans and reflections."""

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from cortex.security.scopes import Scope
from cortex.service import agents as wire
from cortex.service.http.answers import json_answer
from cortex.service.http.body import read_body
from cortex.service.http.caller import Admitted
from cortex.service.http.connected import while_connected
from cortex.service.http.description import accepts
from cortex.usecases.catalog import UseCases


class AgentRoutes:
    """Handlers of /agents."""

    def __init__(self, cases: UseCases) -> None:
        """Take the use cases."""
        self._cases = cases

    def router(self) -> APIRouter:
        """Return the routes."""
        router = APIRouter(tags=["agents"])
        router.add_api_route(
            "/agents/plan",
            self.plan,
            methods=["POST"],
            response_model=wire.PlanAnswer,
            openapi_extra=accepts(wire.PlanBody),
        )
        router.add_api_route(
            "/agents/reflect",
            self.reflect,
            methods=["POST"],
            response_model=wire.ReflectAnswer,
            openapi_extra=accepts(wire.ReflectBody),
        )
        return router

    async def plan(self, request: Request, caller: Admitted) -> Response:
        """Make steps towards a goal, and keep them as a memory."""
        caller.principal.require(Scope.AGENTS)
        body = await read_body(request, wire.PlanBody)
        namespace = caller.namespace(Scope.AGENTS, body.namespace)
        work = self._cases.plan(
            caller.principal, namespace, body.domain(), caller.context
        )
        made = await while_connected(request, work)
        return json_answer(wire.plan(made))

    async def reflect(self, request: Request, caller: Admitted) -> Response:
        """Judge an output against its goal, its criteria and its sources."""
        caller.principal.require(Scope.AGENTS)
        body = await read_body(request, wire.ReflectBody)
        namespace = caller.namespace(Scope.AGENTS, body.namespace)
        work = self._cases.reflect(
            caller.principal, namespace, body.domain(), caller.context
        )
        made = await while_connected(request, work)
        return json_answer(wire.reflection(made))
