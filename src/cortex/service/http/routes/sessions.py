"""/sessions: conversations and their messages."""

from typing import Annotated

from fastapi import APIRouter, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from cortex.foundation.limits import NAME_CHARACTERS_MAX
from cortex.memory.model import Selection
from cortex.security.scopes import Scope
from cortex.service.http.answers import json_answer
from cortex.service.http.body import read_body
from cortex.service.http.caller import Admitted
from cortex.service.http.description import accepts
from cortex.service.http.wire import context as wire
from cortex.service.http.wire.memory import (
    MessagesBody,
    PageAnswer,
    RememberAnswer,
    page,
    remembered,
)
from cortex.service.http.wire.selection import InNamespace
from cortex.usecases.catalog import UseCases

SessionPath = Annotated[str, Path(min_length=1, max_length=NAME_CHARACTERS_MAX)]
SessionsQuery = Annotated[wire.SessionsQuery, Query()]
Place = Annotated[InNamespace, Query()]


class SessionRoutes:
    """Handlers of /sessions."""

    def __init__(self, cases: UseCases) -> None:
        """Take the use cases."""
        self._cases = cases

    def router(self) -> APIRouter:
        """Return the routes."""
        router = APIRouter(tags=["sessions"])
        router.add_api_route(
            "/sessions",
            self.create_session,
            methods=["POST"],
            response_model=wire.SessionAnswer,
            openapi_extra=accepts(wire.SessionBody),
        )
        router.add_api_route(
            "/sessions",
            self.list_sessions,
            methods=["GET"],
            response_model=wire.SessionPageAnswer,
        )
        router.add_api_route(
            "/sessions/{session_id}",
            self.get_session,
            methods=["GET"],
            response_model=wire.SessionAnswer,
        )
        router.add_api_route(
            "/sessions/{session_id}/messages",
            self.append_messages,
            methods=["POST"],
            response_model=RememberAnswer,
            openapi_extra=accepts(MessagesBody),
        )
        router.add_api_route(
            "/sessions/{session_id}/messages",
            self.list_messages,
            methods=["GET"],
            response_model=PageAnswer,
        )
        return router

    async def create_session(self, request: Request, caller: Admitted) -> Response:
        """Open a conversation."""
        caller.principal.require(Scope.MEMORY)
        body = await read_body(request, wire.SessionBody)
        namespace = caller.namespace(Scope.MEMORY, body.namespace)
        opened = await self._cases.create_session(namespace, body.domain())
        return json_answer(wire.session(opened))

    async def list_sessions(self, caller: Admitted, query: SessionsQuery) -> Response:
        """List conversations, page by page."""
        namespace = caller.namespace(Scope.MEMORY, query.namespace)
        found = await self._cases.list_sessions(namespace, query.cursor, query.limit)
        return json_answer(wire.session_page(found))

    async def get_session(
        self, session_id: SessionPath, caller: Admitted, query: Place
    ) -> Response:
        """Return one conversation."""
        namespace = caller.namespace(Scope.MEMORY, query.namespace)
        found = await self._cases.get_session(namespace, session_id)
        return json_answer(wire.session(found))

    async def append_messages(
        self, request: Request, session_id: SessionPath, caller: Admitted, query: Place
    ) -> Response:
        """Append messages, in order."""
        namespace = caller.namespace(Scope.MEMORY, query.namespace)
        body = await read_body(request, MessagesBody)
        items = [item.domain(session_id) for item in body.items]
        stored = await self._cases.append_messages(
            namespace, session_id, items, caller.context
        )
        return json_answer(remembered(stored))

    async def list_messages(
        self, session_id: SessionPath, caller: Admitted, query: SessionsQuery
    ) -> Response:
        """List the messages of a conversation, page by page."""
        namespace = caller.namespace(Scope.MEMORY, query.namespace)
        await self._cases.get_session(namespace, session_id)
        found = await self._cases.list_memories(
            namespace, Selection(session_id=session_id), query.cursor, query.limit
        )
        return json_answer(page(found))
