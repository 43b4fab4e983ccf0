"""Any service with OpenAI's ``POST /chat/completions``: OpenAI, Ollama, vLLM, …

llama.cpp and MLX-LM speak it as well. What they do not know they ignore or refuse: a
service that refuses the answer's schema is asked without it from then on; the schema
stands in the prompt too, and the answer is held to it here.
"""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from http import HTTPStatus
from typing import Any, Final

from cortex.inference.backends.chat import ChatOptions, ChatWire
from cortex.inference.errors import GenerationRefused
from cortex.inference.language import Ask, LanguageInfo, Piece, Usage

PROVIDER: Final = "openai"
_OWN_HOST: Final = "api.openai.com"


class OpenAiChat:
    """A chat model behind the language port."""

    def __init__(self, options: ChatOptions, provider: str = PROVIDER) -> None:
        """Connect to nothing yet."""
        key = options.api_key
        headers = {"authorization": f"Bearer {key}"} if key else {}
        self._wire = ChatWire(options, headers)
        self._info = LanguageInfo(provider, options.model, options.base_url)
        self._own = _OWN_HOST in options.base_url
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
        begun = False
        try:
            async with aclosing(self._pieces(asked, schema=schema)) as pieces:
                async for piece in pieces:
                    begun = True
                    yield piece
        except GenerationRefused as refused:
            if begun or not schema or not _about_request(refused):
                raise
            self._takes_schema = False
        else:
            return
        async with aclosing(self._pieces(asked, schema=False)) as pieces:
            async for piece in pieces:
                yield piece

    async def _pieces(self, asked: Ask, *, schema: bool) -> AsyncGenerator[Piece, None]:
        finished = False
        body = self._body(asked, schema=schema)
        async with aclosing(self._wire.events("/chat/completions", body)) as events:
            async for event in events:
                piece = self._piece(event)
                finished = finished or bool(piece.finish)
                yield piece
        if not finished:
            raise self._wire.broken("broke off in the middle of its answer")

    def _body(self, asked: Ask, *, schema: bool) -> dict[str, Any]:
        body: dict[str, Any] = {
            "model": self._info.model,
            "messages": [
                {"role": one.role.value, "content": one.content}
                for one in asked.messages
            ],
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        if self._own:
            # Its newer models refuse the older name, and any temperature.
            body["max_completion_tokens"] = asked.max_tokens
        else:
            body |= {"max_tokens": asked.max_tokens, "temperature": asked.temperature}
        if schema:
            wanted = {"name": "answer", "schema": dict(asked.schema or {})}
            body["response_format"] = {
                "type": "json_schema",
                "json_schema": {**wanted, "strict": True},
            }
        return body

    def _piece(self, event: Any) -> Piece:
        try:
            if "error" in event:
                raise self._wire.broken("failed while it answered")
            choices = event.get("choices") or [{}]
            said = choices[0].get("delta") or choices[0].get("message") or {}
            return Piece(
                said.get("content") or "",
                choices[0].get("finish_reason") or "",
                _usage(event.get("usage")),
            )
        except (TypeError, AttributeError, LookupError, ValueError) as error:
            raise self._wire.broken("answered in an unknown shape") from error


def _about_request(refused: GenerationRefused) -> bool:
    """Return whether the service may have refused a field and not the caller."""
    return refused.data.get("status") in {
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.UNPROCESSABLE_ENTITY,
    }


def _usage(told: Any) -> Usage | None:
    if not told:
        return None
    return Usage(int(told["prompt_tokens"]), int(told["completion_tokens"]))
