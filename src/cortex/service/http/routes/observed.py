"""/performance: what was observed of this server over time."""

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from cortex.security.scopes import Scope
from cortex.service.http.answers import json_answer
from cortex.service.http.caller import Admitted
from cortex.service.http.wire import observed as wire
from cortex.usecases.catalog import UseCases


class ObservedRoutes:
    """Handlers of /performance/history and /performance/metrics."""

    def __init__(self, cases: UseCases) -> None:
        """Take the use cases."""
        self._cases = cases

    def router(self) -> APIRouter:
        """Return the routes."""
        router = APIRouter(tags=["performance"])
        add = router.add_api_route
        add(
            "/performance/history",
            self.history,
            methods=["GET"],
            response_model=wire.HistoryAnswer,
        )
        add(
            "/performance/metrics",
            self.catalog,
            methods=["GET"],
            response_model=wire.MetricsAnswer,
        )
        return router

    async def history(
        self, caller: Admitted, query: Annotated[wire.HistoryQuery, Query()]
    ) -> Response:
        """Return a metric over the last 30 days, or a function of it."""
        caller.require(Scope.PERFORMANCE)
        question = query.domain(self._cases.observed.clock.now())
        lines = await self._cases.observed.history(question)
        return json_answer(wire.history(question, lines))

    async def catalog(self, caller: Admitted) -> Response:
        """List the metrics that history holds."""
        caller.require(Scope.PERFORMANCE)
        return json_answer(wire.catalog(await self._cases.observed.catalog()))
