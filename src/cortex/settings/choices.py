"""What some settings can be, and the endpoint of a remote model."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr


def _named(value: object) -> object:
    return None if value == "" else value


OptionalFile = Annotated[Path | None, BeforeValidator(_named)]
"""A file, or none; an empty variable means none, not the current folder."""


class Environment(StrEnum):
    """Where this server runs; production is strict about keys and tokens."""

    DEVELOPMENT = "development"
    TEST = "test"
    PRODUCTION = "production"


class LogLevel(StrEnum):
    """The least severe event that is logged."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"
    CRITICAL = "critical"


class VectorBackend(StrEnum):
    """What finds near vectors."""

    USEARCH = "usearch"
    FAISS = "faiss"
    CHROMA = "chroma"
    MEMORY = "memory"
    PGVECTOR = "pgvector"


class EmbeddingProvider(StrEnum):
    """Where vectors come from."""

    BUNDLED = "bundled"
    HUGGINGFACE = "huggingface"
    OPENAI = "openai"


class OpenAI(BaseModel):
    """An OpenAI-compatible endpoint for embeddings."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    base_url: str = Field(
        "https://api.openai.com/v1", description="Root of the API, with its version."
    )
    api_key: SecretStr | None = Field(None, description="Key sent as bearer token.")
    dimensions: int = Field(
        0, ge=0, le=8192, description="Vector length; 0 for the model's own."
    )
