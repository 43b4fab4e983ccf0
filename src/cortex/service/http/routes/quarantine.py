"""/memory/quarantine: take memories out of answers, and let them in again."""

from typing import Annotated

from fastapi import APIRouter, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from cortex.foundation.limits import NAME_CHARACTERS_MAX
from cortex.security.scopes import Scope
from cortex.service.http.answers import json_answer
from cortex.service.http.body import read_body
from cortex.service.http.caller import Admitted
from cortex.service.http.description import accepts
from cortex.service.http.wire import quarantine as wire
from cortex.service.http.wire.memory import MemoryAnswer, memory
from cortex.service.http.wire.selection import InNamespace
from cortex.usecases.catalog import UseCases

MemoryId = Annotated[str, Path(min_length=1, max_length=NAME_CHARACTERS_MAX)]
Place = Annotated[InNamespace, Query()]


class QuarantineRoutes:
    """Handlers of quarantine and release."""

    def __init__(self, cases: UseCases) -> None:
        """Take the use cases."""
        self._cases = cases

    def router(self) -> APIRouter:
        """Return the routes; they go before ``/memory/{memory_id}``."""
        router = APIRouter(tags=["memory"])
        router.add_api_route(
            "/memory/quarantine",
            self.quarantine_selection,
            methods=["POST"],
            response_model=wire.QuarantinedAnswer,
            openapi_extra=accepts(wire.QuarantineBody),
        )
        router.add_api_route(
            "/memory/release",
            self.release_selection,
            methods=["POST"],
            response_model=wire.ReleasedAnswer,
            openapi_extra=accepts(wire.ReleaseBody),
        )
        router.add_api_route(
            "/memory/{memory_id}/quarantine",
            self.quarantine_memory,
            methods=["POST"],
            response_model=wire.QuarantinedAnswer,
            openapi_extra=accepts(wire.ReasonBody),
        )
        router.add_api_route(
            "/memory/{memory_id}/release",
            self.release_memory,
            methods=["POST"],
            response_model=MemoryAnswer,
        )
        return router

    async def quarantine_selection(
        self, request: Request, caller: Admitted
    ) -> Response:
        """Take all that the conditions select out of answers; nothing is deleted."""
        caller.principal.require(Scope.MEMORY)
        body = await read_body(request, wire.QuarantineBody)
        namespace = caller.namespace(Scope.MEMORY, body.namespace)
        taken = await self._cases.quarantine(
            namespace, body.domain(), body.reason, caller.context
        )
        return json_answer(wire.quarantined(taken))

    async def release_selection(self, request: Request, caller: Admitted) -> Response:
        """Let all that the conditions select into answers again; needs admin too."""
        caller.principal.require(Scope.ADMIN)
        caller.principal.require(Scope.MEMORY)
        body = await read_body(request, wire.ReleaseBody)
        namespace = caller.namespace(Scope.MEMORY, body.namespace)
        ids = await self._cases.release_selected(
            namespace, body.domain(), caller.context
        )
        return json_answer({"released": len(ids), "ids": ids})

    async def quarantine_memory(
        self, request: Request, memory_id: MemoryId, caller: Admitted, query: Place
    ) -> Response:
        """Take one memory out of answers."""
        namespace = caller.namespace(Scope.MEMORY, query.namespace)
        body = await read_body(request, wire.ReasonBody)
        taken = await self._cases.quarantine(
            namespace, [memory_id], body.reason, caller.context
        )
        return json_answer(wire.quarantined(taken))

    async def release_memory(
        self, memory_id: MemoryId, caller: Admitted, query: Place
    ) -> Response:
        """Let a quarantined memory into answers again; needs the scope admin too."""
        caller.principal.require(Scope.ADMIN)
        namespace = caller.namespace(Scope.MEMORY, query.namespace)
        released = await self._cases.release(namespace, memory_id, caller.context)
        return json_answer(memory(released))
