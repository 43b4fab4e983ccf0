"""/inference and /models/warm: what models take of the machine, and changing it."""

from dataclasses import asdict

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from cortex.security.scopes import Scope
from cortex.service.http.answers import json_answer
from cortex.service.http.body import read_body
from cortex.service.http.caller import Admitted
from cortex.service.http.description import accepts
from cortex.service.http.wire import inference as wire
from cortex.usecases.catalog import UseCases
from cortex.usecases.inference_control import shown, shown_power

OF_ALL_TENANTS = "models and worker processes serve all tenants"


class InferenceRoutes:
    """Handlers of the operator's view of models."""

    def __init__(self, cases: UseCases) -> None:
        """Take the use cases."""
        self._control = cases.inference

    def router(self) -> APIRouter:
        """Return the routes."""
        router = APIRouter(tags=["models"])
        router.add_api_route(
            "/inference",
            self.status,
            methods=["GET"],
            response_model=wire.InferenceAnswer,
            name="inference_status",
        )
        for method, path, handler, body, answer in (
            ("POST", "/models/warm", self.warm, wire.WarmBody, wire.WarmAnswer),
            (
                "PUT",
                "/inference/power",
                self.power,
                wire.PowerBody,
                wire.PowerAnswer,
            ),
            (
                "PUT",
                "/inference/workers",
                self.workers,
                wire.WorkersBody,
                wire.WorkersAnswer,
            ),
        ):
            router.add_api_route(
                path,
                handler,
                methods=[method],
                response_model=answer,
                openapi_extra=accepts(body),
                name=f"inference_{handler.__name__}",
            )
        return router

    async def status(self, caller: Admitted) -> Response:
        """Show power, workers, memory and housekeeping."""
        caller.require(Scope.INFERENCE)
        return json_answer(shown(await self._control.status()))

    async def warm(self, request: Request, caller: Admitted) -> Response:
        """Load a model now, so that the next request finds it ready."""
        caller.require(Scope.INFERENCE)
        body = await read_body(request, wire.WarmBody)
        seconds = await self._control.warm(body.model)
        return json_answer({"model": body.model, "seconds": seconds})

    async def power(self, request: Request, caller: Admitted) -> Response:
        """Save power, stop saving it, or follow the schedule."""
        caller.require_operator(Scope.PERFORMANCE, OF_ALL_TENANTS)
        body = await read_body(request, wire.PowerBody)
        status = await self._control.switch_power(
            caller.principal, body.mode, body.reason, caller.context
        )
        return json_answer(shown_power(status))

    async def workers(self, request: Request, caller: Admitted) -> Response:
        """Start or stop worker processes; answered once they work."""
        caller.require_operator(Scope.PERFORMANCE, OF_ALL_TENANTS)
        body = await read_body(request, wire.WorkersBody)
        applied = await self._control.scale(
            caller.principal, body.replicas, body.reason, caller.context
        )
        return json_answer(asdict(applied))
