"""/.well-known/oauth-protected-resource: who gives tokens for us (RFC 9728)."""

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from cortex.security.oauth import WELL_KNOWN
from cortex.service.errors import NoSuchPath
from cortex.service.http.answers import json_answer
from cortex.service.http.resources import Resources


class WellKnownRoutes:
    """One document a protected resource; open to all, as a client has no token yet."""

    def __init__(self, resources: Resources) -> None:
        """Take the resources; without any the paths are not there."""
        self._resources = resources

    def router(self) -> APIRouter:
        """Return the routes; the specification describes them, so ours does not."""
        router = APIRouter(include_in_schema=False)
        for path in (WELL_KNOWN, WELL_KNOWN + "/{resource:path}"):
            router.add_api_route(
                path, self.document, methods=["GET"], name=f"metadata {path}"
            )
        return router

    async def document(self, request: Request) -> Response:
        """Return the metadata of the resource whose path follows."""
        path = request.url.path.removeprefix(WELL_KNOWN).rstrip("/") or "/"
        resource = self._resources.by_path.get(path)
        if resource is None:
            raise NoSuchPath(
                "no protected resource has this path",
                hint="Set CORTEX_ISSUERS to take tokens of an authorization server.",
            )
        # Clients that run in a browser read it from another origin.
        headers = {"Access-Control-Allow-Origin": "*"}
        return json_answer(resource.document(), headers=headers)
