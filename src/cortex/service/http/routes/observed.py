"""/performance: what was observed of this server over time."""

from typing import Annotated

from fastapi import APIRouter, Path, Query
from starlette.responses import Response

from cortex.security.scopes import Scope
from cortex.service.http.answers import json_answer
from cortex.service.http.caller import Admitted
from cortex.service.http.wire import logs as logs_wire
from cortex.service.http.wire import observed as wire
from cortex.service.http.wire import spans as spans_wire
from cortex.usecases.catalog import UseCases

OF_ALL_TENANTS = "errors and log lines tell of callers of all tenants"

TraceId = Annotated[str, Path(pattern="^[0-9a-f]{32}$")]


class ObservedRoutes:
    """Handlers of history, spans, errors, logs and the state of routes."""

    def __init__(self, cases: UseCases) -> None:
        """Take the use cases."""
        self._cases = cases

    def router(self) -> APIRouter:
        """Return the routes."""
        router = APIRouter(tags=["performance"])
        for path, handler, model in (
            ("/performance/history", self.history, wire.HistoryAnswer),
            ("/performance/metrics", self.catalog, wire.MetricsAnswer),
            ("/performance/status", self.status, spans_wire.StatusAnswer),
            ("/performance/spans", self.spans, spans_wire.SpansAnswer),
            ("/performance/traces/{trace_id}", self.trace, spans_wire.TraceAnswer),
            ("/performance/errors", self.errors, spans_wire.ErrorsAnswer),
            ("/performance/logs", self.logs, logs_wire.LogsAnswer),
            (
                "/performance/logs/summary",
                self.log_summary,
                logs_wire.LogSummaryAnswer,
            ),
        ):
            router.add_api_route(path, handler, methods=["GET"], response_model=model)
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

    async def status(
        self, caller: Admitted, query: Annotated[spans_wire.StatusQuery, Query()]
    ) -> Response:
        """Tell rate, latency and errors of each route."""
        caller.require(Scope.PERFORMANCE)
        found = await self._cases.observed.status(query.window)
        return json_answer(spans_wire.status(query.window, found))

    async def spans(
        self, caller: Admitted, query: Annotated[spans_wire.SpansQuery, Query()]
    ) -> Response:
        """Tell where the time of requests went, compared with an earlier period."""
        caller.require(Scope.PERFORMANCE)
        now = self._cases.observed.clock.now()
        found = await self._cases.observed.spans(query.period(now), query.against(now))
        return json_answer(spans_wire.spans(found))

    async def trace(self, caller: Admitted, trace_id: TraceId) -> Response:
        """Return what was kept of one trace."""
        caller.require(Scope.PERFORMANCE)
        found = await self._cases.observed.trace(trace_id)
        return json_answer(spans_wire.trace(found))

    async def errors(
        self, caller: Admitted, query: Annotated[spans_wire.ErrorsQuery, Query()]
    ) -> Response:
        """List errors nobody foresaw, grouped, the last seen first."""
        caller.require_operator(Scope.PERFORMANCE, OF_ALL_TENANTS)
        found = await self._cases.observed.errors(query.since, query.limit)
        return json_answer(spans_wire.errors(found))

    async def logs(
        self, caller: Admitted, query: Annotated[logs_wire.LogsQuery, Query()]
    ) -> Response:
        """List kept log lines of all worker processes, the newest first."""
        caller.require_operator(Scope.PERFORMANCE, OF_ALL_TENANTS)
        found = await self._cases.observed.logs.page(query.domain())
        return json_answer(logs_wire.page(found))

    async def log_summary(
        self, caller: Admitted, query: Annotated[logs_wire.SummaryQuery, Query()]
    ) -> Response:
        """Count kept log lines by level and event, the most severe first."""
        caller.require_operator(Scope.PERFORMANCE, OF_ALL_TENANTS)
        found = await self._cases.observed.logs.summary(query.domain())
        return json_answer(logs_wire.summary(found))
