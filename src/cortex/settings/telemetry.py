"""Settings of what is observed."""

from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator


class Trace(BaseModel):
    """Which traces are recorded and kept, and how many log lines beside them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    enabled: bool = Field(default=True, description="Record traces at all.")
    ratio: float = Field(
        0.1,
        ge=0.0001,
        le=1.0,
        description="Part of requests kept; errors and slow ones always are.",
    )
    slow_ms: float = Field(
        250.0, ge=0, le=600_000, description="Longer requests are always kept."
    )
    otlp_endpoint: str = Field(
        "",
        description="Collector that kept traces are sent to (OTLP over HTTP, JSON), "
        "such as http://127.0.0.1:4318.",
    )
    log_mb: int = Field(
        64,
        ge=0,
        le=100_000,
        description="Megabytes of log lines kept in HOME/logs; 0 keeps none.",
    )

    @field_validator("otlp_endpoint")
    @classmethod
    def _an_address(cls, value: str) -> str:
        """Refuse what could never be sent to: traces would vanish without a word."""
        value = value.strip()
        if not value:
            return value
        message = "must be like http://127.0.0.1:4318"
        try:
            parts = urlsplit(value)
            has_place = bool(parts.hostname) and parts.port != 0
        except ValueError:
            raise ValueError(message) from None
        if parts.scheme not in {"http", "https"} or not has_place or parts.query:
            raise ValueError(message)
        return value
