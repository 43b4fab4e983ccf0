"""Turns away, before anything else is done, who was refused too often to be heard.

A flood costs what each of its requests costs: routing, validation and a log line would
make a junk token as dear as a good one. Here it is a look into two tables and a short
answer. What is turned away is counted, and told by the watch as a digest, not logged
line by line.
"""

from starlette.types import ASGIApp, Receive, Scope, Send

from cortex.foundation.errors import RateLimited
from cortex.security.doors import Credentials, Doors
from cortex.service.http.answers import problem_answer
from cortex.service.http.client_certificates import certificate_of
from cortex.service.http.record import OPEN_PATHS, record_of
from cortex.telemetry.metrics import Metrics

_BEARER = b"bearer "


class Porter:
    """Stands inside ``Correlation`` and outside everything else."""

    def __init__(self, app: ASGIApp, doors: Doors, metrics: Metrics) -> None:
        """Wrap ``app``."""
        self._app = app
        self._doors = doors
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 429 with ``Retry-After``."""
        wait = self._wait_seconds(scope) if scope["type"] == "http" else 0.0
        if wait <= 0:
            await self._app(scope, receive, send)
            return
        error = RateLimited(
            "too many refused attempts from this address",
            hint="Wait as long as Retry-After says, then send a good token.",
            retry_after_seconds=wait,
        )
        self._metrics.errors.labels(error.code).inc()
        answer = problem_answer(error, record_of(scope).correlation_id)
        await answer(scope, receive, send)

    def _wait_seconds(self, scope: Scope) -> float:
        client = scope.get("client")
        if client is None or scope["path"] in OPEN_PATHS:
            return 0.0
        if not self._doors.keeps_waiting(client[0]):
            return 0.0
        credentials = Credentials(_token(scope), client[0], certificate_of(scope))
        return self._doors.turn_away(credentials)


def _token(scope: Scope) -> str | None:
    for name, value in scope["headers"]:
        if name == b"authorization" and value[: len(_BEARER)].lower() == _BEARER:
            return str(value[len(_BEARER) :].strip().decode("latin-1"))
    return None
