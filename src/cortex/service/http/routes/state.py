"""/state: hot values with compare-and-set, the signed snapshot, discovery."""

from typing import Annotated
from urllib.parse import unquote

from fastapi import APIRouter, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from cortex.foundation.tenancy import NAMESPACE_CHARACTERS_MAX, Namespace, check_name
from cortex.security.scopes import Scope
from cortex.service.http.answers import json_answer
from cortex.service.http.body import read_body
from cortex.service.http.caller import Admitted, Caller
from cortex.service.http.conditions import if_match
from cortex.service.http.description import accepts, if_match_header
from cortex.service.http.wire import context as wire
from cortex.service.http.wire.surroundings import (
    ResourcesAnswer,
    SnapshotAnswer,
    resources,
)
from cortex.usecases.catalog import UseCases
from cortex.usecases.model import StateEntry

_PREFIX = "/state/"

NamespacePath = Annotated[str, Path(max_length=3 * NAMESPACE_CHARACTERS_MAX)]
KeyPath = Annotated[str, Path(max_length=3 * NAMESPACE_CHARACTERS_MAX)]


class StateRoutes:
    """Handlers of /state."""

    def __init__(self, cases: UseCases) -> None:
        """Take the use cases."""
        self._cases = cases

    def router(self) -> APIRouter:
        """Return the routes; fixed names come before the two-part ones."""
        router = APIRouter(tags=["state"])
        router.add_api_route(
            "/state/snapshot",
            self.snapshot,
            methods=["GET"],
            response_model=SnapshotAnswer,
        )
        router.add_api_route(
            "/state/discover",
            self.discover,
            methods=["GET"],
            response_model=ResourcesAnswer,
        )
        entry = "/state/{namespace:path}/{key}"
        router.add_api_route(
            entry, self.get_state, methods=["GET"], response_model=wire.StateAnswer
        )
        router.add_api_route(
            entry,
            self.put_state,
            methods=["PUT"],
            response_model=wire.StateAnswer,
            openapi_extra=accepts(wire.StateBody) | if_match_header(),
        )
        router.add_api_route(
            entry,
            self.delete_state,
            methods=["DELETE"],
            status_code=204,
            response_class=Response,
            openapi_extra=if_match_header(),
        )
        return router

    async def snapshot(
        self, caller: Admitted, query: Annotated[wire.SnapshotQuery, Query()]
    ) -> Response:
        """Return the signed context pack of the caller's tenant."""
        caller.require(Scope.STATE)
        return json_answer(await self._cases.snapshot(caller.principal, query.since))

    async def discover(self, caller: Admitted) -> Response:
        """List what the caller can reach."""
        caller.require(Scope.STATE)
        return json_answer(resources(await self._cases.discover(caller.principal)))

    async def get_state(
        self, request: Request, namespace: NamespacePath, key: KeyPath, caller: Admitted
    ) -> Response:
        """Return a value with its etag."""
        place, name = _address(request, caller, namespace, key)
        return _entry(place, await self._cases.get_state(place, name))

    async def put_state(
        self, request: Request, namespace: NamespacePath, key: KeyPath, caller: Admitted
    ) -> Response:
        """Write a value; with ``If-Match`` only over the version named there."""
        place, name = _address(request, caller, namespace, key)
        expected = if_match(request)
        body = await read_body(request, wire.StateBody)
        entry = await self._cases.put_state(
            place,
            name,
            body.value,
            ttl_seconds=body.ttl_seconds,
            if_match=expected,
            context=caller.context,
        )
        return _entry(place, entry)

    async def delete_state(
        self, request: Request, namespace: NamespacePath, key: KeyPath, caller: Admitted
    ) -> Response:
        """Remove a value; with ``If-Match`` only the version named there."""
        place, name = _address(request, caller, namespace, key)
        await self._cases.delete_state(
            place, name, if_match=if_match(request), context=caller.context
        )
        return Response(status_code=204)


def _address(
    request: Request, caller: Caller, namespace: str, key: str
) -> tuple[Namespace, str]:
    """Return the namespace and key, told apart by the path as it was sent.

    A slash inside a name comes escaped (``%2F``), which the decoded path no longer
    shows.
    """
    raw = (
        request.scope.get("raw_path", b"").partition(b"?")[0].decode("ascii", "replace")
    )
    pieces = raw.removeprefix(_PREFIX).split("/")
    if raw.startswith(_PREFIX) and len(pieces) > 1:
        namespace = unquote("/".join(pieces[:-1]))
        key = unquote(pieces[-1])
    check_name(key, "key")
    return caller.namespace(Scope.STATE, namespace), key


def _entry(namespace: Namespace, entry: StateEntry) -> Response:
    return json_answer(
        wire.state(namespace.name, entry), headers={"ETag": f'"{entry.etag}"'}
    )
