"""Embeddings on the wire: the plain form and the one OpenAI's clients speak."""

import base64
from enum import StrEnum
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, StringConstraints, WithJsonSchema

from cortex.foundation.limits import NAME_CHARACTERS_MAX
from cortex.inference.ports import Vector
from cortex.service.fields import Integer, OptionalName, Wire
from cortex.usecases.embed import (
    EMBED_TEXT_CHARACTERS_MAX,
    EMBED_TEXTS_MAX,
    Embedded,
    EmbedRequest,
)

DIMENSIONS_MAX = 65_536
"""More than any model has; the active model's own number is the one taken."""

EmbedText = Annotated[
    str,
    StringConstraints(min_length=1),
    Field(json_schema_extra={"maxLength": EMBED_TEXT_CHARACTERS_MAX}),
]
ModelName = Annotated[
    OptionalName, Field(description="The active model; empty or 'default' is the same.")
]
Dimensions = Annotated[
    Integer,
    Field(ge=1, le=DIMENSIONS_MAX, description="Only the model's own number."),
]


class Encoding(StrEnum):
    """How a vector is written."""

    FLOAT = "float"
    BASE64 = "base64"


class EmbedBody(Wire):
    """POST /embed."""

    text: EmbedText
    model: ModelName = ""
    dimensions: Dimensions | None = None

    def domain(self) -> EmbedRequest:
        """Return the request."""
        return EmbedRequest((self.text,), self.model, self.dimensions)


class EmbeddingsBody(Wire):
    """POST /embeddings."""

    texts: Annotated[list[EmbedText], Field(min_length=1, max_length=EMBED_TEXTS_MAX)]
    model: ModelName = ""
    dimensions: Dimensions | None = None

    def domain(self) -> EmbedRequest:
        """Return the request."""
        return EmbedRequest(tuple(self.texts), self.model, self.dimensions)


def _texts(value: object) -> object:
    """Return a list; token arrays get a reason of their own."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, list) and any(isinstance(item, int | list) for item in value):
        message = (
            "must be text: arrays of tokens belong to another model's tokenizer "
            "(in LangChain set check_embedding_ctx_length=False)"
        )
        raise ValueError(message)
    return value


_ONE_TEXT = {"type": "string", "minLength": 1, "maxLength": EMBED_TEXT_CHARACTERS_MAX}
OpenAIInput = Annotated[
    list[EmbedText],
    Field(min_length=1, max_length=EMBED_TEXTS_MAX),
    BeforeValidator(_texts),
    WithJsonSchema(
        {
            "anyOf": [
                _ONE_TEXT,
                {
                    "type": "array",
                    "items": _ONE_TEXT,
                    "minItems": 1,
                    "maxItems": EMBED_TEXTS_MAX,
                },
            ],
            "description": "One text or several; arrays of tokens are refused.",
        }
    ),
]


class OpenAIEmbeddingsBody(Wire):
    """POST /v1/embeddings."""

    input: OpenAIInput
    model: ModelName = ""
    encoding_format: Encoding = Encoding.FLOAT
    dimensions: Dimensions | None = None
    user: Annotated[
        str,
        StringConstraints(max_length=NAME_CHARACTERS_MAX),
        Field(description="Taken and not used."),
    ] = ""

    def domain(self) -> EmbedRequest:
        """Return the request."""
        return EmbedRequest(tuple(self.input), self.model, self.dimensions)


class EmbedAnswer(Wire):
    """One vector of length 1."""

    embedding: list[float]
    dimensions: int
    model: str
    space: str
    tokens: int
    truncated: bool


class EmbeddingsAnswer(Wire):
    """Vectors of length 1, in the order of the texts; ``truncated`` lists places."""

    embeddings: list[list[float]]
    dimensions: int
    model: str
    space: str
    tokens: list[int]
    total_tokens: int
    truncated: list[int]


class OpenAIEmbedding(Wire):
    """One vector; ``truncated`` is there only when the text was cut."""

    object: str
    index: int
    embedding: list[float] | str
    truncated: bool | None = None


class OpenAIUsage(Wire):
    """Tokens of the model's own tokenizer."""

    prompt_tokens: int
    total_tokens: int


class OpenAIEmbeddingsAnswer(Wire):
    """Vectors as clients of OpenAI's API expect them."""

    object: str
    data: list[OpenAIEmbedding]
    model: str
    usage: OpenAIUsage


def one(value: Embedded) -> dict[str, object]:
    """Shape the answer of POST /embed."""
    return {
        "embedding": value.vectors[0],
        "dimensions": value.model.dimensions,
        "model": value.model.name,
        "space": value.model.space,
        "tokens": value.tokens[0],
        "truncated": bool(value.truncated),
    }


def many(value: Embedded) -> dict[str, object]:
    """Shape the answer of POST /embeddings."""
    return {
        "embeddings": value.vectors,
        "dimensions": value.model.dimensions,
        "model": value.model.name,
        "space": value.model.space,
        "tokens": value.tokens,
        "total_tokens": value.total_tokens,
        "truncated": value.truncated,
    }


def openai(value: Embedded, encoding: Encoding) -> dict[str, object]:
    """Shape the answer of POST /v1/embeddings."""
    cut = set(value.truncated)
    rows: list[dict[str, Any]] = []
    for index, vector in enumerate(value.vectors):
        shown = _base64(vector) if encoding is Encoding.BASE64 else vector
        row = {"object": "embedding", "index": index, "embedding": shown}
        rows.append(row | {"truncated": True} if index in cut else row)
    usage = {"prompt_tokens": value.total_tokens, "total_tokens": value.total_tokens}
    return {"object": "list", "data": rows, "model": value.model.name, "usage": usage}


def _base64(vector: Vector) -> str:
    """Return the vector as base64 of little-endian 32-bit floats."""
    return base64.b64encode(vector.astype("<f4").tobytes()).decode()
