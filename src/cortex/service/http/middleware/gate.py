"""Refuses new work while the server starts or stops; probes go on."""

from collections.abc import Callable

from starlette.types import ASGIApp, Receive, Scope, Send

from cortex.foundation.errors import Draining, Unavailable
from cortex.service.http.options import DRAIN_RETRY_SECONDS
from cortex.service.http.record import OPEN_PATHS


class Gate:
    """Open while the state is ``ready``."""

    def __init__(self, app: ASGIApp, state: Callable[[], str]) -> None:
        """Wrap ``app``; ``state`` names the state of the process."""
        self._app = app
        self._state = state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it with 503 and ``Retry-After``."""
        if scope["type"] == "http" and scope["path"] not in OPEN_PATHS:
            self._check()
        await self._app(scope, receive, send)

    def _check(self) -> None:
        state = self._state()
        if state == "ready":
            return
        if state == "starting":
            raise Unavailable(
                "the server is starting", retry_after_seconds=DRAIN_RETRY_SECONDS
            )
        raise Draining(
            "the server is stopping and takes no new requests",
            hint="Try again: another one takes over.",
            retry_after_seconds=DRAIN_RETRY_SECONDS,
        )
