"""Any service that speaks OpenAI's ``POST /embeddings``: OpenAI, vLLM, Ollama, TEI …

The space of its vectors is named after the model and the number of dimensions, not
after the address: the same model behind another address gives the same vectors. The
key goes into one header and nowhere else; a service's own error text is not repeated,
because some quote the key in it.
"""

from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final

import httpx
import numpy as np
import orjson

from cortex.foundation.errors import ValidationError
from cortex.foundation.retry import RetryPolicy, retry
from cortex.inference.errors import (
    EmbeddingFailed,
    EmbeddingRefused,
    EmbeddingUnavailable,
)
from cortex.inference.model import combined_hash, normalised, space_id, well_formed
from cortex.inference.ports import ModelInfo, TokenCounter, Vector

MAX_TOKENS_DEFAULT: Final = 8191
"""Tokens that OpenAI's embedding models read."""

KNOWN_DIMENSIONS: Final = {
    "text-embedding-3-small": 1536,
    "text-embedding-3-large": 3072,
    "text-embedding-ada-002": 1536,
}
"""Dimensions that need no configuration."""

CONNECT_TIMEOUT_SECONDS: Final = 5.0
"""A service that does not even answer the handshake by then is down."""

_RETRY_AFTER_MAX_SECONDS: Final = 3600.0
_TRY_AGAIN: Final = frozenset(
    {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.CONFLICT, HTTPStatus.TOO_MANY_REQUESTS}
)


@dataclass(frozen=True, slots=True)
class OpenAiOptions:
    """Where the service is and what to ask it for.

    Attributes:
        model: name that the service knows.
        base_url: address up to and with the version, without ``/embeddings``.
        api_key: sent as a bearer token; empty sends none. Never shown or logged.
        dimensions: length of the vectors; 0 for what is known of the model. A length
            other than the model's own is asked of the service.
        max_tokens: longest input the model reads.
        timeout_seconds: for one try, without the connection.
        connections_max: open connections; as many texts can be under way.
        retries: when and how often a failed try is made again.
    """

    model: str
    base_url: str = "https://api.openai.com/v1"
    api_key: str = field(default="", repr=False)
    dimensions: int = 0
    max_tokens: int = MAX_TOKENS_DEFAULT
    timeout_seconds: float = 15.0
    connections_max: int = 16
    retries: RetryPolicy = field(default_factory=RetryPolicy)


class OpenAiText:
    """A remote embedding model behind the text backend's port."""

    def __init__(self, options: OpenAiOptions, counter: TokenCounter) -> None:
        """Connect to nothing yet.

        Args:
            options: the service and the model.
            counter: counts the model's tokens.

        Raises:
            ValidationError: the length of the vectors is neither given nor known.
        """
        known = KNOWN_DIMENSIONS.get(options.model, 0)
        dimensions = options.dimensions or known
        if not dimensions:
            message = f"the length of {options.model}'s vectors is not known"
            hint = "Set the number of dimensions beside the model's name."
            raise ValidationError(message, hint=hint, field="dimensions")
        self._request: dict[str, object] = {
            "model": options.model,
            "encoding_format": "float",
        }
        if known and dimensions != known:
            self._request["dimensions"] = dimensions
        sha256 = combined_hash(model=options.model, dimensions=dimensions)
        self._info = ModelInfo(
            name=options.model,
            revision="",
            sha256=sha256,
            license="LicenseRef-service",
            dimensions=dimensions,
            max_tokens=options.max_tokens,
            space=space_id(f"{options.model}-{dimensions}", sha256),
            source=options.base_url,
            runtime="openai",
        )
        self._counter = counter
        self._retries = options.retries
        self._client = _client(options)

    @property
    def info(self) -> ModelInfo:
        """Return what this model is."""
        return self._info

    def count_tokens(self, text: str) -> int:
        """Return the model's tokens; an upper bound for a model that is not known."""
        return self._counter.count(text)

    def embed(self, text: str) -> Vector:
        """Return the vector of one text at length 1.

        Raises:
            EmbeddingFailed: no answer after all tries.
            EmbeddingRefused: the key, the model or the shape of the answer is wrong.
            EmbeddingUnavailable: this backend is closed.
        """
        if self._client.is_closed:
            message = f"the connection to {self._info.name} is closed"
            raise EmbeddingUnavailable(message)
        # Sending the same text again gives the same vector: always safe to repeat.
        return retry(lambda: self._ask(well_formed(text)), self._retries)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _ask(self, text: str) -> Vector:
        body = orjson.dumps({**self._request, "input": text})
        try:
            answer = self._client.post("/embeddings", content=body)
        except httpx.HTTPError as error:
            message = f"{self._info.name} did not answer: {type(error).__name__}"
            hint = f"Check that {self._info.source} can be reached."
            raise EmbeddingFailed(message, hint=hint) from error
        if answer.status_code != HTTPStatus.OK:
            raise _refusal(self._info, answer)
        return self._vector(answer.content)

    def _vector(self, content: bytes) -> Vector:
        try:
            numbers = orjson.loads(content)["data"][0]["embedding"]
            with np.errstate(over="ignore"):
                vector = normalised(np.array(numbers, np.float32))
        except (ValueError, TypeError, LookupError) as error:
            message = f"{self._info.name} answered with something else than a vector"
            hint = "Check that the address is an OpenAI-compatible embedding service."
            raise EmbeddingRefused(message, hint=hint) from error
        if vector.shape != (self._info.dimensions,):
            message = (
                f"{self._info.name} answered with {vector.size} dimensions, "
                f"{self._info.dimensions} were expected"
            )
            hint = "Set the number of dimensions that the model really has."
            raise EmbeddingRefused(message, hint=hint, dimensions=vector.size)
        return vector


def _client(options: OpenAiOptions) -> httpx.Client:
    headers = {"content-type": "application/json"}
    if options.api_key:
        headers["authorization"] = f"Bearer {options.api_key}"
    return httpx.Client(
        base_url=options.base_url,
        headers=headers,
        timeout=httpx.Timeout(options.timeout_seconds, connect=CONNECT_TIMEOUT_SECONDS),
        limits=httpx.Limits(max_connections=options.connections_max),
    )


def _refusal(info: ModelInfo, answer: httpx.Response) -> EmbeddingFailed:
    status = answer.status_code
    message = f"{info.name} answered with HTTP status {status}"
    if status in _TRY_AGAIN or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        wait = retry_after_seconds(answer.headers.get("retry-after", ""))
        return EmbeddingFailed(message, retry_after_seconds=wait, status=status)
    hint = f"Check the key and the model's name at {info.source}."
    return EmbeddingRefused(message, hint=hint, status=status)


def retry_after_seconds(value: str) -> float | None:
    """Read the seconds form of Retry-After; the date form counts as not given."""
    if not value.strip().isdecimal():
        return None
    return min(float(value), _RETRY_AFTER_MAX_SECONDS)
