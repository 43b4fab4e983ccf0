"""The witness over HTTP (c2sp.org/tlog-witness): one route, and no state here."""

import asyncio

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from cortex.ledger.witness import REQUEST_BYTES_MAX, TEXT_TYPE, Witness

TOO_LARGE = 413


def witness_app(witness: Witness) -> Starlette:
    """Return the application that answers add-checkpoint requests."""

    async def add_checkpoint(request: Request) -> Response:
        body = b""
        async for chunk in request.stream():
            body += chunk
            if len(body) > REQUEST_BYTES_MAX:
                told = f"a request has at most {REQUEST_BYTES_MAX} bytes\n"
                return Response(told, TOO_LARGE, media_type=TEXT_TYPE)
        answer = await asyncio.to_thread(witness.add_checkpoint, body)
        return Response(answer.body, answer.status, media_type=answer.content_type)

    return Starlette(
        routes=[Route("/add-checkpoint", add_checkpoint, methods=["POST"])]
    )
