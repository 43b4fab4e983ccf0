"""/audit: record, search, prove, verify."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from cortex.foundation.errors import PermissionDenied
from cortex.foundation.limits import JSON_INTEGER_MAX
from cortex.security.scopes import Scope
from cortex.service.http.answers import json_answer
from cortex.service.http.body import read_body
from cortex.service.http.caller import Admitted, Caller
from cortex.service.http.description import accepts
from cortex.service.http.wire import audit as wire
from cortex.usecases.catalog import UseCases
from cortex.usecases.published import holds_entries

NOTE = "text/plain; charset=utf-8"
"""Media type of a signed note (c2sp.org/tlog-tiles)."""

BYTES = "application/octet-stream"

NAME_CHARACTERS_MAX = 100
"""Characters of the longest name of a published file."""

EntryIndex = Annotated[int, Path(ge=0, le=JSON_INTEGER_MAX)]


class AuditRoutes:
    """Handlers of /audit."""

    def __init__(self, cases: UseCases) -> None:
        """Take the use cases."""
        self._audit = cases.audit

    def router(self) -> APIRouter:
        """Return the routes."""
        router = APIRouter(tags=["audit"])
        add = router.add_api_route
        add(
            "/audit/record",
            self.record_call,
            methods=["POST"],
            response_model=wire.RecordAnswer,
            openapi_extra=accepts(wire.RecordBody),
        )
        add(
            "/audit/verify",
            self.verify_ledger,
            methods=["POST"],
            response_model=wire.VerificationAnswer,
        )
        entry = "/audit/entries/{index}"
        for path, shown, told in (
            ("/audit/log", self.recent_calls, wire.EntryPageAnswer),
            ("/audit/entries", self.list_entries, wire.EntryPageAnswer),
            (entry, self.get_entry, wire.EntryAnswer),
            (f"{entry}/content", self.get_entry_content, wire.ContentAnswer),
            ("/audit/stats", self.audit_stats, wire.AuditStatsAnswer),
            ("/audit/proof/inclusion/{index}", self.inclusion, wire.InclusionAnswer),
            ("/audit/proof/consistency", self.consistency, wire.ConsistencyAnswer),
        ):
            add(path, shown, methods=["GET"], response_model=told)
        for path, file, media in (
            ("/audit/checkpoint", self.checkpoint, "text/plain"),
            ("/audit/log-tiles/{name:path}", self.published_file, BYTES),
        ):
            add(
                path,
                file,
                methods=["GET"],
                responses=_as_is(media),
                response_class=Response,
            )
        return router

    async def record_call(
        self,
        request: Request,
        caller: Admitted,
        query: Annotated[wire.RecordQuery, Query()],
    ) -> Response:
        """Record what an agent did; durable when answered."""
        caller.require(Scope.AUDIT)
        body = await read_body(request, wire.RecordBody)
        receipt = await self._audit.record(
            caller.principal,
            body.domain(),
            caller.context,
            published=query.wait == "published",
        )
        return json_answer(wire.recorded(receipt))

    async def recent_calls(
        self, caller: Admitted, query: Annotated[wire.LogQuery, Query()]
    ) -> Response:
        """List the newest agent calls."""
        caller.require(Scope.AUDIT)
        found = await self._audit.calls(caller.principal, query.limit)
        return json_answer(wire.page(found))

    async def list_entries(
        self, caller: Admitted, query: Annotated[wire.EntriesQuery, Query()]
    ) -> Response:
        """Search all entries of the tenant, newest first, page by page."""
        caller.require(Scope.AUDIT)
        found = await self._audit.entries(caller.principal, query.domain())
        return json_answer(wire.page(found))

    async def get_entry(self, index: EntryIndex, caller: Admitted) -> Response:
        """Return one entry; its sealed content is only committed to."""
        caller.require(Scope.AUDIT)
        return json_answer(wire.entry(await self._audit.entry(caller.principal, index)))

    async def get_entry_content(self, index: EntryIndex, caller: Admitted) -> Response:
        """Return prompt, output and parsed data; that they were read is recorded."""
        caller.require(Scope.AUDIT)
        found = await self._audit.content(caller.principal, index, caller.context)
        return json_answer({"index": index, "content": found})

    async def audit_stats(self, caller: Admitted) -> Response:
        """Count entries and calls, and how calls went."""
        caller.require(Scope.AUDIT)
        return json_answer(wire.stats(await self._audit.stats(caller.principal)))

    async def checkpoint(
        self, caller: Admitted, query: Annotated[wire.CheckpointQuery, Query()]
    ) -> Response:
        """Return the newest signed head (c2sp.org/tlog-checkpoint)."""
        _require_whole(caller)
        signed = await self._audit.checkpoint(cosigned=query.cosigned)
        return Response(signed.encode(), media_type=NOTE)

    async def inclusion(self, index: EntryIndex, caller: Admitted) -> Response:
        """Prove that an entry is in the newest signed tree.

        The path holds hashes alone; the entry itself comes with it when it is of the
        caller's tenant.
        """
        caller.require(Scope.AUDIT)
        proven = await self._audit.inclusion(caller.principal, index)
        return json_answer(wire.inclusion(proven))

    async def consistency(
        self, caller: Admitted, query: Annotated[wire.ConsistencyQuery, Query()]
    ) -> Response:
        """Prove that one tree only adds to another."""
        _require_whole(caller)
        proof = await self._audit.consistency(query.old, query.new)
        return json_answer(wire.consistency(proof))

    async def verify_ledger(
        self, caller: Admitted, query: Annotated[wire.VerifyQuery, Query()]
    ) -> Response:
        """Verify the whole log now, as ``cortex ledger verify`` does.

        The verdict is the answer, also when it is ``tampered``. One verification runs
        at a time; another is asked to wait.
        """
        _require_whole(caller)
        found = await self._audit.verify(deep=query.deep)
        return json_answer(wire.verification(found))

    async def published_file(
        self,
        name: Annotated[str, Path(max_length=NAME_CHARACTERS_MAX)],
        caller: Admitted,
    ) -> Response:
        """Return a file of the log in the tlog-tiles layout.

        Checkpoint and hash tiles need ``audit``; bundles hold the entries of all
        tenants and need ``admin`` as well.
        """
        _require_whole(caller)
        if holds_entries(name):
            caller.require(Scope.ADMIN)
        data = await self._audit.published(name)
        plain = name == "checkpoint"
        return Response(data, media_type=NOTE if plain else BYTES)


def _require_whole(caller: Caller) -> None:
    """Return if the caller may ask for what concerns the log as a whole.

    Its size counts the entries of all tenants, so that a token for some namespaces of
    one does not get it; a policy can deny ``audit.checkpoint`` to more.
    """
    caller.require(Scope.AUDIT)
    if "*" not in caller.principal.namespaces:
        raise PermissionDenied(
            "this is about the whole log",
            hint="Use a token for all namespaces ('*').",
        )


def _as_is(media: str) -> dict[int | str, dict[str, Any]]:
    return {
        200: {
            "description": "The bytes as they were signed or hashed",
            "content": {media: {"schema": {"type": "string"}}},
        }
    }
