"""/memory: remember, recall, list, change, forget, count."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from cortex.foundation.errors import CortexError
from cortex.foundation.limits import NAME_CHARACTERS_MAX
from cortex.foundation.tenancy import Namespace
from cortex.memory.model import NewMemory, Quarantine, Stored
from cortex.security.scopes import Scope
from cortex.service.http.answers import degraded, json_answer
from cortex.service.http.body import read_body
from cortex.service.http.caller import Admitted, Caller
from cortex.service.http.description import accepts
from cortex.service.http.wire import memory as wire
from cortex.service.http.wire import selection
from cortex.usecases.catalog import UseCases

MemoryId = Annotated[str, Path(min_length=1, max_length=NAME_CHARACTERS_MAX)]


class MemoryRoutes:
    """Handlers of /memory."""

    def __init__(self, cases: UseCases) -> None:
        """Take the use cases."""
        self._cases = cases

    def router(self) -> APIRouter:
        """Return the routes; fixed names come before ``{memory_id}``."""
        router = APIRouter(tags=["memory"])
        add = router.add_api_route
        one = "/memory/{memory_id}"
        for path, handler, body, answer in (
            ("/memory", self.remember, wire.RememberBody, wire.RememberAnswer),
            ("/memory/search", self.search, wire.SearchBody, wire.SearchAnswer),
        ):
            extra = accepts(body)
            add(
                path,
                handler,
                methods=["POST"],
                response_model=answer,
                openapi_extra=extra,
            )
        add(
            one,
            self.update_memory,
            methods=["PATCH"],
            response_model=wire.MemoryAnswer,
            openapi_extra=accepts(wire.PatchBody),
        )
        for method, path, shown, told in (
            ("GET", "/memory", self.list_memories, wire.PageAnswer),
            ("GET", "/memory/stats", self.stats, wire.StatsAnswer),
            ("GET", one, self.get_memory, wire.MemoryAnswer),
            ("DELETE", "/memory", self.forget_selection, wire.ForgottenAnswer),
            ("DELETE", one, self.forget_memory, wire.ForgottenAnswer),
        ):
            add(path, shown, methods=[method], response_model=told)
        return router

    async def remember(self, request: Request, caller: Admitted) -> Response:
        """Store 1 to 500 items; durable when answered.

        The same item sent twice is one item. Items of several namespaces are stored
        namespace by namespace, each all or nothing.
        """
        caller.principal.require(Scope.MEMORY)
        body = await read_body(request, wire.RememberBody)
        placed = [
            (
                caller.namespace(Scope.MEMORY, item.namespace or body.namespace),
                item.domain(item.session_id),
            )
            for item in body.items
        ]
        stored = await self._store(caller, placed)
        return json_answer(wire.remembered(stored))

    async def _store(
        self, caller: Caller, placed: Sequence[tuple[Namespace, NewMemory]]
    ) -> list[Stored]:
        """Store by namespace and return the answers in the caller's order.

        A failure after a first namespace was stored names what is stored, so that
        the caller knows the fate of each item.
        """
        places: dict[Namespace, list[int]] = {}
        for index, (namespace, _) in enumerate(placed):
            places.setdefault(namespace, []).append(index)
        answers: dict[int, Stored] = {}
        for namespace, indexes in places.items():
            items = [placed[index][1] for index in indexes]
            try:
                stored = await self._cases.remember(
                    caller.principal, namespace, items, caller.context
                )
            except CortexError as error:
                if answers:
                    error.data["stored"] = {
                        str(index): item.id for index, item in sorted(answers.items())
                    }
                raise
            answers.update(zip(indexes, stored, strict=True))
        return [answers[index] for index in range(len(placed))]

    async def list_memories(
        self, caller: Admitted, query: Annotated[selection.ListQuery, Query()]
    ) -> Response:
        """List memories, page by page."""
        namespace = caller.namespace(Scope.MEMORY, query.namespace)
        if query.quarantined is not Quarantine.EXCLUDED:
            caller.principal.require(Scope.ADMIN)
        page = await self._cases.list_memories(
            namespace, query.domain(), query.cursor, query.limit
        )
        return json_answer(wire.page(page))

    async def get_memory(
        self,
        memory_id: MemoryId,
        caller: Admitted,
        query: Annotated[selection.InNamespace, Query()],
    ) -> Response:
        """Return one memory."""
        namespace = caller.namespace(Scope.MEMORY, query.namespace)
        return json_answer(
            wire.memory(await self._cases.get_memory(namespace, memory_id))
        )

    async def update_memory(
        self,
        request: Request,
        memory_id: MemoryId,
        caller: Admitted,
        query: Annotated[selection.InNamespace, Query()],
    ) -> Response:
        """Change fields of one memory."""
        namespace = caller.namespace(Scope.MEMORY, query.namespace)
        body = await read_body(request, wire.PatchBody)
        changed = await self._cases.update_memory(
            namespace, memory_id, body.domain(), caller.context
        )
        return json_answer(wire.memory(changed))

    async def forget_memory(
        self,
        memory_id: MemoryId,
        caller: Admitted,
        query: Annotated[selection.InNamespace, Query()],
    ) -> Response:
        """Forget one memory everywhere: row, index, cache, tiers, archives."""
        namespace = caller.namespace(Scope.MEMORY, query.namespace)
        await self._cases.get_memory(namespace, memory_id)
        gone = await self._cases.forget(
            namespace, ids=[memory_id], selection=None, context=caller.context
        )
        return json_answer(wire.forgotten(gone))

    async def forget_selection(
        self, caller: Admitted, query: Annotated[selection.ForgetQuery, Query()]
    ) -> Response:
        """Forget all that the conditions select; at least one is needed."""
        namespace = caller.namespace(Scope.MEMORY, query.namespace)
        query.require_condition()
        gone = await self._cases.forget(
            namespace, ids=None, selection=query.domain(), context=caller.context
        )
        return json_answer(wire.forgotten(gone))

    async def search(self, request: Request, caller: Admitted) -> Response:
        """Find what answers a query, best first."""
        caller.principal.require(Scope.MEMORY)
        body = await read_body(request, wire.SearchBody)
        if body.include_quarantined:
            caller.principal.require(Scope.ADMIN)
        namespace = caller.namespace(Scope.MEMORY, body.namespace)
        found = await self._cases.search(namespace, body.domain(), caller.context)
        shown = wire.recalled(found, explain=body.explain)
        return json_answer(shown, headers=degraded(found.degraded))

    async def stats(
        self, caller: Admitted, query: Annotated[selection.InNamespace, Query()]
    ) -> Response:
        """Count memories and bytes, of one namespace or of all within reach."""
        caller.principal.require(Scope.MEMORY)
        named = query.namespace
        namespace = None
        if named is None:
            caller.require(Scope.MEMORY)
        else:
            namespace = caller.namespace(Scope.MEMORY, named)
        counts = await self._cases.memory_stats(caller.principal, namespace)
        return json_answer(wire.stats(counts))
