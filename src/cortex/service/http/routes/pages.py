"""Static pages of the dashboard: open to all, as they hold nothing."""

from collections.abc import Awaitable, Callable, Mapping

from fastapi import APIRouter
from starlette.responses import Response

from cortex.service.http.page import Page


class PageRoutes:
    """One GET route a page."""

    def __init__(self, pages: Mapping[str, Page]) -> None:
        """Take the pages by path."""
        self._pages = pages

    def router(self) -> APIRouter:
        """Return the routes, which the API description leaves out."""
        router = APIRouter(include_in_schema=False)
        for path, page in self._pages.items():
            router.add_api_route(
                path, _handler(page), methods=["GET"], name=f"page {path}"
            )
        return router


def _handler(page: Page) -> Callable[[], Awaitable[Response]]:
    headers = {
        "Content-Security-Policy": page.policy,
        "Cache-Control": "no-cache",
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
    }

    async def serve() -> Response:
        """Return the page."""
        return Response(page.body, media_type=page.media_type, headers=headers)

    return serve
