"""Settings of what tenants may use up."""

from pydantic import BaseModel, ConfigDict, Field


class QuotaSettings(BaseModel):
    """What one tenant may use on one day of UTC; without a number there is no limit."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    tokens: int | None = Field(
        None, ge=1, description="Tokens of embedded texts and of contexts, a day."
    )
    embeddings: int | None = Field(
        None, ge=1, description="Texts and files embedded or stored, a day."
    )
    bytes: int | None = Field(
        None, ge=1, description="Bytes of texts stored and of files, a day."
    )
