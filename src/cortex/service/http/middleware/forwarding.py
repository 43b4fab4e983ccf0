"""Puts the real client's address where everything inside looks for it."""

from starlette.types import ASGIApp, Receive, Scope, Send

from cortex.service.http.forwarded import Proxies


class Forwarding:
    """Outermost: rate limits, the watch and the log see the client, not the proxy."""

    def __init__(self, app: ASGIApp, proxies: Proxies) -> None:
        """Wrap ``app``."""
        self._app = app
        self._proxies = proxies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on under its client's address."""
        peer = scope.get("client")
        if scope["type"] == "http" and peer is not None:
            client = self._proxies.client(peer[0], scope["headers"])
            if client != peer[0]:
                scope["client"] = (client, 0)
        await self._app(scope, receive, send)
