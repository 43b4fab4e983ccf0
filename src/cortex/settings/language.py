"""Settings of the language model that plans and reflects; none by default."""

from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field, SecretStr


class LanguageProvider(StrEnum):
    """Who answers questions."""

    NONE = "none"
    OPENAI = "openai"
    ANTHROPIC = "anthropic"
    LOCAL = "local"


class Llm(BaseModel):
    """A language model for planning and reflection."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    provider: LanguageProvider = Field(
        LanguageProvider.NONE,
        description="none, openai (and all that speak it), anthropic, or local.",
    )
    url: str = Field(
        "", description="Root of the API, with its version; empty for the provider's."
    )
    model: str = Field(
        "", max_length=200, description="Model name; for local a GGUF file, or empty."
    )
    api_key: SecretStr | None = Field(None, description="Key of the provider.")
    record_content: bool = Field(
        default=False,
        description="Record prompts and answers in the ledger, sealed.",
    )
