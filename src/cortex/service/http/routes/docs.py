"""/openapi.json and the page at /docs, drawn without anything from elsewhere."""

import asyncio
from importlib import resources

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from cortex.service.http.answers import json_answer

_POLICY = (
    "default-src 'none'; connect-src 'self'; style-src 'unsafe-inline'; "
    "script-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
)


class DocsRoutes:
    """Handlers of the API's own description."""

    def __init__(self) -> None:
        """Read the page once."""
        page = resources.files("cortex.service.http").joinpath("docs.html")
        self._page = page.read_text(encoding="utf-8")

    def router(self) -> APIRouter:
        """Return the routes, which describe themselves nowhere."""
        router = APIRouter(include_in_schema=False)
        router.add_api_route("/docs", self.docs, methods=["GET"])
        router.add_api_route("/openapi.json", self.openapi, methods=["GET"])
        return router

    async def docs(self) -> Response:
        """Return the page; it reads /openapi.json."""
        return HTMLResponse(self._page, headers={"Content-Security-Policy": _POLICY})

    async def openapi(self, request: Request) -> Response:
        """Return the description; drawing it the first time takes most of a second."""
        return json_answer(await asyncio.to_thread(request.app.openapi))
