"""Other edges at a path of this one: same tokens, limits and correlation.

They speak a protocol of their own above HTTP, so the API description leaves them out.
"""

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import cast

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from cortex.service.admission import Admission, attach_admission
from cortex.service.http.caller import Admitted, Caller, Door


class CarriedRoutes:
    """One POST route an application."""

    def __init__(self, carried: Mapping[str, ASGIApp]) -> None:
        """Take the applications by path."""
        self._carried = carried

    def router(self) -> APIRouter:
        """Return the routes."""
        router = APIRouter(include_in_schema=False)
        for path, application in self._carried.items():
            router.add_api_route(
                path,
                _handler(application),
                methods=["POST"],
                name=f"carried {path}",
            )
        return router


def _handler(application: ASGIApp) -> Callable[..., Awaitable[Response]]:
    async def carry(request: Request, caller: Admitted) -> Response:
        """Hand the admitted request on."""
        door = cast("Door", request.app.state.door)
        door.check_origin(request)
        return _Carried(application, _admission(door, request, caller))

    return carry


def _admission(door: Door, request: Request, caller: Caller) -> Admission:
    attributes = {"client.address": caller.address} if caller.address else {}

    def require(action: str, namespace: str | None) -> None:
        caller.authorization.require(
            caller.principal, action, namespace=namespace, attributes=attributes
        )

    charge = partial(door.charge, request, caller.principal)
    return Admission(caller.principal, caller.context, require, charge)


class _Carried(Response):
    """An answer that the application makes itself, from the untouched request."""

    def __init__(self, application: ASGIApp, admission: Admission) -> None:
        self._application = application
        self._admission = admission
        self.status_code = 200
        self.background = None
        self.init_headers()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        attach_admission(scope, self._admission)
        await self._application(scope, receive, send)
