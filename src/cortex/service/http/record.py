"""What is known of a request while it is worked on."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

from starlette.types import Scope

from cortex.telemetry.metrics import UNMATCHED_ROUTE

_KEY = "cortex.record"

OPEN_PATHS = frozenset(
    {"/healthz", "/ready", "/health", "/health/live", "/health/ready", "/metrics"}
)
"""Open to all, also while draining, and never counted against a rate limit."""


@dataclass(slots=True)
class RequestRecord:
    """Filled in as the request passes the layers.

    Attributes:
        subject: who calls; empty until that is known.
        tenant: of the one who calls; empty until that is known.
        waited_seconds: before anything was done for it.
        headers: added to the answer, whatever it is.
        status: of the answer; 0 until it starts.
        error_code: of the error answered, if any.
        leave: called when the request is over.
    """

    request_id: str
    correlation_id: str
    traceparent: str = ""
    subject: str = ""
    tenant: str = ""
    waited_seconds: float = 0.0
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    status: int = 0
    error_code: str = ""
    leave: Callable[[], None] | None = None


def attach(scope: Scope, record: RequestRecord) -> None:
    """Put the record where all layers find it."""
    scope[_KEY] = record


def record_of(scope: Scope) -> RequestRecord:
    """Return the request's record."""
    return cast("RequestRecord", scope[_KEY])


def route_of(scope: Scope) -> str:
    """Return the template of the matched route, such as ``/memory/{memory_id}``."""
    return getattr(scope.get("route"), "path_format", UNMATCHED_ROUTE)
