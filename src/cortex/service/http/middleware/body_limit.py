"""Bounds what a request may send before anything reads it."""

from collections.abc import Mapping

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cortex.foundation.errors import PayloadTooLarge, ValidationError

STREAMED_PATHS = frozenset({"/memory/import"})
"""Read line by line; their bound is the length of a line."""


class BodyLimit:
    """Answers 413 at the announced length already, else at the byte too many."""

    def __init__(
        self, app: ASGIApp, bytes_max: int, by_path: Mapping[str, int]
    ) -> None:
        """Wrap ``app``; ``by_path`` wins over ``bytes_max``."""
        self._app = app
        self._bytes_max = bytes_max
        self._by_path = by_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with its body counted."""
        if scope["type"] != "http" or scope["path"] in STREAMED_PATHS:
            await self._app(scope, receive, send)
            return
        limit = self._by_path.get(scope["path"], self._bytes_max)
        announced = Headers(scope=scope).get("content-length")
        if announced is not None:
            if not (announced.isascii() and announced.isdigit()):
                raise ValidationError(
                    "Content-Length is not a number", field="content-length"
                )
            _check(int(announced), limit)
        size = 0

        async def counted() -> Message:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            _check(size, limit)
            return message

        await self._app(scope, counted, send)


def _check(size: int, limit: int) -> None:
    if size > limit:
        raise PayloadTooLarge(
            f"the body is larger than {limit} bytes",
            hint="Send fewer or smaller items.",
            field="body",
            limit=limit,
        )
