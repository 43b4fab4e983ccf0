"""Settings of the models: worker processes, memory, and saving power."""

from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field


class Power(StrEnum):
    """How much work a request may cost."""

    NORMAL = "normal"
    LOW = "low"
    SCHEDULE = "schedule"


class InferenceSettings(BaseModel):
    """What models may take of the machine."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    workers: int = Field(
        0, ge=0, le=64, description="Processes that embed beside the server's threads."
    )
    memory_mb: int = Field(
        1024, ge=128, le=65_536, description="What all loaded models may take, MB."
    )
    power: Power = Field(
        Power.NORMAL,
        description="normal, low (saves CPU, finds a little less) or schedule.",
    )
    low_power_hours: str = Field(
        "",
        max_length=200,
        description="When schedule means low: 22:00-06:00,12:00-13:00 in local time.",
    )
