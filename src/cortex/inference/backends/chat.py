"""What all chat services share: one streamed POST, and what its failures mean.

=====================  =====================  ==========================
what happens           error                  asked again
=====================  =====================  ==========================
no connection          GenerationFailed       yes: nothing was begun
408 409 425 429 5xx    GenerationFailed       yes, after Retry-After
stream breaks off      GenerationFailed       yes: no answer was made
silence                GenerationTimedOut     no: it may be under way
other 4xx              GenerationRefused      no: it will not change
=====================  =====================  ==========================

A service's own error text is not repeated: some quote the key in it.
"""

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final

import httpx
import orjson

from cortex.inference.backends.openai import retry_after_seconds
from cortex.inference.errors import (
    GenerationFailed,
    GenerationRefused,
    GenerationTimedOut,
)

CONNECT_TIMEOUT_SECONDS: Final = 5.0
"""A service that does not even answer the handshake by then is down."""

IDLE_TIMEOUT_SECONDS: Final = 30.0
"""Longest silence, before the first piece and between two: a long prompt on a slow
machine takes that long to read."""

CONNECTIONS_MAX: Final = 8

_TRY_AGAIN: Final = frozenset({408, 409, 425, 429})
_DATA: Final = "data:"


@dataclass(frozen=True, slots=True)
class ChatOptions:
    """Where the service is and what to ask it for.

    Attributes:
        model: name that the service knows.
        base_url: address up to and with the version, without ``/chat/completions``.
        api_key: never shown or logged; empty sends none.
    """

    model: str
    base_url: str
    api_key: str = field(default="", repr=False)
    idle_timeout_seconds: float = IDLE_TIMEOUT_SECONDS


class ChatWire:
    """Connections to one service."""

    def __init__(self, options: ChatOptions, headers: Mapping[str, str]) -> None:
        """Connect to nothing yet."""
        self._name = options.model
        self._source = options.base_url
        self._client = httpx.AsyncClient(
            base_url=options.base_url,
            headers={"content-type": "application/json", **headers},
            timeout=httpx.Timeout(
                options.idle_timeout_seconds, connect=CONNECT_TIMEOUT_SECONDS
            ),
            limits=httpx.Limits(max_connections=CONNECTIONS_MAX),
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def events(
        self, path: str, body: Mapping[str, Any]
    ) -> AsyncGenerator[Any, None]:
        """Yield the JSON of each ``data:`` line, or of the whole body if it is JSON.

        Raises:
            GenerationFailed: see the table of the module.
        """
        if self._client.is_closed:
            raise GenerationRefused(f"the connection to {self._name} is closed")
        try:
            async with self._client.stream(
                "POST", path, content=orjson.dumps(body)
            ) as answer:
                if answer.status_code != HTTPStatus.OK:
                    raise self._refusal(answer)
                if "json" in answer.headers.get("content-type", ""):
                    yield self.parsed(await answer.aread())
                    return
                async for line in answer.aiter_lines():
                    data = line.removeprefix(_DATA).strip()
                    if line.startswith(_DATA) and data and data != "[DONE]":
                        yield self.parsed(data)
        except httpx.ReadTimeout as error:
            raise GenerationTimedOut(
                f"{self._name} fell silent",
                hint=f"Look at the load of {self._source}.",
            ) from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise GenerationFailed(
                f"{self._name} did not answer: {type(error).__name__}",
                hint=f"Check that {self._source} can be reached.",
            ) from error

    def parsed(self, data: bytes | str) -> Any:
        """Return the JSON of an event.

        Raises:
            GenerationFailed: it is not JSON.
        """
        try:
            return orjson.loads(data)
        except orjson.JSONDecodeError as error:
            raise self.broken("sent something else than JSON") from error

    def broken(self, how: str) -> GenerationFailed:
        """Return the error for an answer that cannot be read."""
        return GenerationFailed(
            f"{self._name} {how}",
            hint=f"Check that {self._source} is a chat service of the named provider.",
        )

    def _refusal(self, answer: httpx.Response) -> GenerationFailed:
        status = answer.status_code
        message = f"{self._name} answered with HTTP status {status}"
        if status in _TRY_AGAIN or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            wait = retry_after_seconds(answer.headers.get("retry-after", ""))
            return GenerationFailed(message, retry_after_seconds=wait, status=status)
        hint = f"Check the key and the model's name at {self._source}."
        return GenerationRefused(message, hint=hint, status=status)
