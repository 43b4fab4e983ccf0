"""/slo, /alerts, /metrics/energy: promises, who must know, and what it costs."""

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from cortex.security.scopes import Scope
from cortex.service.http.answers import json_answer
from cortex.service.http.body import read_body
from cortex.service.http.caller import Admitted
from cortex.service.http.description import accepts
from cortex.service.http.wire import operations as wire
from cortex.usecases.catalog import UseCases


class OperationsRoutes:
    """Handlers for operators; all need the scope performance."""

    def __init__(self, cases: UseCases) -> None:
        """Take the use cases."""
        self._cases = cases.operations

    def router(self) -> APIRouter:
        """Return the routes."""
        router = APIRouter(tags=["operations"])
        add = router.add_api_route
        add("/slo", self.slo, methods=["GET"], response_model=wire.SloAnswer)
        add(
            "/metrics/energy",
            self.energy,
            methods=["GET"],
            response_model=wire.EnergyAnswer,
        )
        add("/alerts", self.alerts, methods=["GET"], response_model=wire.AlertsAnswer)
        add(
            "/alerts/acknowledge",
            self.acknowledge_alert,
            methods=["POST"],
            response_model=wire.AlertAnswer,
            openapi_extra=accepts(wire.AcknowledgeBody),
        )
        return router

    async def slo(self, caller: Admitted) -> Response:
        """Return every objective with its error budget, burn rates and alerts."""
        caller.require(Scope.PERFORMANCE)
        return json_answer(wire.report(await self._cases.slo()))

    async def energy(self, caller: Admitted) -> Response:
        """Return power, energy by route and emissions; each figure with its source."""
        caller.require(Scope.PERFORMANCE)
        return json_answer(wire.energy(await self._cases.energy()))

    async def alerts(self, caller: Admitted) -> Response:
        """Return the alerts that are pending or fire."""
        caller.require(Scope.PERFORMANCE)
        found = await self._cases.alerts()
        return json_answer({"alerts": [wire.alert(item) for item in found]})

    async def acknowledge_alert(self, request: Request, caller: Admitted) -> Response:
        """Say that you know of a firing alert; it stays until its cause is gone."""
        caller.require(Scope.PERFORMANCE)
        body = await read_body(request, wire.AcknowledgeBody)
        known = await self._cases.acknowledge(body.name, caller.context)
        return json_answer(wire.alert(known))
