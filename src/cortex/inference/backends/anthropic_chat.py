"""Anthropic's ``POST /v1/messages``, and services that speak it.

The schema of an answer goes without the bounds that the service refuses; the answer is
held to all of it here. No temperature is sent: newer models refuse one.
"""

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from http import HTTPStatus
from typing import Any, Final

from cortex.inference.backends.chat import ChatOptions, ChatWire
from cortex.inference.errors import GenerationRefused
from cortex.inference.language import Ask, LanguageInfo, Piece, Role, Usage

PROVIDER: Final = "anthropic"
API_VERSION: Final = "2023-06-01"
BASE_URL: Final = "https://api.anthropic.com/v1"

_NOT_TAKEN: Final = frozenset({"minimum", "maximum", "minItems", "maxItems"})


class AnthropicChat:
    """A Claude model behind the language port."""

    def __init__(self, options: ChatOptions) -> None:
        """Connect to nothing yet."""
        headers = {"anthropic-version": API_VERSION}
        if options.api_key:
            headers["x-api-key"] = options.api_key
        self._wire = ChatWire(options, headers)
        self._info = LanguageInfo(PROVIDER, options.model, options.base_url)
        self._takes_schema = True

    @property
    def info(self) -> LanguageInfo:
        """Return which model this is."""
        return self._info

    async def close(self) -> None:
        """Close the connections."""
        await self._wire.close()

    async def stream(self, asked: Ask) -> AsyncGenerator[Piece, None]:
        """Yield the answer as it comes; see `LanguageBackend`."""
        schema = asked.schema is not None and self._takes_schema
        try:
            async with aclosing(self._pieces(asked, schema=schema)) as pieces:
                async for piece in pieces:
                    yield piece
        except GenerationRefused as refused:
            if not schema or refused.data.get("status") != HTTPStatus.BAD_REQUEST:
                raise
            # An older model: the schema stands in the prompt as well.
            self._takes_schema = False
        else:
            return
        async with aclosing(self._pieces(asked, schema=False)) as pieces:
            async for piece in pieces:
                yield piece

    async def _pieces(self, asked: Ask, *, schema: bool) -> AsyncGenerator[Piece, None]:
        prompt_tokens, stopped = 0, False
        body = self._body(asked, schema=schema)
        async with aclosing(self._wire.events("/messages", body)) as events:
            async for event in events:
                try:
                    kind = event["type"]
                    if kind == "error":
                        raise self._wire.broken("failed while it answered")
                    if kind == "message_start":
                        prompt_tokens = int(event["message"]["usage"]["input_tokens"])
                    stopped = stopped or kind == "message_stop"
                    piece = _piece(event, prompt_tokens)
                except (TypeError, AttributeError, LookupError, ValueError) as error:
                    raise self._wire.broken("answered in an unknown shape") from error
                if piece is not None:
                    yield piece
        if not stopped:
            raise self._wire.broken("broke off in the middle of its answer")

    def _body(self, asked: Ask, *, schema: bool) -> dict[str, Any]:
        told = [one.content for one in asked.messages if one.role is Role.SYSTEM]
        body: dict[str, Any] = {
            "model": self._info.model,
            "max_tokens": asked.max_tokens,
            "stream": True,
            "messages": [
                {"role": one.role.value, "content": one.content}
                for one in asked.messages
                if one.role is not Role.SYSTEM
            ],
        }
        if told:
            body["system"] = "\n\n".join(told)
        if schema:
            plain = _without_bounds(dict(asked.schema or {}))
            body["output_config"] = {"format": {"type": "json_schema", "schema": plain}}
        return body


def _piece(event: Mapping[str, Any], prompt_tokens: int) -> Piece | None:
    if event["type"] == "content_block_delta":
        delta = event["delta"]
        return Piece(delta["text"]) if delta["type"] == "text_delta" else None
    if event["type"] == "message_delta":
        spent = int(event["usage"]["output_tokens"])
        return Piece(
            finish=event["delta"]["stop_reason"] or "",
            usage=Usage(prompt_tokens, spent),
        )
    return None


def _without_bounds(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {k: _without_bounds(v) for k, v in value.items() if k not in _NOT_TAKEN}
    if isinstance(value, list):
        return [_without_bounds(one) for one in value]
    return value
