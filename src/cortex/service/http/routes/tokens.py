"""/admin/tokens: make, list, rotate and revoke tokens of the caller's own tenant."""

from typing import Annotated

from fastapi import APIRouter, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from cortex.foundation.clock import Clock
from cortex.foundation.limits import NAME_CHARACTERS_MAX
from cortex.security.scopes import Scope
from cortex.security.token_store import TokenStore
from cortex.service.http.answers import json_answer
from cortex.service.http.body import read_body
from cortex.service.http.caller import Admitted
from cortex.service.http.description import accepts
from cortex.service.http.wire import tokens as wire

TokenId = Annotated[str, Path(min_length=1, max_length=NAME_CHARACTERS_MAX)]


class TokenRoutes:
    """Handlers of issued tokens; each change is an event in its own transaction."""

    def __init__(self, tokens: TokenStore, clock: Clock) -> None:
        """Take the store; the clock tells which tokens are over."""
        self._tokens = tokens
        self._clock = clock

    def router(self) -> APIRouter:
        """Return the routes."""
        router = APIRouter(tags=["admin"])
        add = router.add_api_route
        add(
            "/admin/tokens",
            self.list_tokens,
            methods=["GET"],
            response_model=wire.TokensAnswer,
        )
        add(
            "/admin/tokens",
            self.issue_token,
            methods=["POST"],
            status_code=201,
            response_model=wire.IssuedAnswer,
            openapi_extra=accepts(wire.TokenBody),
        )
        add(
            "/admin/tokens/{token_id}/rotate",
            self.rotate_token,
            methods=["POST"],
            status_code=201,
            response_model=wire.IssuedAnswer,
            openapi_extra=accepts(wire.RotationBody),
        )
        add(
            "/admin/tokens/{token_id}",
            self.revoke_token,
            methods=["DELETE"],
            response_model=wire.RevokedAnswer,
        )
        return router

    async def list_tokens(
        self, caller: Admitted, query: Annotated[wire.TokenQuery, Query()]
    ) -> Response:
        """List the tenant's tokens, oldest first; values are not among what is kept."""
        caller.require(Scope.ADMIN)
        found = await self._tokens.list(
            caller.principal.tenant,
            after=query.after or "",
            limit=query.limit,
            dead=query.dead,
        )
        return json_answer(wire.tokens(found, query.limit, self._clock.now()))

    async def issue_token(self, request: Request, caller: Admitted) -> Response:
        """Make a token that reaches no further than the one that asks."""
        caller.require(Scope.ADMIN)
        body = await read_body(request, wire.TokenBody)
        maker = caller.principal
        issued = await self._tokens.issue(
            body.domain(maker.tenant, maker.namespaces),
            by=maker,
            correlation_id=caller.context.correlation_id,
        )
        return json_answer(wire.issued(issued), status=201)

    async def rotate_token(
        self, request: Request, token_id: TokenId, caller: Admitted
    ) -> Response:
        """Give a token a successor; both are good during the overlap."""
        caller.require(Scope.ADMIN)
        body = await read_body(request, wire.RotationBody)
        issued = await self._tokens.rotate(
            caller.principal.tenant,
            token_id,
            by=caller.principal,
            overlap_seconds=body.overlap_seconds,
            correlation_id=caller.context.correlation_id,
        )
        return json_answer(wire.issued(issued), status=201)

    async def revoke_token(self, token_id: TokenId, caller: Admitted) -> Response:
        """End a token, and all that were made with it."""
        caller.require(Scope.ADMIN)
        ended = await self._tokens.revoke(
            caller.principal.tenant,
            token_id,
            by=caller.principal,
            correlation_id=caller.context.correlation_id,
        )
        return json_answer({"revoked": ended})
