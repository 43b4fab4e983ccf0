"""/memory/import and /memory/export: JSON lines, as they come and go."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from cortex.foundation.clock import Clock
from cortex.foundation.errors import CortexError
from cortex.memory.model import Quarantine
from cortex.security.scopes import Scope
from cortex.service import problems
from cortex.service.http.answers import (
    JSON,
    NDJSON,
    DuplexLines,
    begun,
    encode,
    json_answer,
    lines_answer,
)
from cortex.service.http.body import read_lines, require_lines
from cortex.service.http.caller import Admitted
from cortex.service.http.description import Kind, accepts, streams
from cortex.service.http.wire import selection
from cortex.service.http.wire.memory import ImportAnswer
from cortex.usecases.catalog import UseCases
from cortex.usecases.model import ImportProgress

PROGRESS_SECONDS = 0.5
"""Time between two progress lines: a person sees it move, and a client that reads
only at the end does not fill the connection with them."""

IMPORT_ERRORS_MAX = 1_000
"""Refused lines that one import tells in full; all are counted."""


class TransferRoutes:
    """Handlers of imports and exports."""

    def __init__(self, cases: UseCases, clock: Clock) -> None:
        """Take the use cases; the clock paces progress lines."""
        self._cases = cases
        self._clock = clock

    def router(self) -> APIRouter:
        """Return the routes; they go before ``/memory/{memory_id}``."""
        router = APIRouter(tags=["memory"])
        router.add_api_route(
            "/memory/import",
            self.import_memories,
            methods=["POST"],
            response_model=ImportAnswer,
            responses=streams(),
            openapi_extra=accepts(None, Kind.LINES),
        )
        router.add_api_route(
            "/memory/export",
            self.export,
            methods=["GET"],
            responses=streams(),
            response_class=Response,
        )
        return router

    async def export(
        self, caller: Admitted, query: Annotated[selection.TrustedQuery, Query()]
    ) -> Response:
        """Stream the selection as JSON lines, fit for an import."""
        namespace = caller.namespace(Scope.MEMORY, query.namespace)
        if query.quarantined is not Quarantine.EXCLUDED:
            caller.principal.require(Scope.ADMIN)
        lines = self._cases.export_lines(namespace, query.domain())
        return lines_answer(_ended(await begun(lines)))

    async def import_memories(
        self,
        request: Request,
        caller: Admitted,
        query: Annotated[selection.ImportQuery, Query()],
    ) -> Response:
        """Store JSON lines as they come and tell how far it is.

        A line may name a ``namespace`` that the caller may use; one that it may not
        use is told as an error of that line.

        A client that accepts ``application/x-ndjson`` gets a line of progress now and
        then; one that asks for ``application/json`` gets the end result alone.
        """
        namespace = caller.namespace(Scope.MEMORY, query.namespace)
        require_lines(request)
        steps = self._cases.import_lines(
            namespace,
            read_lines(request),
            caller.context,
            start_line=query.start_line,
            place=partial(caller.namespace, Scope.MEMORY),
        )
        accepted = request.headers.get("accept", "")
        if JSON in accepted and NDJSON not in accepted:
            return json_answer(await _summary(steps))
        told = self._told(await begun(steps), caller.context.correlation_id)
        return DuplexLines(told)

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
