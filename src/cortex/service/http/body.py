"""Reading request bodies: bytes, JSON, one wire model; or lines of a stream."""

import json
import re
from collections.abc import AsyncIterator
from typing import TypeVar

import orjson
from pydantic import ValidationError as PydanticError
from starlette.requests import Request

from cortex.foundation.errors import ValidationError
from cortex.foundation.limits import IMPORT_LINE_BYTES_MAX, JSON_DEPTH_MAX
from cortex.service.errors import MalformedBody, UnsupportedMedia
from cortex.service.faults import invalid_input
from cortex.service.fields import Wire
from cortex.service.nesting import deeper_than

_LONG_INTEGER = re.compile(rb"[0-9]{19}")
"""What an integer beyond 64 bits has at least; most bodies have no such run."""

_DIGITS_MAX = 20
_INTEGER_MIN = -(2**63)
_INTEGER_MAX = 2**64 - 1

W = TypeVar("W", bound=Wire)

LINE_TYPES = frozenset(
    {"application/x-ndjson", "application/jsonl", "application/json"}
)
"""Types of an import stream. None of them can be sent by a plain web form."""


async def read_body(request: Request, kind: type[W]) -> W:
    """Return the JSON body as a wire model.

    Raises:
        UnsupportedMedia: the content type is not JSON.
        MalformedBody: not UTF-8, not JSON, or nested too deeply.
        ValidationError: a field breaks a rule.
    """
    media = _media_type(request)
    if media != "application/json" and not media.endswith("+json"):
        raise UnsupportedMedia(
            "the body must be JSON",
            hint="Send 'Content-Type: application/json'.",
            field="content-type",
        )
    value = parse_json(await request.body())
    try:
        return kind.model_validate(value)
    except PydanticError as error:
        raise invalid_input(error.errors(include_input=False)) from None


def parse_json(data: bytes) -> object:
    """Return the JSON value (RFC 8259), not nested deeper than the limit.

    Raises:
        MalformedBody: anything else.
    """
    try:
        value: object = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        reason = "is empty" if not data else f"is not valid JSON: {error.msg}"
        raise MalformedBody(
            f"the body {reason}", field="body", position=error.pos
        ) from None
    if _LONG_INTEGER.search(data):
        _check_integers(data)
    if deeper_than(value, JSON_DEPTH_MAX):
        raise MalformedBody(
            f"the body is nested deeper than {JSON_DEPTH_MAX} levels",
            field="body",
            limit=JSON_DEPTH_MAX,
        )
    return value


def _check_integers(data: bytes) -> None:
    """Refuse integers that 64 bits do not hold: the parser would round them."""

    def read(digits: str) -> int:
        number = int(digits) if len(digits) <= _DIGITS_MAX else _INTEGER_MAX + 1
        if not _INTEGER_MIN <= number <= _INTEGER_MAX:
            raise ValidationError(
                "the body holds an integer beyond 64 bits",
                hint="Write it as a text: as a number it would lose digits.",
                field="body",
            )
        return number

    json.loads(data, parse_int=read)


def require_lines(request: Request) -> None:
    """Raise ``UnsupportedMedia`` unless the body is a stream of JSON lines."""
    if _media_type(request) not in LINE_TYPES:
        raise UnsupportedMedia(
            "the body must be JSON lines",
            hint="Send 'Content-Type: application/x-ndjson'.",
            field="content-type",
        )


async def read_lines(request: Request) -> AsyncIterator[bytes]:
    """Yield the lines of the body without their ends, as they come.

    A line over the limit is cut one byte after it: long enough to be refused by
    whoever reads it, short enough to be kept.
    """
    limit = IMPORT_LINE_BYTES_MAX + 1
    rest = b""
    async for chunk in request.stream():
        *lines, tail = chunk.split(b"\n")
        for line in lines:
            yield (rest + line)[:limit]
            rest = b""
        rest = (rest + tail)[:limit]
    if rest:
        yield rest


def _media_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()
