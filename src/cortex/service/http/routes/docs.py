"""The page at /docs: the API description drawn without anything from elsewhere."""

from importlib import resources

from fastapi import APIRouter
from starlette.responses import HTMLResponse, Response

_POLICY = (
    "default-src 'none'; connect-src 'self'; style-src 'unsafe-inline'; "
    "script-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
)


class DocsRoutes:
    """Handler of /docs."""

    def __init__(self) -> None:
        """Read the page once."""
        page = resources.files("cortex.service.http").joinpath("docs.html")
        self._page = page.read_text(encoding="utf-8")

    def router(self) -> APIRouter:
        """Return the route, which describes itself nowhere."""
        router = APIRouter(include_in_schema=False)
        router.add_api_route("/docs", self.docs, methods=["GET"])
        return router

    async def docs(self) -> Response:
        """Return the page; it reads /openapi.json."""
        return HTMLResponse(self._page, headers={"Content-Security-Policy": _POLICY})
