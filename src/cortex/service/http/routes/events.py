"""/events: what happened, what happens, and what a subscriber refused.

The stream follows WHATWG HTML, section 9.2.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from enum import StrEnum
from typing import Annotated

import orjson
from fastapi import APIRouter, Query
from pydantic import StringConstraints
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from cortex.bus.events import Event
from cortex.bus.registry import EVENT_TYPES
from cortex.foundation.errors import ValidationError
from cortex.security.scopes import Scope
from cortex.service.fields import Wire
from cortex.service.http.answers import json_answer
from cortex.service.http.body import read_body
from cortex.service.http.caller import EVENT_STREAM, Admitted, is_still_admitted
from cortex.service.http.description import accepts
from cortex.service.http.wire import dead_letters as wire
from cortex.service.http.wire import events as past
from cortex.usecases.catalog import UseCases

EVENT_ID_CHARACTERS_MAX = 200
RECONNECT_MILLISECONDS = 1_000
"""What clients are told to wait before they come back."""

MEDIA_TYPE = "text/event-stream"


class EventForm(StrEnum):
    """How an event is written."""

    CLOUDEVENTS = "cloudevents"
    LEGACY = "legacy"


class StreamQuery(Wire):
    """GET /events/stream."""

    format: EventForm = EventForm.CLOUDEVENTS
    types: Annotated[str, StringConstraints(max_length=past.TYPES_CHARACTERS_MAX)] = ""
    token: Annotated[str, StringConstraints(max_length=past.TYPES_CHARACTERS_MAX)] = ""


class EventRoutes:
    """Handlers of past and coming events, and of dead letters."""

    def __init__(self, cases: UseCases) -> None:
        """Take the use cases."""
        self._cases = cases

    def router(self) -> APIRouter:
        """Return the routes."""
        router = APIRouter(tags=["events"])
        stream = {MEDIA_TYPE: {"schema": {"type": "string"}}}
        router.add_api_route(
            EVENT_STREAM,
            self.stream_events,
            methods=["GET"],
            response_class=Response,
            responses={200: {"description": "Server-Sent Events", "content": stream}},
        )
        router.add_api_route(
            "/events",
            self.list_events,
            methods=["GET"],
            response_model=past.EventsAnswer,
        )
        router.add_api_route(
            "/events/dead-letters",
            self.list_dead_letters,
            methods=["GET"],
            response_model=wire.LettersAnswer,
        )
        router.add_api_route(
            "/events/dead-letters/retry",
            self.retry_dead_letters,
            methods=["POST"],
            response_model=wire.RetriedAnswer,
            openapi_extra=accepts(wire.RetryBody),
        )
        return router

    async def list_events(
        self, caller: Admitted, query: Annotated[past.EventsQuery, Query()]
    ) -> Response:
        """List events of the tenant, the newest first, as far back as they are kept."""
        caller.require(Scope.STATE)
        asked = query.domain(_types(query.types))
        return json_answer(
            past.page(await self._cases.past_events(caller.principal, asked))
        )

    async def list_dead_letters(
        self, caller: Admitted, query: Annotated[wire.LettersQuery, Query()]
    ) -> Response:
        """List events of the tenant that a subscriber refused too often."""
        caller.require(Scope.ADMIN)
        found = await self._cases.dead_letters.list(
            caller.principal, query.subscriber, query.limit
        )
        return json_answer({"dead_letters": [wire.letter(one) for one in found]})

    async def retry_dead_letters(self, request: Request, caller: Admitted) -> Response:
        """Offer dead letters to their subscribers once more; all, or those named."""
        caller.require(Scope.ADMIN)
        body = await read_body(request, wire.RetryBody)
        done = await self._cases.dead_letters.retry(
            caller.principal, body.subscriber, body.event_id, body.limit
        )
        results = [wire.redelivery(one) for one in done]
        delivered = sum(not one.error for one in done)
        return json_answer(
            {
                "delivered": delivered,
                "failed": len(done) - delivered,
                "results": results,
            }
        )

    async def stream_events(
        self, request: Request, caller: Admitted, query: Annotated[StreamQuery, Query()]
    ) -> Response:
        """Stream events until the client goes; resumes by ``Last-Event-ID``.

        Ends where its token ends: nothing is sent once that was revoked.
        """
        caller.require(Scope.STATE)
        last = request.headers.get("last-event-id") or None
        if last is not None and len(last) > EVENT_ID_CHARACTERS_MAX:
            message = f"Last-Event-ID is over {EVENT_ID_CHARACTERS_MAX} characters"
            raise ValidationError(message, field="Last-Event-ID")
        found = self._cases.follow(caller.principal, last, _types(query.types))
        await anext(found)  # a refusal comes while a status can still be chosen
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        lines = _lines(found, query.format, lambda: is_still_admitted(request))
        return StreamingResponse(lines, media_type=MEDIA_TYPE, headers=headers)


def _types(text: str) -> frozenset[str] | None:
    names = frozenset(filter(None, (name.strip() for name in text.split(","))))
    unknown = sorted(names - EVENT_TYPES.keys())
    if unknown:
        message = f"no event is called {unknown[0][:100]!r}"
        hint = "docs/reference/events.md lists all names."
        raise ValidationError(message, hint=hint, field="types")
    return names or None


async def _lines(
    events: AsyncIterator[Event | None],
    form: EventForm,
    allowed: Callable[[], Awaitable[bool]],
) -> AsyncIterator[bytes]:
    yield f"retry: {RECONNECT_MILLISECONDS}\n\n".encode()
    async for event in events:
        if not await allowed():
            return
        yield b": heartbeat\n\n" if event is None else _frame(event, form)


def _frame(event: Event, form: EventForm) -> bytes:
    body = event.legacy() if form is EventForm.LEGACY else event.cloud_event()
    head = f"id: {event.id}\nevent: {event.type}\ndata: ".encode()
    return head + orjson.dumps(body) + b"\n\n"
