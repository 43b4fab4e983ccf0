"""Answers as bytes: JSON at once, without a second validation."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import TypeVar

import orjson
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from cortex.foundation.errors import CortexError
from cortex.service import problems

DEGRADED_HEADER = "X-Degraded"
"""Names what was missing when an answer was made, such as ``dense``."""

JSON = "application/json"
NDJSON = "application/x-ndjson"

T = TypeVar("T")


def json_answer(
    content: object, *, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """Return ``content`` as JSON; dataclasses and mappings are objects."""
    return Response(encode(content), status, headers, media_type=JSON)


def degraded(missing: Sequence[str]) -> Mapping[str, str]:
    """Return the header of an answer that something was missing for, if any was."""
    return {DEGRADED_HEADER: ", ".join(missing)} if missing else {}


def encode(content: object) -> bytes:
    """Return ``content`` as JSON bytes; a vector in its fewest digits."""
    return orjson.dumps(content, default=_plain, option=orjson.OPT_SERIALIZE_NUMPY)


def lines_answer(lines: AsyncIterator[bytes]) -> Response:
    """Return a stream of JSON lines; each item carries its line end."""
    return StreamingResponse(lines, media_type=NDJSON)


class DuplexLines(Response):
    """A stream of JSON lines made while the request's own body is still read.

    Unlike ``StreamingResponse`` it does not listen for the client's leaving: the one
    who reads the body hears of it, and two must not take turns at that.
    """

    media_type = NDJSON

    def __init__(self, lines: AsyncIterator[bytes]) -> None:
        """Take the lines, each with its end."""
        self._lines = lines
        self.status_code = 200
        self.background = None
        self.init_headers()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the lines as they come."""
        del scope, receive
        head = {"status": self.status_code, "headers": self.raw_headers}
        await send({"type": "http.response.start", **head})
        async for line in self._lines:
            await send({"type": "http.response.body", "body": line, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def begun(items: AsyncIterator[T]) -> AsyncIterator[T]:
    """Return the stream once its first item is there.

    What is wrong from the start raises here, while a status can still be chosen.
    """
    first = await anext(items, None)

    async def again() -> AsyncIterator[T]:
        if first is not None:
            yield first
            async for item in items:
                yield item

    return again()


def problem_answer(
    error: CortexError, correlation_id: str, headers: Mapping[str, str] | None = None
) -> Response:
    """Return the error body with the headers its status asks for."""
    all_headers = dict(headers or {})
    seconds = problems.retry_after(error)
    if seconds is not None:
        all_headers["Retry-After"] = str(seconds)
    return Response(
        encode(problems.body_of(error, correlation_id)),
        problems.meaning_of(error).status,
        all_headers,
        media_type=problems.MEDIA_TYPE,
    )


def internal_answer(correlation_id: str) -> Response:
    """Return the answer to a failure nobody foresaw."""
    return Response(
        encode(problems.internal(correlation_id)),
        problems.INTERNAL.status,
        media_type=problems.MEDIA_TYPE,
    )


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, set | frozenset):
        return sorted(value)
    message = f"{type(value).__name__} has no JSON form"
    raise TypeError(message)
