"""/memory: remember, recall, list, change, forget, import, export, count."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from cortex.foundation.clock import Clock
from cortex.foundation.errors import CortexError
from cortex.foundation.limits import NAME_CHARACTERS_MAX
from cortex.foundation.tenancy import Namespace
from cortex.memory.model import NewMemory, Stored
from cortex.security.scopes import Scope
from cortex.service import problems
from cortex.service.http.answers import (
    JSON,
    NDJSON,
    begun,
    encode,
    json_answer,
    lines_answer,
)
from cortex.service.http.body import read_body, read_lines, require_lines
from cortex.service.http.caller import Admitted, Caller
from cortex.service.http.description import Kind, accepts, streams
from cortex.service.http.wire import memory as wire
from cortex.usecases.catalog import UseCases
from cortex.usecases.model import ImportProgress

PROGRESS_SECONDS = 0.5
"""Time between two progress lines: a person sees it move, and a client that reads
only at the end does not fill the connection with them."""

IMPORT_ERRORS_MAX = 1_000
"""Refused lines that one import tells in full; all are counted."""

MemoryId = Annotated[str, Path(min_length=1, max_length=NAME_CHARACTERS_MAX)]


class MemoryRoutes:
    """Handlers of /memory."""

    def __init__(self, cases: UseCases, clock: Clock) -> None:
        """Take the use cases; the clock paces progress lines."""
        self._cases = cases
        self._clock = clock

    def router(self) -> APIRouter:
        """Return the routes; fixed names come before ``{memory_id}``."""
        router = APIRouter(tags=["memory"])
        add = router.add_api_route
        body, lines = accepts(wire.RememberBody), accepts(None, Kind.LINES)
        answer = wire.RememberAnswer
        add(
            "/memory",
            self.remember,
            methods=["POST"],
            response_model=answer,
            openapi_extra=body,
        )
        add(
            "/memory",
            self.list_memories,
            methods=["GET"],
            response_model=wire.PageAnswer,
        )
        add(
            "/memory",
            self.forget_selection,
            methods=["DELETE"],
            response_model=wire.ForgottenAnswer,
        )
        add(
            "/memory/search",
            self.search,
            methods=["POST"],
            response_model=wire.SearchAnswer,
            openapi_extra=accepts(wire.SearchBody),
        )
        add(
            "/memory/import",
            self.import_memories,
            methods=["POST"],
            response_model=wire.ImportAnswer,
            openapi_extra=lines,
        )
        add(
            "/memory/export",
            self.export,
            methods=["GET"],
            responses=streams(),
            response_class=Response,
        )
        add(
            "/memory/stats",
            self.stats,
            methods=["GET"],
            response_model=wire.StatsAnswer,
        )
        one = "/memory/{memory_id}"
        add(one, self.get_memory, methods=["GET"], response_model=wire.MemoryAnswer)
        add(
            one,
            self.update_memory,
            methods=["PATCH"],
            response_model=wire.MemoryAnswer,
            openapi_extra=accepts(wire.PatchBody),
        )
        add(
            one,
            self.forget_memory,
            methods=["DELETE"],
            response_model=wire.ForgottenAnswer,
        )
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
                caller.principal.namespace(item.namespace or body.namespace),
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
        self, caller: Admitted, query: Annotated[wire.ListQuery, Query()]
    ) -> Response:
        """List memories, page by page."""
        namespace = caller.namespace(Scope.MEMORY, query.namespace)
        page = await self._cases.list_memories(
            namespace, query.domain(), query.cursor, query.limit
        )
        return json_answer(wire.page(page))

    async def get_memory(
        self,
        memory_id: MemoryId,
        caller: Admitted,
        query: Annotated[wire.InNamespace, Query()],
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
        query: Annotated[wire.InNamespace, Query()],
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
        query: Annotated[wire.InNamespace, Query()],
    ) -> Response:
        """Forget one memory everywhere: row, index, cache, tiers, archives."""
        namespace = caller.namespace(Scope.MEMORY, query.namespace)
        await self._cases.get_memory(namespace, memory_id)
        gone = await self._cases.forget(
            namespace, ids=[memory_id], selection=None, context=caller.context
        )
        return json_answer(wire.forgotten(gone))

    async def forget_selection(
        self, caller: Admitted, query: Annotated[wire.ForgetQuery, Query()]
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
        namespace = caller.principal.namespace(body.namespace)
        found = await self._cases.search(namespace, body.domain(), caller.context)
        return json_answer(wire.recalled(found, explain=body.explain))

    async def stats(
        self, caller: Admitted, query: Annotated[wire.InNamespace, Query()]
    ) -> Response:
        """Count memories and bytes, of one namespace or of all within reach."""
        caller.principal.require(Scope.MEMORY)
        named = query.namespace
        namespace = None if named is None else caller.principal.namespace(named)
        counts = await self._cases.memory_stats(caller.principal, namespace)
        return json_answer(wire.stats(counts))

    async def export(
        self, caller: Admitted, query: Annotated[wire.SelectionQuery, Query()]
    ) -> Response:
        """Stream the selection as JSON lines, fit for an import."""
        namespace = caller.namespace(Scope.MEMORY, query.namespace)
        lines = self._cases.export_lines(namespace, query.domain())
        return lines_answer(_ended(await begun(lines)))

    async def import_memories(
        self,
        request: Request,
        caller: Admitted,
        query: Annotated[wire.ImportQuery, Query()],
    ) -> Response:
        """Store JSON lines as they come and tell how far it is.

        A client that accepts ``application/x-ndjson`` gets a line of progress now and
        then; one that asks for ``application/json`` gets the end result alone.
        """
        namespace = caller.namespace(Scope.MEMORY, query.namespace)
        require_lines(request)
        steps = self._cases.import_lines(
            namespace, read_lines(request), caller.context, start_line=query.start_line
        )
        accepted = request.headers.get("accept", "")
        if JSON in accepted and NDJSON not in accepted:
            return json_answer(await _summary(steps))
        told = self._told(await begun(steps), caller.context.correlation_id)
        return lines_answer(told)

    async def _told(
        self, steps: AsyncIterator[ImportProgress], correlation_id: str
    ) -> AsyncIterator[bytes]:
        """Yield a line now and then, the last step in any case.

        An error in the middle ends the stream with a line that carries the error
        body: the status was sent long before.
        """
        pace = _Pace(self._clock)
        try:
            async for step in steps:
                due = pace.step(step)
                if due is not None:
                    yield encode(due) + b"\n"
        except CortexError as error:
            yield encode(problems.body_of(error, correlation_id)) + b"\n"


class _Pace:
    """Decides which steps are told, and keeps the errors of those that are not."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._next = clock.monotonic() + PROGRESS_SECONDS
        self._errors_left = IMPORT_ERRORS_MAX
        self._held: list[ImportProgress] = []

    def step(self, progress: ImportProgress) -> ImportProgress | None:
        """Return what to tell now, if anything."""
        self._held.append(
            replace(progress, errors=progress.errors[: self._errors_left])
        )
        self._errors_left -= len(self._held[-1].errors)
        now = self._clock.monotonic()
        if not progress.done and now < self._next:
            return None
        self._next = now + PROGRESS_SECONDS
        told = _joined(self._held)
        self._held = []
        return told


async def _summary(steps: AsyncIterator[ImportProgress]) -> ImportProgress:
    """Return the end result with the first refused lines."""
    held = [ImportProgress(0, 0, 0, 0, done=True)]
    async for step in steps:
        held = [replace(_joined([*held, step]), done=True)]
    return held[0]


def _joined(steps: Sequence[ImportProgress]) -> ImportProgress:
    errors = tuple(error for step in steps for error in step.errors)
    return replace(steps[-1], errors=errors[:IMPORT_ERRORS_MAX])


async def _ended(lines: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield the lines, each with exactly one line end."""
    async for line in lines:
        yield line if line.endswith(b"\n") else line + b"\n"
