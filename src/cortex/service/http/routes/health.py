"""Probes and metrics, open to all."""

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from cortex.foundation.errors import Unavailable
from cortex.service import problems
from cortex.service.http.answers import json_answer, problem_answer
from cortex.service.http.options import DRAIN_RETRY_SECONDS, SERVICE, HttpOptions
from cortex.service.http.record import record_of
from cortex.service.http.wire import surroundings as wire
from cortex.telemetry.exposition import Exposition
from cortex.usecases.catalog import UseCases
from cortex.usecases.model import HealthReport, Status

_UNWELL = "Unhealthy; the same body with the reason"


class HealthRoutes:
    """Handlers of /healthz, /ready, /health… and /metrics."""

    def __init__(
        self, cases: UseCases, exposition: Exposition, options: HttpOptions
    ) -> None:
        """Take what is asked, and the names that answers carry."""
        self._cases = cases
        self._exposition = exposition
        self._identity = {
            "service": SERVICE,
            "version": options.version,
            "brand": options.brand,
        }

    def router(self) -> APIRouter:
        """Return the routes."""
        router = APIRouter(tags=["health"])
        add = router.add_api_route
        add(
            "/healthz",
            self.healthz,
            methods=["GET"],
            response_model=wire.HealthAnswer,
            responses={503: {"model": wire.HealthAnswer, "description": _UNWELL}},
        )
        add(
            "/health",
            self.health,
            methods=["GET"],
            response_model=wire.ComponentsAnswer,
            responses={503: {"model": wire.ComponentsAnswer, "description": _UNWELL}},
        )
        add("/health/live", self.live, methods=["GET"], response_model=wire.AliveAnswer)
        for path, handler in (
            ("/ready", self.ready),
            ("/health/ready", self.ready_too),
        ):
            add(path, handler, methods=["GET"], response_model=wire.ReadyAnswer)
        add("/metrics", self.metrics, methods=["GET"], response_class=Response)
        return router

    async def healthz(self, request: Request) -> Response:
        """Ask every dependency now."""
        report = await self._cases.health()
        return self._report(request, report, "checks")

    async def health(self, request: Request) -> Response:
        """Ask every dependency now, told as components."""
        report = await self._cases.health()
        return self._report(request, report, "components")

    async def live(self) -> Response:
        """Answer as long as the process does."""
        return json_answer({"status": Status.OK, **self._identity})

    async def ready(self, request: Request) -> Response:
        """Tell whether traffic may come; 503 and why when not."""
        readiness = await self._cases.ready()
        if readiness.ready:
            return json_answer({"ready": True, "status": Status.OK})
        error = Unavailable(
            f"not ready: {readiness.reason}",
            retry_after_seconds=DRAIN_RETRY_SECONDS,
            ready=False,
            reason=readiness.reason,
        )
        record = record_of(request.scope)
        record.error_code = error.code
        return problem_answer(error, record.correlation_id)

    async def ready_too(self, request: Request) -> Response:
        """Tell whether traffic may come; the same as /ready."""
        return await self.ready(request)

    async def metrics(self, request: Request) -> Response:
        """Return all metrics as Prometheus text, or OpenMetrics where accepted."""
        accept = request.headers.get("accept", "")
        body, content_type = await self._exposition.render(accept)
        return Response(body, headers={"Content-Type": content_type})

    def _report(self, request: Request, report: HealthReport, name: str) -> Response:
        body: dict[str, object] = {
            "status": report.status,
            **self._identity,
            name: wire.checks(report),
        }
        if report.status is not Status.UNHEALTHY:
            return json_answer(body)
        record = record_of(request.scope)
        failing = [n for n, c in report.checks.items() if c.status is Status.UNHEALTHY]
        error = Unavailable(f"unhealthy: {', '.join(sorted(failing))}")
        record.error_code = error.code
        told = problems.body_of(error, record.correlation_id)
        shared = ("detail", "error", "correlation_id")
        body.update({key: told[key] for key in shared})
        seconds = problems.retry_after(error)
        return json_answer(body, status=503, headers={"Retry-After": str(seconds)})
