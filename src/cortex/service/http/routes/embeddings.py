"""/embed, /embeddings and /v1/embeddings: texts to vectors.

Their answers are functions of the request and the model. So they carry an ``ETag``,
and a request that names it in ``If-None-Match`` is answered 304 without any work,
although the method is POST.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from cortex.security.scopes import Scope
from cortex.service.http.answers import json_answer
from cortex.service.http.body import read_body
from cortex.service.http.caller import Admitted, Caller
from cortex.service.http.connected import while_connected
from cortex.service.http.description import accepts, if_none_match_header
from cortex.service.http.wire import embeddings as wire
from cortex.usecases.catalog import UseCases
from cortex.usecases.embed import Embedded, EmbedRequest

WATCHED_TEXTS_MIN = 16
"""Texts of a request from which it is worth watching whether its client still waits:
about 20 ms of work, against 0.1 ms for the watching."""

_UNCHANGED: dict[int | str, dict[str, Any]] = {
    304: {"description": "The answer named in If-None-Match still holds"}
}


class EmbeddingRoutes:
    """Handlers of the three forms."""

    def __init__(self, cases: UseCases) -> None:
        """Take the use cases."""
        self._cases = cases

    def router(self) -> APIRouter:
        """Return the routes."""
        router = APIRouter(tags=["embeddings"])
        for path, handler, body, answer in (
            ("/embed", self.embed, wire.EmbedBody, wire.EmbedAnswer),
            (
                "/embeddings",
                self.embeddings,
                wire.EmbeddingsBody,
                wire.EmbeddingsAnswer,
            ),
            (
                "/v1/embeddings",
                self.openai_embeddings,
                wire.OpenAIEmbeddingsBody,
                wire.OpenAIEmbeddingsAnswer,
            ),
        ):
            router.add_api_route(
                path,
                handler,
                methods=["POST"],
                response_model=answer,
                responses=_UNCHANGED,
                openapi_extra=accepts(body) | if_none_match_header(),
            )
        return router

    async def embed(self, request: Request, caller: Admitted) -> Response:
        """Embed one text."""
        caller.require(Scope.INFERENCE)
        body = await read_body(request, wire.EmbedBody)
        return await self._answer(request, _of(caller, body.domain()), "one", wire.one)

    async def embeddings(self, request: Request, caller: Admitted) -> Response:
        """Embed up to 2048 texts."""
        caller.require(Scope.INFERENCE)
        body = await read_body(request, wire.EmbeddingsBody)
        return await self._answer(
            request, _of(caller, body.domain()), "many", wire.many
        )

    async def openai_embeddings(self, request: Request, caller: Admitted) -> Response:
        """Embed as clients of OpenAI's API ask for it."""
        caller.require(Scope.INFERENCE)
        body = await read_body(request, wire.OpenAIEmbeddingsBody)
        encoding = body.encoding_format
        return await self._answer(
            request,
            _of(caller, body.domain()),
            encoding.value,
            lambda embedded: wire.openai(embedded, encoding),
        )

    async def _answer(
        self,
        request: Request,
        asked: EmbedRequest,
        form: str,
        shape: Callable[[Embedded], object],
    ) -> Response:
        tag = f'"{self._cases.embed.identity(asked)}-{form}"'
        headers = {"ETag": tag}
        if _names(request.headers.get("if-none-match", ""), tag):
            return Response(status_code=304, headers=headers)
        if len(asked.texts) < WATCHED_TEXTS_MIN:
            embedded = await self._cases.embed(asked)
        else:
            embedded = await while_connected(request, self._cases.embed(asked))
        return json_answer(shape(embedded), headers=headers)


def _of(caller: Caller, asked: EmbedRequest) -> EmbedRequest:
    return replace(asked, tenant=caller.principal.tenant)


def _names(header: str, tag: str) -> bool:
    """Tell whether a list of etags holds this one (weak comparison, RFC 9110)."""
    return any(one.strip().removeprefix("W/") == tag for one in header.split(","))
