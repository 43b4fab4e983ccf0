"""/admin/alerts: signs of an attack at the doors, for the operator."""

from fastapi import APIRouter
from starlette.responses import Response

from cortex.security.doors import Doors
from cortex.security.scopes import Scope
from cortex.service.http.answers import json_answer
from cortex.service.http.caller import Admitted
from cortex.service.http.wire import alerts as wire


class AlertRoutes:
    """One handler: clients have no tenant, so that the operator's alone may ask."""

    def __init__(self, doors: Doors) -> None:
        """Take the doors that are watched."""
        self._doors = doors

    def router(self) -> APIRouter:
        """Return the route."""
        router = APIRouter(tags=["admin"])
        router.add_api_route(
            "/admin/alerts",
            self.list_alerts,
            methods=["GET"],
            response_model=wire.AlertsAnswer,
        )
        return router

    async def list_alerts(self, caller: Admitted) -> Response:
        """List what this process noticed lately; the ledger has it all."""
        caller.require_operator(Scope.ADMIN, "alerts are about clients of all tenants")
        found = self._doors.alerts()
        return json_answer(wire.alerts(found, self._doors.waiting()))
